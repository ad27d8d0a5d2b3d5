// Generated programs, run in all ways. The environment can ask for others than the usual ones:
// ATOLL_GENERATED_SEED, ATOLL_GENERATED_FIRST and ATOLL_GENERATED_COUNT are numbers.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "tests/support/compare.hpp"

using namespace atollvm;
using namespace atollvm::test;
using Kind = runtime::Outcome::Kind;

namespace {

u64 setting(const char* name, u64 usual) {
  const char* text = std::getenv(name);
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

ModuleBuilder generate(u64 seed, u64 number) {
  const std::vector<u8> bytes = random_bytes(seed * 1'000'003 + number, 3000);
  return ProgramGenerator(Entropy(bytes)).make();
}

}  // namespace

TEST_CASE("generated programs do the same in all ways to run them, and do something") {
  const u64 seed = setting("ATOLL_GENERATED_SEED", 1);
  const u64 first = setting("ATOLL_GENERATED_FIRST", 0);
  const u64 count = setting("ATOLL_GENERATED_COUNT", 1200);
  u64 finished = 0;
  u64 out_of_fuel = 0;
  std::set<u64> states;
  for (u64 number = first; number < first + count; ++number) {
    INFO("ATOLL_GENERATED_SEED=" << seed << " ATOLL_GENERATED_FIRST=" << number
                                 << " ATOLL_GENERATED_COUNT=1");
    const Comparison comparison = compare_runs(generate(seed, number), number);
    CHECK(comparison.error == "");
    const Ending& ending = comparison.ending;
    finished += ending.outcome.kind == Kind::finished;
    out_of_fuel += ending.outcome.kind == Kind::out_of_fuel;
    states.insert(ending.state);
  }
  if (count < 100) return;
  INFO(finished << " of " << count << " programs finished, " << out_of_fuel << " ran out of fuel, "
                << states.size() << " different states");
  CHECK(finished > count / 3);
  CHECK(out_of_fuel > count / 20);
  CHECK(states.size() > count * 9 / 10);
}

TEST_CASE("the generator makes all operations") {
  std::set<Op> made;
  for (u64 number = 0; number < 1200; ++number) {
    const ModuleBuilder module = generate(1, number);
    for (const mod::Function& function : module.module.functions) {
      for (u64 at = 0; at < function.code_size;) {
        const Word* code = module.module.code.data() + function.code_begin + at;
        made.insert(isa::op_of(*code));
        at += isa::length(code);
      }
    }
  }
  for (u32 number = 0; number < isa::op_count; ++number) {
    const Op op = static_cast<Op>(number);
    if (op == Op::global_get_import || op == Op::global_set_import) continue;
    INFO(isa::info(op).name);
    CHECK(made.count(op) == 1);
  }
}
