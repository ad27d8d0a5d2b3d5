// Host functions: what an embedding program lets its guests call.
//
//   atollvm::Imports imports;
//   imports.define("game", "score", [&](std::uint32_t player) { return scores[player % 4]; });
//   imports.define("game", "say", [](std::string_view text) { std::cout << text; });
//
// A guest calls `game.score` as `import func score(player: i32) -> i32 from "game" "score"`, and
// `game.say` with an address and a length: (i32, i32).
//
// Guests are hostile: each number that comes from one may be anything. A host function must not
// block for long (it holds the thread that runs the process; neither limits nor interrupt() reach
// it): what takes time gives a Deferred. It may call its guest (Caller::function), but not run()
// it.
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <atoll/convert.hpp>
#include <atoll/function.hpp>
#include <atoll/memory.hpp>
#include <atoll/result.hpp>
#include <atoll/trap.hpp>
#include <atoll/value.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

class Caller;

// How a host function ended. Functions of ordinary types need none.
struct HostResult {
  enum class Kind : std::uint8_t { value, trap, exit, pending };
  Kind kind = Kind::value;
  Trap trap = Trap::host_error;
  std::uint32_t exit_code = 0;

  static HostResult value() { return {}; }
  // The guest traps, and can't go on.
  static HostResult trapped(Trap why) { return {Kind::trap, why, 0}; }
  // The process ends as if by its own exit.
  static HostResult exited(std::uint32_t code) { return {Kind::exit, Trap::host_error, code}; }
  // A Deferred of this call will say.
  static HostResult pending() { return {Kind::pending, Trap::host_error, 0}; }
};

// A host function without types: finds its arguments in `slots`, one each (those of 32 bits
// zero-extended or not: look at the low half only), and leaves its results there, narrow ones
// zero-extended. There is room for the larger number of both.
using HostCode = std::function<HostResult(Caller& caller, std::uint64_t* slots)>;

// An object of the embedding program that guests name by handles. The last owner destroys it: the
// program, or the last process with a handle to it.
class HostObject {
 public:
  HostObject() = default;
  HostObject(const HostObject&) = delete;
  HostObject& operator=(const HostObject&) = delete;
  virtual ~HostObject() = default;
};

namespace detail {

// The ticket of a parked call.
class Ticket {
 public:
  Ticket() = default;
  void finish(HostCode code) const;

 private:
  friend class atollvm::Caller;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace detail

// The result, later, of a host function that parks its process. Copies mean the same call; the
// first of complete, complete_with and fail counts, later ones do nothing, also after the process
// ended. If all copies go away unused, the process waits until something stops it.
// Threads: any, at once; also before the host function has returned.
template <class T>
class Deferred {
 public:
  // The process goes on with this result. `Deferred<void>`: complete().
  template <class U = T>
    requires(!std::is_void_v<U>)
  void complete(U value) const {
    ticket_.finish([value](Caller&, std::uint64_t* slots) {
      detail::Results<T>::put(slots, value);
      return HostResult::value();
    });
  }
  void complete() const
    requires std::is_void_v<T>
  {
    ticket_.finish([](Caller&, std::uint64_t*) { return HostResult::value(); });
  }
  // `function`, a T or Result<T> from a Caller&, runs on the process's thread before the guest
  // goes on: it may write into the guest's memory.
  template <class F>
  void complete_with(F function) const;
  // The guest traps with host_error; the message goes to who runs it.
  void fail(std::string message) const;

 private:
  friend class Caller;
  explicit Deferred(detail::Ticket ticket) : ticket_(std::move(ticket)) {}
  detail::Ticket ticket_;
};

// The process that calls a host function, during that call. Threads: the one that runs the call.
class Caller {
 public:
  // Memory 0 of the calling module.
  [[nodiscard]] Memory memory() const;

  // A new handle of the guest to an object that is not null: the lowest free number. Errors:
  // limit (Limits::handles).
  Result<std::uint32_t> insert(std::shared_ptr<HostObject> object) const;
  // The object that a handle names; null if it names none of this kind, or was revoked.
  [[nodiscard]] std::shared_ptr<HostObject> object(std::uint32_t handle) const;
  template <class T>
  [[nodiscard]] std::shared_ptr<T> object(std::uint32_t handle) const {
    return std::dynamic_pointer_cast<T>(object(handle));
  }
  // Forgets a handle to an object; false if it names none.
  bool close(std::uint32_t handle) const;

  // An exported function of the calling process's module, to be called before the host function
  // returns: to allocate guest memory, for example. Process::function gives such functions too.
  // A call is within the limits of the one that waits for it, and at most 64 may wait, else it is
  // refused (usage), as after defer(). Where it parks, the thread waits; in a machine the call ends
  // there, with an error of usage, and keeps the worker until it ends. A trap in it comes back as
  // an error, and the guest that waits goes on; but what a time limit, interrupt() or lack of fuel
  // stops is both of them, and where it ended itself, so does the process once the host function
  // has returned. Views of guest memory taken before are not valid after it. Errors: as
  // Process::function.
  template <class Signature>
  Result<Function<Signature>> function(std::string_view name) const {
    Result<std::uint32_t> index = find_function(name, Function<Signature>::type());
    if (!index) return std::move(index).error();
    return Function<Signature>(process(), *index);
  }

  // Its number in its machine (machine.hpp); 0: it is in none.
  [[nodiscard]] std::uint64_t pid() const;

  // Traps with host_error. The message is for who runs the guest (Outcome::message).
  HostResult fail(std::string message) const;

  // Parks the call: give the Deferred back as the function's result, or HostResult::pending().
  // `canceled` runs on the process's thread if the process ends before it was completed.
  template <class T>
  Deferred<T> defer(std::function<void()> canceled = {}) const {
    return Deferred<T>(suspend(std::move(canceled)));
  }

 private:
  friend struct Access;
  explicit Caller(void* context) : context_(context) {}
  detail::Ticket suspend(std::function<void()> canceled) const;
  void* process() const;
  Result<std::uint32_t> find_function(std::string_view name, const FunctionType& type) const;

  void* context_;
};

namespace detail {

// What a host function's parameter is made of.
template <class T>
struct Parameter;
template <>
struct Parameter<Caller&> {
  static void append(std::vector<ValueType>&) {}
  static Caller& take(Caller& caller, const std::uint64_t*&, HostResult&) { return caller; }
};
template <GuestNumber T>
struct Parameter<T> {
  static void append(std::vector<ValueType>& types) { types.push_back(value_type<T>()); }
  static T take(Caller&, const std::uint64_t*& slots, HostResult&) {
    return from_slot<T>(*slots++);
  }
};
// An address and a length, i32 each, of bytes that must all be in the guest's memory.
template <class View>
struct BytesParameter {
  static void append(std::vector<ValueType>& types) {
    types.push_back(ValueType::i32);
    types.push_back(ValueType::i32);
  }
  static View take(Caller& caller, const std::uint64_t*& slots, HostResult& failure) {
    const auto address = static_cast<std::uint32_t>(*slots++);
    const auto length = static_cast<std::uint32_t>(*slots++);
    const auto found = caller.memory().bytes(address, length);
    if (!found) {
      failure = HostResult::trapped(Trap::memory_bounds);
      return {};
    }
    using Element = std::remove_const_t<typename View::value_type>;
    if constexpr (std::same_as<Element, char>) {
      return View(reinterpret_cast<const char*>(found->data()), found->size());
    } else {
      return View(found->data(), found->size());
    }
  }
};
template <>
struct Parameter<std::string_view> : BytesParameter<std::string_view> {};
template <>
struct Parameter<std::span<const std::uint8_t>> : BytesParameter<std::span<const std::uint8_t>> {};
template <>
struct Parameter<std::span<std::uint8_t>> : BytesParameter<std::span<std::uint8_t>> {};
// A handle, i32, to such an object.
template <class T>
  requires std::derived_from<T, HostObject>
struct Parameter<std::shared_ptr<T>> {
  static void append(std::vector<ValueType>& types) { types.push_back(ValueType::i32); }
  static std::shared_ptr<T> take(Caller& caller, const std::uint64_t*& slots, HostResult& failure) {
    const auto handle = static_cast<std::uint32_t>(*slots++);
    std::shared_ptr<T> object = caller.object<T>(handle);
    if (object == nullptr && failure.kind == HostResult::Kind::value) {
      failure = caller.fail("handle " + std::to_string(handle) +
                            " names no object of the type that the function takes");
    }
    return object;
  }
};

// What a host function gives.
template <class T>
struct Given {
  static void append(std::vector<ValueType>& types) { Results<T>::append(types); }
  static HostResult put(Caller&, std::uint64_t* slots, const T& value) {
    Results<T>::put(slots, value);
    return HostResult::value();
  }
};
template <class T>
struct Given<Result<T>> {
  static void append(std::vector<ValueType>& types) { Given<T>::append(types); }
  static HostResult put(Caller& caller, std::uint64_t* slots, const Result<T>& result) {
    if (!result) return caller.fail(result.error().text());
    return Given<T>::put(caller, slots, *result);
  }
};
template <class T>
struct Given<Deferred<T>> {
  static void append(std::vector<ValueType>& types) { Results<T>::append(types); }
  static HostResult put(Caller&, std::uint64_t*, const Deferred<T>&) {
    return HostResult::pending();
  }
};
template <>
struct Given<void> {
  static void append(std::vector<ValueType>&) {}
};
template <>
struct Given<HostResult> {
  static void append(std::vector<ValueType>&) {}
  static HostResult put(Caller&, std::uint64_t*, HostResult result) { return result; }
};

// As it is kept for the call.
template <class T>
using Kept = std::conditional_t<std::same_as<T, Caller&>, Caller&, std::remove_cvref_t<T>>;

template <class Signature>
struct HostSignature;
template <class R, class... A>
struct HostSignature<R(A...)> {
  static FunctionType type() {
    FunctionType made;
    (Parameter<Kept<A>>::append(made.parameters), ...);
    Given<R>::append(made.results);
    return made;
  }
  template <class F>
  static HostCode code(F function) {
    return [function = std::move(function)](Caller& caller,
                                            std::uint64_t* slots) mutable -> HostResult {
      const std::uint64_t* at = slots;
      HostResult failure;
      // In braces: taken from left to right.
      std::tuple<Kept<A>...> arguments{Parameter<Kept<A>>::take(caller, at, failure)...};
      (void)at;
      if (failure.kind != HostResult::Kind::value) return failure;
      if constexpr (std::is_void_v<R>) {
        std::apply(function, std::move(arguments));
        return HostResult::value();
      } else {
        return Given<R>::put(caller, slots, std::apply(function, std::move(arguments)));
      }
    };
  }
};

// The call operator's type, without its class.
template <class T>
struct CallOf : CallOf<decltype(&T::operator())> {};
template <class R, class... A>
struct CallOf<R (*)(A...)> : HostSignature<R(A...)> {};
template <class R, class... A>
struct CallOf<R (*)(A...) noexcept> : HostSignature<R(A...)> {};
template <class C, class R, class... A>
struct CallOf<R (C::*)(A...)> : HostSignature<R(A...)> {};
template <class C, class R, class... A>
struct CallOf<R (C::*)(A...) const> : HostSignature<R(A...)> {};
template <class C, class R, class... A>
struct CallOf<R (C::*)(A...) noexcept> : HostSignature<R(A...)> {};
template <class C, class R, class... A>
struct CallOf<R (C::*)(A...) const noexcept> : HostSignature<R(A...)> {};

}  // namespace detail

template <class T>
template <class F>
void Deferred<T>::complete_with(F function) const {
  ticket_.finish([function = std::move(function)](Caller& caller,
                                                  std::uint64_t* slots) mutable -> HostResult {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Caller&>>) {
      function(caller);
      return HostResult::value();
    } else {
      return detail::Given<std::invoke_result_t<F&, Caller&>>::put(caller, slots, function(caller));
    }
  });
}
template <class T>
void Deferred<T>::fail(std::string message) const {
  ticket_.finish([message = std::move(message)](Caller& caller, std::uint64_t*) {
    return caller.fail(message);
  });
}

// A set of host functions, for ProcessOptions. Copies share it until one of them is changed.
// Threads: any may use a set that nobody changes; its functions run on the threads of the
// processes that call them, several at once if several processes do.
class Imports {
 public:
  Imports();

  // Lets guests import `function` as `name` of `module`; it takes the place of one that was
  // there, and of Atoll's own of that name. Parameters, in this order as the guest gives them:
  //   Caller&                      the calling process; takes no argument of the guest
  //   numbers                      see GuestNumber
  //   std::string_view, std::span of std::uint8_t (or const)
  //                                two i32, address and length of bytes in memory 0; the guest
  //                                traps with memory_bounds if they are not inside. Valid during
  //                                the call
  //   std::shared_ptr<T>           an i32, a handle to a T, which is a HostObject; never null:
  //   the
  //                                guest traps if it names none
  // Results: void, a number, a std::tuple of numbers, a Result of them (an error traps), a
  // Deferred of them, or HostResult (for functions without results that trap or exit). What it
  // throws traps: std::bad_alloc as out_of_memory, all else as host_error.
  template <class F>
  Imports& define(std::string module, std::string name, F function) {
    return define(std::move(module), std::move(name), detail::CallOf<F>::type(),
                  detail::CallOf<F>::code(std::move(function)));
  }
  // The same without types, for functions whose types are known at run time only.
  Imports& define(std::string module, std::string name, FunctionType type, HostCode code);

 private:
  friend struct Access;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace atollvm
#pragma GCC visibility pop
