// Machines of an embedding program: what their tests share.
#pragma once

#include <doctest/doctest.h>

#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <atoll/machine.hpp>

#include "tests/unit/processes.hpp"

namespace atollvm::test {

inline Scheduler scheduler_of(const Engine& engine, unsigned workers, const char* policy = "") {
  SchedulerOptions options;
  options.workers = workers;
  options.policy = policy;
  options.stress = on_workers(workers).scheduling.stress;
  auto made = Scheduler::create(engine, options);
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().text()));
  return *std::move(made);
}

inline Machine machine_of(const Scheduler& scheduler, const MachineOptions& options = {}) {
  auto made = Machine::create(scheduler, options);
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().text()));
  return *std::move(made);
}

inline Task spawned(Machine& machine, const Module& module, std::string_view function,
                    std::vector<Value> arguments = {}, const SpawnOptions& options = {}) {
  auto task = machine.spawn(module, function, arguments, options);
  REQUIRE_MESSAGE(task.ok(), (task.ok() ? "" : task.error().text()));
  return *std::move(task);
}

inline ProcessEnd end_of(const Task& task) {
  auto end = task.wait();
  REQUIRE(end.ok());
  return *std::move(end);
}

inline Mailbox mailbox_of(Machine& machine, const MailboxOptions& options = {}) {
  auto made = machine.open_mailbox(options);
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().text()));
  return *std::move(made);
}

inline Message received(Mailbox& mailbox, std::int32_t tag = any_tag) {
  auto message = mailbox.receive(tag);
  REQUIRE_MESSAGE(message.ok(), (message.ok() ? "" : message.error().text()));
  return *std::move(message);
}

inline Value i32(std::int32_t number) {
  return {ValueType::i32, static_cast<std::uint32_t>(number)};
}
inline Value i64(std::int64_t number) {
  return {ValueType::i64, static_cast<std::uint64_t>(number)};
}
// A process's number, as an argument.
inline Value value_of(Pid pid) { return {ValueType::i64, pid}; }

// Waits, without an end, until something is so that others do.
template <class Condition>
void until(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace atollvm::test
