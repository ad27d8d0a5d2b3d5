// Host calls made on a process without any code: what a guest would do, one call at a time.
#pragma once

#include <string.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "stdlib/host/host.hpp"
#include "tests/support/process.hpp"

namespace atollvm::test {

// One process with one memory of 128 KiB, and the loop that its calls wait in.
struct Guest {
  loop::Loop loop;
  host::Environment environment;
  std::vector<runtime::HostFunction> functions = host::functions(environment);
  std::unique_ptr<runtime::Process> process;
  runtime::Slot window[16] = {};

  static constexpr u32 memory_size = 128 << 10;

  explicit Guest(u32 handle_limit = 64) {
    ModuleBuilder module;
    module.memory(memory_size, memory_size, 0);
    runtime::Options options;
    options.limits.handles = handle_limit;
    use(process_of(module, options));
  }
  void use(std::unique_ptr<runtime::Process> other) {
    process = std::move(other);
    loop::serve(*process->worker(), loop);
  }

  [[nodiscard]] u8* memory(u32 address = 0) const {
    return process->instance().memories[0]->base() + address;
  }
  void put(u32 address, std::string_view text) const {
    std::copy(text.begin(), text.end(), memory(address));
  }
  [[nodiscard]] std::string text(u32 address, usize size) const {
    return {reinterpret_cast<const char*>(memory(address)), size};
  }
  template <class T>
  [[nodiscard]] T number(u32 address) const {
    T value;
    memcpy(&value, memory(address), sizeof value);
    return value;
  }

  [[nodiscard]] const runtime::HostFunction& function(std::string_view name) const {
    for (const runtime::HostFunction& each : functions) {
      if (each.name == name) return each;
    }
    FAIL("no host call " << name);
    return functions.front();
  }

  // Starts a call; pending or value.
  runtime::HostResult start(std::string_view name, const std::vector<i64>& arguments) {
    usize i = 0;
    for (const i64 each : arguments) window[i++] = static_cast<u64>(each);
    return process->call_host({&function(name), &process->instance(), 0}, window);
  }
  [[nodiscard]] i64 result(std::string_view name) const {
    const bool wide = function(name).type.results[0] == mod::ValType::i64;
    return wide ? static_cast<i64>(window[0]) : static_cast<i32>(window[0]);
  }
  // Makes a call and waits for it.
  i64 operator()(std::string_view name, const std::vector<i64>& arguments = {}) {
    runtime::HostResult ended = start(name, arguments);
    while (ended.status == runtime::HostResult::Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    REQUIRE(ended.status == runtime::HostResult::Status::value);
    return result(name);
  }

  i64 grant(std::shared_ptr<cap::Object> object, cap::Rights rights,
            std::shared_ptr<const cap::Revocation> revocation = {}) {
    const auto made = process->handles().insert({std::move(object), rights, std::move(revocation)});
    REQUIRE(std::holds_alternative<cap::Handle>(made));
    return std::get<cap::Handle>(made);
  }
};

constexpr i64 operator-(cap::Errno error) { return -static_cast<i64>(error); }

}  // namespace atollvm::test
