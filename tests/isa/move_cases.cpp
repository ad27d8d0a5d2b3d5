// mov.n: ranges apart and overlapping in both directions.
#include <doctest/doctest.h>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

namespace {

void move_ranges(const Tier& tier) {
  constexpr u32 slots = 12;
  struct Range {
    u32 to, from, count;
  };
  const Range ranges[] = {{0, 6, 1}, {6, 0, 6}, {1, 0, 11}, {0, 1, 11}, {3, 0, 5},
                          {0, 3, 5}, {4, 4, 3}, {0, 0, 12}, {2, 0, 2},  {0, 2, 10}};
  ModuleBuilder module;
  const u32 type = module.type(std::vector(slots, ValType::i64), std::vector(slots, ValType::i64));
  std::vector<u32> functions;
  for (const Range& range : ranges) {
    CodeBuilder code(type, slots, slots);
    code.emit(Op::mov_n, {range.to, range.from, range.count}).emit(Op::ret_n, {0, slots});
    functions.push_back(module.add(code));
  }
  Vm vm(tier, module);
  std::vector<u64> arguments;
  for (u64 i = 0; i < slots; ++i) arguments.push_back((i + 1) * 0x1111'1111'1111'1111);
  for (usize i = 0; i < std::size(ranges); ++i) {
    const Range& range = ranges[i];
    INFO("to " << range.to << " from " << range.from << " count " << range.count);
    std::vector<u64> expected = arguments;
    for (u32 k = 0; k < range.count; ++k) expected[range.to + k] = arguments[range.from + k];
    CHECK(vm.results(functions[i], arguments) == expected);
  }
}

const Scenario scenarios[] = {{{Op::mov_n, Op::ret_n}, "moves of ranges", move_ranges}};

}  // namespace

std::span<const Scenario> move_scenarios() { return scenarios; }

}  // namespace atollvm::test
