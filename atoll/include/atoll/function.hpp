// A guest's function with its C++ type, for calls that cost little.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>

#include <atoll/convert.hpp>
#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

class Caller;
class Process;

namespace detail {

// Runs a function with its arguments in `values`, where its results come; false: function_error.
bool run_function(void* process, std::uint32_t function, std::uint64_t* values,
                  std::size_t arguments, std::size_t results) noexcept;
Error function_error(void* process);

}  // namespace detail

template <class Signature>
class Function;

// An exported function of a process's module: Process::function gives it. It belongs to the
// process and must not outlive it, but may be used after the process was moved. Threads: the
// process's.
template <class R, class... A>
class Function<R(A...)> {
 public:
  // Calls it, as Process::call does. Errors: trapped (the guest was stopped: Process::outcome
  // says how), usage (the process has ended; from its host functions, see Caller::function), limit
  // (its frame is larger than the stack may be), io.
  Result<R> operator()(A... arguments) const
    requires(!std::is_void_v<R>)
  {
    std::array<std::uint64_t, slots> values{detail::to_slot(arguments)...};
    if (!run(values.data())) return detail::function_error(process_);
    return detail::Results<R>::get(values.data());
  }
  Result<std::monostate> operator()(A... arguments) const
    requires std::is_void_v<R>
  {
    std::array<std::uint64_t, slots> values{detail::to_slot(arguments)...};
    if (!run(values.data())) return detail::function_error(process_);
    return std::monostate();
  }

 private:
  friend class Caller;
  friend class Process;
  static FunctionType type() {
    FunctionType made{{detail::value_type<A>()...}, {}};
    detail::Results<R>::append(made.results);
    return made;
  }
  static constexpr std::size_t results = [] {
    if constexpr (std::is_void_v<R>) {
      return std::size_t{0};
    } else {
      return detail::Results<R>::count;
    }
  }();
  static constexpr std::size_t slots = std::max({sizeof...(A), results, std::size_t{1}});

  Function(void* process, std::uint32_t index) : process_(process), index_(index) {}
  bool run(std::uint64_t* values) const {
    return detail::run_function(process_, index_, values, sizeof...(A), results);
  }

  void* process_;
  std::uint32_t index_;
};

}  // namespace atollvm
#pragma GCC visibility pop
