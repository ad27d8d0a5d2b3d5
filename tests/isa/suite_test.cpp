#include <doctest/doctest.h>

#include <set>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

TEST_CASE("constants and moves") {
  run_values(constant_values());
  run_scenarios(move_scenarios());
}
TEST_CASE("integer operations") { run_values(integer_values()); }
TEST_CASE("float operations") { run_values(float_values()); }
TEST_CASE("conversions") { run_values(conversion_values()); }
TEST_CASE("branches") {
  run_values(branch_values());
  run_scenarios(branch_scenarios());
}
TEST_CASE("loads and stores") { run_scenarios(load_store_scenarios()); }
TEST_CASE("memories") { run_scenarios(memory_scenarios()); }
TEST_CASE("calls") { run_scenarios(call_scenarios()); }
TEST_CASE("globals, tables and references") { run_scenarios(table_scenarios()); }
TEST_CASE("values in registers") { run_scenarios(register_scenarios()); }

TEST_CASE("every operation has a case") {
  std::set<Op> covered;
  for (const auto& cases : {constant_values(), integer_values(), float_values(),
                            conversion_values(), branch_values()}) {
    for (const ValueCase& test : cases) covered.insert(test.op);
  }
  for (const auto& scenarios : {move_scenarios(), branch_scenarios(), load_store_scenarios(),
                                memory_scenarios(), call_scenarios(), table_scenarios()}) {
    for (const Scenario& scenario : scenarios) {
      covered.insert(scenario.ops.begin(), scenario.ops.end());
    }
  }
  for (u32 number = 0; number < isa::op_count; ++number) {
    const Op op = static_cast<Op>(number);
    INFO(isa::info(op).name << " has no case in tests/isa");
    CHECK(covered.count(op) == 1);
  }
}

}  // namespace atollvm::test
