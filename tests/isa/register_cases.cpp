// Operations among values that compiled code has in registers: in loops, where each slot counts
// much, so that some have a register for integers, one for floating-point numbers, or both.
#include <doctest/doctest.h>

#include <bit>
#include <functional>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

namespace {

constexpr ValType i32 = ValType::i32;
constexpr ValType i64 = ValType::i64;
constexpr ValType f64 = ValType::f64;

// An argument that one way to a call leaves in a register, the other one in its slot: all of it
// arrives, though nothing else takes more than its lower half.
void argument_at_a_join(const Tier& tier) {
  ModuleBuilder module;
  module.memory(1);
  const u32 sum = module.global(i64, true, ModuleBuilder::i64_const(0));
  CodeBuilder add(module.type({i64}, {}), 1, 2);
  add.emit(Op::global_get, {1, sum}).emit(Op::i64_add, {1, 1, 0});
  add.emit(Op::global_set, {sum, 1}).emit(Op::ret);
  const u32 callee = module.add(add);
  CodeBuilder code(module.type({i64, i64}, {i64}), 3, 7);
  const Label again = code.label();
  const Label join = code.label(6);
  code.bind(again).emit(Op::i64_add_i, {2, 2, 1}).emit(Op::i64_const, {3, 0});
  code.emit(Op::i32_const, {4, 0}).emit(Op::i64_mul, {5, 2, 1});
  code.emit(Op::i64_and_i, {3, 2, 1}).emit(Op::br_i64_eq_i, {3, 0, join});
  // With its result the registers are gone.
  code.emit(Op::memory_grow, {3, 0, 4});
  code.bind(join).emit(Op::call, {5, callee}).emit(Op::back_i64_ne, {2, 0, again});
  code.emit(Op::global_get, {2, sum}).emit(Op::ret_1, {2});
  const u32 function = module.add(code);
  Vm vm(tier, module);
  constexpr u64 factor = 0x1'0000'0001;
  CHECK(vm.result(function, {9, factor}) == factor * 45);
}

// Short and long fills and copies, sizes, growth and table elements between two sums.
void bulk_in_a_loop(const Tier& tier) {
  ModuleBuilder module;
  module.memory(4096, 5000, 0);
  module.table(4, 10);
  // 0 turns; 1 i; 2 a sum; 3 its double, as a float; 4 to; 5 from; 6 length; 7 old size; 8 size;
  // 9 an element; 10 where it is
  CodeBuilder code(module.type({i64}, {i64, f64, i32, i32, i64}), 11, 11);
  const Label again = code.label();
  code.emit(Op::ref_func, {9, 0});
  code.bind(again).emit(Op::i64_add_i, {1, 1, 1}).emit(Op::i64_mul_i, {2, 2, 31});
  code.emit(Op::i64_add, {2, 2, 1}).emit(Op::f64_convert_i64_u, {3, 2});
  code.emit(Op::f64_add, {3, 3, 3});
  code.emit(Op::i32_mul_i, {4, 1, 37}).emit(Op::i32_mul_i, {5, 1, 41});
  code.emit(Op::i32_and_i, {6, 2, 511});
  code.emit(Op::memory_fill, {0, 4, 1, 6}).emit(Op::memory_copy, {0, 0, 5, 4, 6});
  code.emit(Op::i32_and_i, {7, 1, 1}).emit(Op::memory_grow, {7, 0, 7});
  code.emit(Op::memory_size, {8, 0});
  code.emit(Op::i32_and_i, {10, 1, 3}).emit(Op::table_set, {0, 10, 9});
  code.emit(Op::table_get, {9, 0, 10}).emit(Op::i64_add_i, {9, 9, 1});
  code.emit(Op::back_i64_ne, {1, 0, again});
  code.emit(Op::mov, {1, 2}).emit(Op::mov, {2, 3}).emit(Op::mov, {3, 7}).emit(Op::mov, {4, 8});
  code.emit(Op::mov, {5, 9}).emit(Op::ret_n, {1, 5});
  const u32 function = module.add(code);
  for (u64 turns : {u64{1}, u64{2}, u64{50}}) {
    Vm vm(tier, module);
    u64 total = 0;
    u32 size = 4096;
    u32 before = 0;
    std::vector<u8> memory(5000);
    for (u64 i = 1; i <= turns; ++i) {
      total = total * 31 + i;
      const usize to = i * 37;
      const usize from = i * 41;
      const usize length = total & 511;
      std::fill_n(memory.begin() + static_cast<std::ptrdiff_t>(to), length, static_cast<u8>(i));
      std::copy_n(std::vector<u8>(memory).begin() + static_cast<std::ptrdiff_t>(to), length,
                  memory.begin() + static_cast<std::ptrdiff_t>(from));
      before = size;
      size += i & 1;
    }
    const std::vector<u64> results = vm.results(function, {turns});
    REQUIRE(results.size() == 5);
    CHECK(results[0] == total);
    CHECK(results[1] == std::bit_cast<u64>(static_cast<double>(total) * 2));
    CHECK(results[2] == before);
    CHECK(results[3] == size);
    CHECK(results[4] == runtime::function_reference(0, 0) + turns);
    memory.resize(size);
    CHECK(std::vector<u8>(vm.memory().base(), vm.memory().base() + size) == memory);
  }
}

// A trap and a refusal behind a loop: what is in registers does not matter to them.
void bounds_in_a_loop(const Tier& tier) {
  struct Case {
    Op op;
    Trap trap;
    std::vector<Arg> args;
  };
  for (const Case& test : {Case{Op::memory_fill, Trap::memory_bounds, {0, 1, 2, 1}},
                           {Op::memory_copy, Trap::memory_bounds, {0, 0, 1, 2, 1}},
                           {Op::memory_copy, Trap::memory_bounds, {0, 0, 2, 1, 1}},
                           {Op::memory_init, Trap::memory_bounds, {0, 0, 1, 2, 1}},
                           {Op::table_get, Trap::table_bounds, {3, 0, 1}},
                           {Op::table_set, Trap::table_bounds, {0, 1, 3}},
                           {Op::table_fill, Trap::table_bounds, {0, 1, 3, 1}},
                           {Op::table_copy, Trap::table_bounds, {0, 0, 1, 2, 1}}}) {
    INFO(isa::info(test.op).name);
    ModuleBuilder module;
    module.memory(100, {}, 0);
    module.table(100);
    module.data("text");
    // 1 counts up to the size and beyond; 2 stays 0; 3 is a null reference
    CodeBuilder code(module.type({i64}, {i64}), 4, 4);
    const Label again = code.label();
    code.bind(again).emit(Op::i64_add_i, {1, 1, 1});
    code.emit(test.op, test.args);
    code.emit(Op::back_i64_ne, {1, 0, again}).emit(Op::ret_1, {1});
    const u32 function = module.add(code);
    Vm vm(tier, module);
    const bool is_access = test.op == Op::table_get || test.op == Op::table_set;
    const u64 last = is_access ? 99 : test.op == Op::memory_init ? 4 : 50;
    CHECK(vm.result(function, {last}) == last);
    vm.traps(test.trap, function, {last + 1});
  }
}

// --- Programs made at random, and what they do to slots ------------------------------------------

constexpr u32 slots = 48;
using Slots = std::vector<u64>;

struct RandomMoves {
  u32 random;
  std::vector<std::function<void(Slots&)>> effects;

  u32 below(u32 limit) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % limit;
  }
  void add(CodeBuilder& code) {
    // Of the first slots, so that these are used most.
    const u32 d = 1 + below(12);
    const u32 s = 1 + below(12);
    const u32 other = 1 + below(slots - 1);
    const u32 count = below(3) == 0 ? 17 + below(10) : 1 + below(16);
    const u32 to = 1 + below(slots - count);
    const u32 from = 1 + below(slots - count);
    switch (below(6)) {
      case 0:
        code.emit(Op::i64_mul_i, {d, s, 1001});
        return effects.push_back([=](Slots& all) { all[d] = all[s] * 1001; });
      case 1:
        code.emit(Op::i32_add, {d, s, other});
        return effects.push_back(
            [=](Slots& all) { all[d] = static_cast<u32>(all[s] + all[other]); });
      case 2:
        code.emit(Op::f64_neg, {d, s});
        return effects.push_back([=](Slots& all) { all[d] = all[s] ^ u64 { 1 } << 63; });
      case 3:
        code.emit(Op::f64_copysign, {d, s, other});
        return effects.push_back(
            [=](Slots& all) { all[d] = (all[s] & ~(u64{1} << 63)) | (all[other] & u64{1} << 63); });
      default:
        code.emit(Op::mov_n, {to, from, count});
        return effects.push_back([=](Slots& all) {
          const Slots before = all;
          for (u32 i = 0; i < count; ++i) all[to + i] = before[from + i];
        });
    }
  }
};

// Slot 0 counts the turns. `ends`: the instruction that gives the results; all slots, or what
// another function makes of them.
void random_moves(const Tier& tier, const std::function<void(CodeBuilder&)>& ends,
                  ModuleBuilder module) {
  const u32 type = module.type(std::vector(slots, i64), std::vector(slots, i64));
  for (u32 seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    ModuleBuilder made = module;
    RandomMoves moves{seed * 7919, {}};
    CodeBuilder code(type, slots, slots);
    const Label again = code.label();
    code.bind(again).emit(Op::i64_add_i, {0, 0, -1});
    const u32 length = 4 + moves.below(20);
    for (u32 i = 0; i < length; ++i) moves.add(code);
    code.emit(Op::back_i32_ne_i, {0, 0, again});
    ends(code);
    const u32 function = made.add(code);
    Slots expected(slots);
    for (u32 i = 1; i < slots; ++i) expected[i] = (i * 0x9e37'79b9'7f4a'7c15) ^ (u64{i} << 59);
    expected[0] = 3;
    const Slots arguments = expected;
    for (u32 turn = 0; turn < 3; ++turn) {
      for (const auto& effect : moves.effects) effect(expected);
    }
    expected[0] = 0;
    Vm vm(tier, made);
    CHECK(vm.results(function, arguments) == expected);
  }
}

void moves_in_a_loop(const Tier& tier) {
  random_moves(tier, [](CodeBuilder& code) { code.emit(Op::ret_n, {0, slots}); }, ModuleBuilder{});
}

// Arguments that a loop left in registers, at the place where the callee wants them.
void tail_call_after_a_loop(const Tier& tier) {
  ModuleBuilder module;
  const u32 type = module.type(std::vector(slots, i64), std::vector(slots, i64));
  CodeBuilder identity(type, slots, slots);
  const u32 callee = module.add(identity.emit(Op::ret_n, {0, slots}));
  random_moves(tier, [=](CodeBuilder& code) { code.emit(Op::tail, {0, callee}); }, module);
}

// Twenty arguments that go round, by a function's tail call of itself; the last one counts.
void arguments_go_round(const Tier& tier) {
  constexpr u32 count = 20;
  for (Op op : {Op::tail, Op::tail_ref}) {
    ModuleBuilder module;
    const u32 type = module.type(std::vector(count + 1, i64), std::vector(count, i64));
    CodeBuilder code(type, count + 1, count + 3);
    const Label end = code.label();
    code.emit(Op::br_i64_eq_i, {count, 0, end});
    code.emit(Op::i64_add_i, {count + 1, count, -1}).emit(Op::i64_add_i, {count, 0, 1});
    if (op == Op::tail) {
      code.emit(op, {1, 0});
    } else {
      code.emit(Op::ref_func, {count + 2, 0}).emit(op, {1, type, count + 2});
    }
    code.bind(end).emit(Op::ret_n, {0, count});
    const u32 function = module.add(code);
    Vm vm(tier, module);
    for (u64 turns : {0, 1, 19, 20, 1007}) {
      std::vector<u64> arguments;
      for (u64 i = 0; i < count; ++i) arguments.push_back(i << 40);
      std::vector<u64> expected = arguments;
      for (u64 turn = 0; turn < turns; ++turn) {
        expected.push_back(expected.front() + 1);
        expected.erase(expected.begin());
      }
      arguments.push_back(turns);
      CHECK(vm.results(function, arguments) == expected);
    }
  }
}

const Scenario scenarios[] = {
    {{Op::call, Op::memory_grow}, "an argument at a join", argument_at_a_join},
    {{Op::memory_fill, Op::memory_copy, Op::memory_size, Op::table_get, Op::table_set},
     "bulk operations in a loop",
     bulk_in_a_loop},
    {{}, "bounds in a loop", bounds_in_a_loop},
    {{}, "moves in a loop", moves_in_a_loop},
    {{Op::tail}, "a tail call after a loop", tail_call_after_a_loop},
    {{Op::ret_n}, "arguments go round", arguments_go_round},
};

}  // namespace

std::span<const Scenario> register_scenarios() { return scenarios; }

}  // namespace atollvm::test
