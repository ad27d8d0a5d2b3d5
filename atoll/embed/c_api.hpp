// What is behind the opaque structures of atoll.h, which are thin: each holds an object of the C++
// interface.
#pragma once

#include <atoll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <atoll/machine.hpp>
#include <atoll/process.hpp>

struct atoll_error {
  atollvm::ErrorCode code;
  std::string text;
};
struct atoll_engine {
  atollvm::Engine engine;
};
struct atoll_module {
  atollvm::Module module;
};
struct atoll_imports {
  atollvm::Imports imports;
};
struct atoll_options {
  atollvm::ProcessOptions options;
  std::optional<std::uint32_t> handles;
  // For machines, their processes and mailboxes:
  std::uint32_t processes = atollvm::MachineLimits().processes;
  atollvm::SpawnOptions spawn;  // but for the limits
  std::function<void(atollvm::Pid, const atollvm::ProcessEnd&)> on_end;
  std::function<void(atollvm::Mailbox&, const atollvm::Message&)> on_message;
  bool traps_exits = true;
};
struct atoll_process {
  atollvm::Process process;
  atollvm::Module module;
};
struct atoll_caller {
  const atollvm::Caller* caller;
  std::shared_ptr<const atollvm::FunctionType> type;  // of the host function
  atollvm::HostResult result;
};

namespace atollvm::c {

// For want of memory; never freed.
extern atoll_error no_memory;
atoll_error* make_error(const Error& error) noexcept;
atoll_error* make_error(ErrorCode code, const char* text) noexcept;

// Runs `body`, which gives an atoll_error* (or null), and lets no exception out.
template <class F>
atoll_error* guard(F body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return &no_memory;
  } catch (const std::exception& error) {
    return make_error(ErrorCode::io, error.what());
  }
}
// The same for what gives a pointer, null without memory, or whether it worked.
template <class F>
auto attempt(F body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception&) {
    return {};
  }
}

std::uint64_t to_slot(const atoll_value& value, ValueType type);
atoll_value from_slot(std::uint64_t slot, ValueType type);

// Values or slots of one call: on the stack, unless there are many.
template <class T>
class Few {
 public:
  explicit Few(std::size_t count) {
    if (count > few_.size()) {
      many_.resize(count);
      data_ = many_.data();
    }
  }
  Few(const Few&) = delete;
  Few& operator=(const Few&) = delete;
  [[nodiscard]] T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }

 private:
  std::array<T, 16> few_{};
  std::vector<T> many_;
  T* data_ = few_.data();
};

// An object of a C program with its type.
class Object : public HostObject {
 public:
  Object(void* object, const void* type, void (*free)(void*))
      : object_(object), type_(type), free_(free) {}
  ~Object() override {
    if (free_ != nullptr) free_(object_);
  }
  [[nodiscard]] void* get(const void* type) const { return type == type_ ? object_ : nullptr; }

 private:
  void* object_;
  const void* type_;
  void (*free_)(void*);
};

// Makes the object and gives it to `use`, an atoll_error* of a HostObject.
template <class F>
atoll_error* with_object(void* object, const void* type, void (*free)(void*), F use) noexcept {
  std::shared_ptr<Object> made;
  atoll_error* error = guard([&]() -> atoll_error* {
    made = std::make_shared<Object>(object, type, free);
    return nullptr;
  });
  if (error != nullptr) {
    if (free != nullptr) free(object);
    return error;
  }
  return guard([&]() -> atoll_error* {
    if (type == nullptr) return make_error(ErrorCode::usage, "an object needs a type");
    return use(std::move(made));
  });
}

// The same with a Result<std::uint32_t>, the object's handle.
template <class F>
atoll_error* insert_object(void* object, const void* type, void (*free)(void*),
                           std::uint32_t* handle, F insert) noexcept {
  return with_object(object, type, free, [&](std::shared_ptr<Object> made) -> atoll_error* {
    if (handle == nullptr) return make_error(ErrorCode::usage, "there is no place for the handle");
    const Result<std::uint32_t> inserted = insert(std::move(made));
    if (!inserted) return make_error(inserted.error());
    *handle = *inserted;
    return nullptr;
  });
}

}  // namespace atollvm::c
