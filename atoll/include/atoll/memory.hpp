// A guest's linear memory as the host sees it. Every access is checked against the size that the
// memory has at that moment: no address or length that a guest gives reaches outside.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#pragma GCC visibility push(default)
namespace atollvm {

// A view: it belongs to a process and must not outlive it. Where there is no memory, its size is
// 0. Threads: the process's.
class Memory {
 public:
  Memory() = default;

  // Bytes. May grow while the guest runs; never shrinks.
  [[nodiscard]] std::uint64_t size() const noexcept;

  // The bytes from `address` on, themselves; nothing if they are not all inside. Valid until
  // guest code runs again: not beyond the end of a host function.
  [[nodiscard]] std::optional<std::span<std::uint8_t>> bytes(std::uint64_t address,
                                                             std::uint64_t length) const noexcept;
  // The same as characters, which may be any bytes.
  [[nodiscard]] std::optional<std::string_view> text(std::uint64_t address,
                                                     std::uint64_t length) const noexcept {
    const auto found = bytes(address, length);
    if (!found) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(found->data()), found->size());
  }

  // A number or structure at any address, aligned or not, in the host's byte order, which is the
  // guest's (little-endian); nothing, or false, if it is not all inside.
  template <class T>
  [[nodiscard]] std::optional<T> load(std::uint64_t address) const noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    const auto found = bytes(address, sizeof(T));
    if (!found) return std::nullopt;
    T value;
    std::memcpy(&value, found->data(), sizeof(T));
    return value;
  }
  template <class T>
  [[nodiscard]] bool store(std::uint64_t address, const T& value) const noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    const auto found = bytes(address, sizeof(T));
    if (!found) return false;
    std::memcpy(found->data(), &value, sizeof(T));
    return true;
  }
  // Copies bytes in; false, with nothing written, if they don't all fit.
  [[nodiscard]] bool write(std::uint64_t address, std::string_view bytes_in) const noexcept {
    const auto found = bytes(address, bytes_in.size());
    if (!found) return false;
    if (!bytes_in.empty()) std::memcpy(found->data(), bytes_in.data(), bytes_in.size());
    return true;
  }

 private:
  friend struct Access;
  explicit Memory(const void* memory) : memory_(memory) {}
  const void* memory_ = nullptr;
};

}  // namespace atollvm
#pragma GCC visibility pop
