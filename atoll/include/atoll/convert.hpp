// How C++ numbers stand for a guest's values: in the types of host functions and of Function.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <atoll/value.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// Integers of 32 and 64 bits (of either sign) are i32 and i64, bool is an i32 (0 or 1; from a
// guest: whether it is not 0), float is f32 and double f64.
template <class T>
concept GuestNumber =
    std::same_as<T, bool> || (std::integral<T> && (sizeof(T) == 4 || sizeof(T) == 8)) ||
    std::same_as<T, float> || std::same_as<T, double>;

namespace detail {

template <GuestNumber T>
constexpr ValueType value_type() {
  if constexpr (std::same_as<T, float>) {
    return ValueType::f32;
  } else if constexpr (std::same_as<T, double>) {
    return ValueType::f64;
  } else {
    return sizeof(T) == 8 ? ValueType::i64 : ValueType::i32;
  }
}

// To and from a slot: 64 bits, what is narrower zero-extended.
template <GuestNumber T>
constexpr std::uint64_t to_slot(T value) {
  if constexpr (std::same_as<T, float>) {
    return std::bit_cast<std::uint32_t>(value);
  } else if constexpr (std::same_as<T, double>) {
    return std::bit_cast<std::uint64_t>(value);
  } else if constexpr (sizeof(T) == 8) {
    return static_cast<std::uint64_t>(value);
  } else {
    return static_cast<std::uint32_t>(value);
  }
}
template <GuestNumber T>
constexpr T from_slot(std::uint64_t slot) {
  if constexpr (std::same_as<T, float>) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(slot));
  } else if constexpr (std::same_as<T, double>) {
    return std::bit_cast<double>(slot);
  } else if constexpr (std::same_as<T, bool>) {
    return static_cast<std::uint32_t>(slot) != 0;
  } else {
    return static_cast<T>(slot);
  }
}

// What functions give: nothing, a number, or several as a tuple.
template <class T>
struct Results;
template <>
struct Results<void> {
  static void append(std::vector<ValueType>&) {}
};
template <GuestNumber T>
struct Results<T> {
  static constexpr std::size_t count = 1;
  static void append(std::vector<ValueType>& types) { types.push_back(value_type<T>()); }
  static void put(std::uint64_t* slots, T value) { slots[0] = to_slot(value); }
  static T get(const std::uint64_t* slots) { return from_slot<T>(slots[0]); }
};
template <GuestNumber... T>
struct Results<std::tuple<T...>> {
  static constexpr std::size_t count = sizeof...(T);
  static void append(std::vector<ValueType>& types) { (types.push_back(value_type<T>()), ...); }
  static void put(std::uint64_t* slots, const std::tuple<T...>& values) {
    std::apply([&](T... value) { ((*slots++ = to_slot(value)), ...); }, values);
  }
  static std::tuple<T...> get(const std::uint64_t* slots) {
    return [slots]<std::size_t... i>(std::index_sequence<i...>) {
      return std::tuple<T...>{from_slot<T>(slots[i])...};
    }(std::make_index_sequence<sizeof...(T)>());
  }
};

}  // namespace detail
}  // namespace atollvm
#pragma GCC visibility pop
