// mov.n: ranges apart and overlapping in both directions; mov.2 and mov.3: in all orders.
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

// Everything is read before anything is written; of two writes to a slot the later one stays.
void moves_at_once(const Tier& tier) {
  constexpr u32 slots = 4;
  const std::vector<u64> arguments = {0x1111, 0x2222, 0x3333, ~u64{0} - 7};
  ModuleBuilder module;
  const u32 type = module.type(std::vector(slots, ValType::i64), std::vector(slots, ValType::i64));
  struct Made {
    u32 function;
    std::vector<u64> expected;
  };
  std::vector<Made> made;
  for (u32 choice = 0; choice < slots * slots * slots * slots; ++choice) {
    const u32 d1 = choice % slots;
    const u32 s1 = choice / slots % slots;
    const u32 d2 = choice / (slots * slots) % slots;
    const u32 s2 = choice / (slots * slots * slots);
    std::vector<u64> expected = arguments;
    expected[d1] = arguments[s1];
    expected[d2] = arguments[s2];
    CodeBuilder two(type, slots, slots);
    two.emit(Op::mov_2, {d1, s1, d2, s2}).emit(Op::ret_n, {0, slots});
    made.push_back({module.add(two), expected});
    const u32 d3 = (d1 + d2 + 1) % slots;
    const u32 s3 = (s1 + choice / 7) % slots;
    expected[d3] = arguments[s3];
    CodeBuilder three(type, slots, slots);
    three.emit(Op::mov_3, {d1, s1, d2, s2, d3, s3}).emit(Op::ret_n, {0, slots});
    made.push_back({module.add(three), expected});
  }
  Vm vm(tier, module);
  for (const Made& each : made) CHECK(vm.results(each.function, arguments) == each.expected);
}

// As moves at once, each plus an immediate modulo 2^32.
void sums_at_once(const Tier& tier) {
  constexpr u32 slots = 3;
  const std::vector<u64> arguments = {0xdead'beef'0000'0001, 0xffff'ffff'7fff'ffff, 5};
  ModuleBuilder module;
  const u32 type = module.type(std::vector(slots, ValType::i64), std::vector(slots, ValType::i64));
  struct Made {
    u32 function;
    std::vector<u64> expected;
  };
  std::vector<Made> made;
  for (u32 choice = 0; choice < slots * slots * slots * slots; ++choice) {
    const u32 d1 = choice % slots;
    const u32 s1 = choice / slots % slots;
    const u32 d2 = choice / (slots * slots) % slots;
    const u32 s2 = choice / (slots * slots * slots);
    for (i64 imm : {i64{1}, i64{-1}, i64{32767}, i64{-32768}}) {
      std::vector<u64> expected = arguments;
      expected[d1] = static_cast<u32>(arguments[s1] + static_cast<u64>(imm));
      expected[d2] = static_cast<u32>(arguments[s2] - 7);
      CodeBuilder code(type, slots, slots);
      code.emit(Op::i32_add_i2, {d1, s1, imm, d2, s2, -7}).emit(Op::ret_n, {0, slots});
      made.push_back({module.add(code), expected});
    }
  }
  Vm vm(tier, module);
  for (const Made& each : made) CHECK(vm.results(each.function, arguments) == each.expected);
}

const Scenario scenarios[] = {{{Op::i32_add_i2}, "sums at once", sums_at_once},
                              {{Op::mov_n, Op::ret_n}, "moves of ranges", move_ranges},
                              {{Op::mov_2, Op::mov_3}, "moves at once", moves_at_once}};

}  // namespace

std::span<const Scenario> move_scenarios() { return scenarios; }

}  // namespace atollvm::test
