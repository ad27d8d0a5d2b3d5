// Errors of the embedding API. Nothing in it throws: what can fail gives a Result.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

#pragma GCC visibility push(default)
namespace atollvm {

// What kind of failure.
enum class ErrorCode : std::uint8_t {
  malformed,    // bytes or text do not follow their format
  invalid,      // well-formed, but breaks a rule of the verifier or of the language
  unsupported,  // a feature or version that this build does not have
  not_found,    // a file, symbol, import or export that does not exist
  limit,        // a stated limit would be exceeded
  io,           // the operating system refused
  denied,       // no capability for it
  usage,        // the caller broke a contract
  trapped,      // guest code was stopped: by itself, a limit or an interrupt
};

// A failure: `place` says where ("section code+0x40", "wc.atoll:3:7", a path) and may be empty;
// `message` says what and, where it can, what to do.
struct Error {
  ErrorCode code = ErrorCode::usage;
  std::string place;
  std::string message;

  // "place: message", for people.
  [[nodiscard]] std::string text() const {
    return place.empty() ? message : place + ": " + message;
  }
};

// A value or an Error. Test it before use: taking the value of an error, or the error of a value,
// ends the program (std::abort).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { return *checked(std::get_if<0>(&state_)); }
  const T& value() const& { return *checked(std::get_if<0>(&state_)); }
  T&& value() && { return std::move(*checked(std::get_if<0>(&state_))); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return *checked(std::get_if<1>(&state_)); }
  Error&& error() && { return std::move(*checked(std::get_if<1>(&state_))); }

 private:
  template <class P>
  static P* checked(P* pointer) {
    if (pointer == nullptr) std::abort();
    return pointer;
  }

  std::variant<T, Error> state_;
};

}  // namespace atollvm
#pragma GCC visibility pop
