// The operation suite: every row of opcodes.def has cases here, and every tier runs all of them.
//
// Two kinds of cases. A ValueCase is one operation on given slot bits with the result that it must
// have; the function around it is built from the operation's format (see suite.cpp). A Scenario is
// code of its own, for operations whose effect is not a value.
//
// A new operation needs a case (coverage_test.cpp says so); a new tier needs a row in tiers().
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/support/build.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::test {

using runtime::MemoryStrategy;
using runtime::Outcome;
using runtime::Process;
using runtime::Trap;

// A way to run a prepared process to its end.
struct Tier {
  std::string name;
  Outcome (*run)(Process&);
  MemoryStrategy memory;
  bool fuel;               // counted, and so NaN results have canonical bits
  bool disturbed = false;  // stopped at each safepoint, and moved between threads
};
std::span<const Tier> tiers();

// What a result must be.
struct Expect {
  enum class Kind : u8 { bits, nan32_canonical, nan32, nan64_canonical, nan64, trap };
  Kind kind = Kind::bits;
  u64 bits = 0;
  Trap trap = Trap::unreachable;
};
inline Expect bits(u64 value) { return {Expect::Kind::bits, value, {}}; }
inline Expect trap(Trap why) { return {Expect::Kind::trap, 0, why}; }
bool matches(const Expect& expect, u64 actual, bool canonical);
std::string to_text(const Expect& expect);

struct ValueCase {
  Op op;
  std::array<u64, 4> in{};  // slot operands in text order; a use_def operand comes first
  i64 imm = 0;              // or the bits of a constant
  Expect out;               // of the def operand; branches: 1 if taken, else 0
  u64 updated = 0;          // branches with a use_def operand: its new value
};

struct Scenario {
  std::vector<Op> ops;  // that it tests; its modules must hold each of them
  const char* name;
  void (*run)(const Tier&);
  // Makes thousands of processes. With ATOLL_EMULATED in the environment it is left out on tiers
  // with guarded memories: qemu-user takes 50 ms for each reservation of 4 GiB. (Disturbed tiers
  // are left out there for all scenarios.)
  bool many_processes = false;
};

// The cases, by subject.
std::vector<ValueCase> constant_values();
std::vector<ValueCase> integer_values();
std::vector<ValueCase> float_values();
std::vector<ValueCase> conversion_values();
std::vector<ValueCase> branch_values();
std::span<const Scenario> move_scenarios();
std::span<const Scenario> branch_scenarios();
std::span<const Scenario> load_store_scenarios();
std::span<const Scenario> memory_scenarios();
std::span<const Scenario> call_scenarios();
std::span<const Scenario> table_scenarios();
std::span<const Scenario> register_scenarios();

// Run all cases on all tiers, inside of a TEST_CASE.
void run_values(const std::vector<ValueCase>& cases);
void run_scenarios(std::span<const Scenario> scenarios);

// Notes the operations of a module for the check of Scenario::ops; Vm does it by itself.
void note_operations(const mod::Module& module);

// A module in a process on a tier. After a trap the process stays for inspection; the next call
// gets a new one.
class Vm {
 public:
  Vm(const Tier& tier, const ModuleBuilder& module, runtime::Options options = {});

  struct Run {
    Outcome outcome;
    std::vector<u64> results;
  };
  Run call(u32 function, const std::vector<u64>& arguments = {});
  // Makes a new process.
  void renew();
  // The call must finish; its results.
  std::vector<u64> results(u32 function, const std::vector<u64>& arguments = {});
  // The call must finish with one result.
  u64 result(u32 function, const std::vector<u64>& arguments = {});
  // The call must trap for this reason.
  void traps(Trap why, u32 function, const std::vector<u64>& arguments = {});

  [[nodiscard]] Process& process();
  [[nodiscard]] runtime::Memory& memory(u32 index = 0) {
    return *process().instance().memories[index];
  }
  [[nodiscard]] const Tier& tier() const { return tier_; }

 private:
  const Tier& tier_;
  runtime::Options options_;
  std::shared_ptr<const runtime::Program> program_;
  std::unique_ptr<Process> process_;
  bool trapped_ = false;
};

}  // namespace atollvm::test
