// The error channel for everything that happens outside of running guest code: loading,
// verifying, assembling, host set-up. Running guests report `runtime::Trap` instead.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

#include "vm/base/types.hpp"

namespace atollvm::base {

// What kind of failure; the command line and the embedding API map these to their own codes.
enum class ErrorCode : u8 {
  malformed,    // bytes or text do not follow their format
  invalid,      // well-formed, but breaks a rule of the verifier or of the language
  unsupported,  // a feature or version that this build does not have
  not_found,    // a file, symbol, import or export that does not exist
  limit,        // a stated limit would be exceeded
  io,           // the operating system refused
  denied,       // no capability for it
  usage,        // the caller broke the contract
};

// A failure: kind, place and message. `place` says where ("code+0x40", "wc.atoll:3:7",
// "section exports, entry 2") and may be empty; `message` says what and, where it can, what to do.
struct Error {
  ErrorCode code = ErrorCode::usage;
  std::string place;
  std::string message;

  [[nodiscard]] std::string text() const {
    return place.empty() ? message : place + ": " + message;
  }
};

// A value or an Error. Check before use: `value()` on an error is our own bug and asserts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { return assert(ok()), *std::get_if<0>(&state_); }
  const T& value() const& { return assert(ok()), *std::get_if<0>(&state_); }
  T&& value() && { return assert(ok()), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return assert(!ok()), *std::get_if<1>(&state_); }
  Error&& error() && { return assert(!ok()), std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

// Result of an action without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }
  const Error& error() const& { return assert(!ok_), error_; }
  Error&& error() && { return assert(!ok_), std::move(error_); }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace atollvm::base
