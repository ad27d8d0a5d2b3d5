#include <algorithm>
#include <array>
#include <atoll/machine.hpp>
#include <cinttypes>
#include <cstdio>
#include <cstring>

// Runs `square` of a source that nobody trusts for 0, 1, ... count - 1, each in a process of its
// own and all at once. Gives the sum of the numbers that they send to their parent, or -1.
std::int64_t sum_of_squares(const std::string& source, std::uint64_t count) {
  using namespace atollvm;
  const Engine engine;
  const auto module = Module::assemble(engine, {"squares.atoll", source}, no_source_files);
  const auto scheduler = Scheduler::create(engine);
  if (!module || !scheduler) return -1;

  // A tenant: what all of its processes may use together.
  MachineOptions tenant;
  tenant.limits.memory_bytes = 64 << 20;
  tenant.limits.cpu_time = std::chrono::seconds(1);
  auto machine = Machine::create(*scheduler, tenant);
  if (!machine) return -1;

  auto mailbox = machine->open_mailbox();
  if (!mailbox) return -1;
  SpawnOptions child;
  child.parent = mailbox->pid();  // the guest's process_parent()
  child.is_linked = true;         // its end comes as a message
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::array arguments{Value{ValueType::i64, i}};
    if (!machine->spawn(*module, "square", arguments, child)) return -1;
  }

  std::int64_t sum = 0;
  for (std::uint64_t left = count; left > 0;) {
    const auto message = mailbox->receive();
    if (!message) return -1;  // the CPU time is used up
    if (const auto news = end_news(*message)) {
      if (news->exit.reason == ExitReason::normal) continue;
      std::printf("process %" PRIu64 ": %s\n", news->pid, to_text(news->exit).c_str());
      return -1;
    }
    std::int64_t number = 0;
    std::memcpy(&number, message->bytes.data(), std::min(message->bytes.size(), sizeof number));
    sum += number;
    --left;
  }
  return sum;
}
// End of the example in docs/embedding.md.

#include <doctest/doctest.h>

#include "tests/support/example.hpp"

TEST_CASE("the example of machines in docs/embedding.md is the one above, and works") {
  atollvm::test::check_example("tests/unit/machines_example_test.cpp", "docs/embedding.md");

  const std::string square = R"(
use std.sys
reserve result 8 align 8
export func square(x: i64) {
    var error: i32
    i64.store [result], (i64.mul x, x)
    call process_send((call process_parent()), 1, result, 8) -> error
    ret
}
)";
  CHECK(sum_of_squares(square, 100) == 328350);
  CHECK(sum_of_squares("export func square(x: i64) { unreachable }\n", 3) == -1);
  CHECK(sum_of_squares("export func square(x: i64) { loop { } }\n", 3) == -1);
}
