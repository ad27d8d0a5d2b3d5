// Conditional branches: taken and not taken, forward and backward, for each comparison.
#include <doctest/doctest.h>

#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

enum class Relation : u8 { eq, ne, lt, gt, le, ge, nlt, nle };

template <class T>
bool holds(Relation relation, T a, T b) {
  switch (relation) {
    case Relation::eq:
      return a == b;
    case Relation::ne:
      return a != b;
    case Relation::lt:
      return a < b;
    case Relation::gt:
      return a > b;
    case Relation::le:
      return a <= b;
    case Relation::ge:
      return a >= b;
    case Relation::nlt:
      return !(a < b);
    case Relation::nle:
      return !(a <= b);
  }
  return false;
}

// How a row compares its operands, read from its name: "br.i32.lt_s.i" and so on.
struct Comparison {
  Relation relation = Relation::eq;
  bool wide = false;
  bool is_float = false;
  bool is_signed = true;

  [[nodiscard]] bool operator()(u64 a, u64 b) const {
    const u32 low_a = static_cast<u32>(a);
    const u32 low_b = static_cast<u32>(b);
    if (is_float) {
      return wide ? holds(relation, Bits64::value(a), Bits64::value(b))
                  : holds(relation, Bits32::value(low_a), Bits32::value(low_b));
    }
    if (is_signed) {
      return wide ? holds(relation, static_cast<i64>(a), static_cast<i64>(b))
                  : holds(relation, static_cast<i32>(low_a), static_cast<i32>(low_b));
    }
    return wide ? holds(relation, a, b) : holds(relation, low_a, low_b);
  }
};

Comparison comparison_of(std::string_view name) {
  Comparison comparison;
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  comparison.wide = has(".i64.") || has(".f64.");
  comparison.is_float = has(".f32.") || has(".f64.");
  comparison.is_signed = !has("_u");
  constexpr std::pair<std::string_view, Relation> relations[] = {
      {".eq", Relation::eq},   {".ne", Relation::ne},  {".lt", Relation::lt},
      {".gt", Relation::gt},   {".le", Relation::le},  {".ge", Relation::ge},
      {".nlt", Relation::nlt}, {".nle", Relation::nle}};
  // Longer names come later in the list and win.
  for (const auto& [text, relation] : relations) {
    if (has(text)) comparison.relation = relation;
  }
  return comparison;
}

void add_comparisons(std::vector<ValueCase>& cases, Op op) {
  const isa::OpInfo& info = isa::info(op);
  const Comparison comparison = comparison_of(info.name);
  const bool immediate = info.format == isa::Format::sif || info.format == isa::Format::sib;
  const auto add = [&](u64 a, u64 b) {
    ValueCase test{.op = op, .in = {a, immediate ? 0 : b}, .out = bits(comparison(a, b))};
    if (immediate) test.imm = static_cast<i64>(b);
    cases.push_back(test);
  };
  const auto add_pairs = [&](const auto& first, const auto& second) {
    for (auto a : first) {
      for (auto b : second) add(static_cast<u64>(a), static_cast<u64>(b));
    }
  };
  if (comparison.is_float) {
    if (comparison.wide) {
      add_pairs(float_edges<u64>(), float_edges<u64>());
    } else {
      add_pairs(float_edges<u32>(), float_edges<u32>());
    }
  } else if (immediate) {
    if (comparison.wide) {
      add_pairs(edges64, edges_imm);
    } else {
      add_pairs(edges32, edges_imm);
    }
  } else if (comparison.wide) {
    add_pairs(edges64, edges64);
  } else {
    add_pairs(edges32, edges32);
  }
}

// back.*.inc and back.*.add: a value goes up, and is compared.
void add_counting(std::vector<ValueCase>& cases, Op op) {
  const isa::OpInfo& info = isa::info(op);
  const Comparison comparison = comparison_of(info.name);
  const bool by_one = info.format == isa::Format::xsb;
  const auto add = [&](u64 a, u64 step, u64 bound) {
    u64 sum = a + step;
    if (!comparison.wide) sum = static_cast<u32>(sum);
    ValueCase test{.op = op, .in = {a, step, bound}, .out = bits(comparison(sum, bound))};
    if (by_one) test.in = {a, bound, 0};
    test.updated = sum;
    cases.push_back(test);
  };
  constexpr u64 steps[] = {0, 1, 2, 0x7fff'ffff, 0xffff'ffff, 0x7fff'ffff'ffff'ffff, ~u64{0}};
  for (u64 a : edges64) {
    for (u64 bound : edges64) {
      if (by_one) {
        add(a, 1, bound);
      } else {
        for (u64 step : steps) add(a, step, bound);
      }
    }
  }
}

// --- Scenarios ------------------------------------------------------------------------------

void plain_branches(const Tier& tier) {
  ModuleBuilder module;
  // Counts down from the argument with back, leaves with br: 3 * argument.
  CodeBuilder code(module.type({ValType::i32}, {ValType::i32}), 2, 2);
  const Label loop = code.label();
  const Label out = code.label();
  const Label end = code.label();
  code.emit(Op::nop).bind(loop).emit(Op::br_i32_eq_i, {0, 0, out});
  code.emit(Op::i32_add_i, {1, 1, 3}).emit(Op::i32_add_i, {0, 0, -1}).emit(Op::back, {loop});
  code.bind(out).emit(Op::br, {end});
  code.bind(end).emit(Op::ret_1, {1});
  const u32 function = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.result(function, {0}) == 0);
  CHECK(vm.result(function, {1}) == 3);
  CHECK(vm.result(function, {1000}) == 3000);
}

// A branch whose target is itself: turns until its own condition fails.
void branch_to_itself(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder code(module.type({ValType::i32, ValType::i32}, {ValType::i32}), 2, 2);
  const Label self = code.label();
  code.bind(self).emit(Op::back_i32_inc_lt_s, {0, 1, self}).emit(Op::ret_1, {0});
  const u32 function = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.result(function, {0, 1000}) == 1000);
  CHECK(vm.result(function, {5, 5}) == 6);
}

// Distances that need all bits of the 16-bit and the 32-bit field.
void far_branches(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder code(module.type({ValType::i32}, {ValType::i32}), 2, 2);
  const Label back = code.label();
  const Label leave = code.label();
  const Label far = code.label();
  const Label further = code.label();
  const Label furthest = code.label();
  code.emit(Op::br_i32_ne_i, {0, 0, far});  // 65,535 words on
  code.bind(back).emit(Op::i32_add_i, {1, 1, 33}).emit(Op::br_i32_le_s_i, {0, 2, leave});
  while (code.here() < 65534) code.emit(Op::nop);
  code.bind(leave).emit(Op::ret_1, {1});
  code.bind(far).emit(Op::i32_add_i, {1, 1, 100});
  code.emit(Op::back_i32_eq_i, {0, 1, back});  // 65,535 words back
  code.emit(Op::br_i32_eq_i, {0, 2, further}).emit(Op::br, {furthest});
  code.bind(further).emit(Op::i32_add_i, {1, 1, 1000});
  for (u32 i = 0; i < 66000; ++i) code.emit(Op::nop);
  code.emit(Op::back, {back});
  code.bind(furthest).emit(Op::ret_1, {1});
  const u32 function = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.result(function, {0}) == 33);
  CHECK(vm.result(function, {1}) == 133);
  CHECK(vm.result(function, {2}) == 1133);
  CHECK(vm.result(function, {3}) == 100);
}

void br_table(const Tier& tier) {
  ModuleBuilder module;
  const u32 type = module.type({ValType::i32}, {ValType::i32});
  const auto make = [&](u32 targets) {
    CodeBuilder code(type, 1, 2);
    std::vector<Label> labels;
    std::vector<Arg> args = {0};
    for (u32 i = 0; i < targets; ++i) {
      labels.push_back(code.label());
      args.emplace_back(labels.back());
    }
    code.emit(Op::br_table, args);
    for (u32 i = 0; i < targets; ++i) {
      code.bind(labels[i]).emit(Op::i32_const, {1, 100 + i}).emit(Op::ret_1, {1});
    }
    return module.add(code);
  };
  struct Made {
    u32 targets;
    u32 function;
  };
  std::vector<Made> made;
  for (u32 targets : {1u, 2u, 3u, 4u, 7u, 300u}) made.push_back({targets, make(targets)});
  Vm vm(tier, module);
  for (const Made& each : made) {
    const u32 last = each.targets - 1;
    for (u32 index : {0u, 1u, last - 1, last, last + 1, 299u, 65536u, 0x8000'0000u, 0xffff'ffffu}) {
      const u64 polluted = u64{0xdead'beef} << 32 | index;
      CHECK(vm.result(each.function, {polluted}) == 100 + (index < last ? index : last));
    }
  }
}

// Several entries may name one target.
void br_table_shared(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder code(module.type({ValType::i32}, {ValType::i32}), 1, 2);
  const Label even = code.label();
  const Label odd = code.label();
  code.emit(Op::br_table, {0, even, odd, even, odd, even});
  code.bind(even).emit(Op::i32_const, {1, 2}).emit(Op::ret_1, {1});
  code.bind(odd).emit(Op::i32_const, {1, 1}).emit(Op::ret_1, {1});
  const u32 function = module.add(code);
  Vm vm(tier, module);
  const u64 expected[] = {2, 1, 2, 1, 2, 2};
  for (u32 i = 0; i < 6; ++i) CHECK(vm.result(function, {i}) == expected[i]);
}

void unreachable(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder code(module.type({}, {}), 0, 0);
  code.emit(Op::nop).emit(Op::unreachable);
  const u32 function = module.add(code);
  Vm vm(tier, module);
  vm.traps(Trap::unreachable, function);
}

std::vector<Op> ops_of(isa::Format format) {
  std::vector<Op> ops;
  for (u32 number = 0; number < isa::op_count; ++number) {
    if (isa::op_table[number].format == format) ops.push_back(static_cast<Op>(number));
  }
  return ops;
}

// Conditional returns: out of the call from outside, and to a guest's frame.
void conditional_returns(const Tier& tier) {
  constexpr u64 not_taken = 0x1111'2222'3333'4444;
  const std::vector<u64> values(std::begin(edges64), std::end(edges64));
  for (Op op : ops_of(isa::Format::sis)) {
    INFO(isa::info(op).name);
    const Comparison comparison = comparison_of(isa::info(op).name);
    ModuleBuilder module;
    const u32 type = module.type({ValType::i64, ValType::i64}, {ValType::i64});
    struct Made {
      i64 imm;
      u32 function, caller;
    };
    std::vector<Made> made;
    for (i64 imm : edges_imm) {
      CodeBuilder code(type, 2, 3);
      code.emit(op, {0, imm, 1}).emit(Op::i64_const_long, {2, not_taken}).emit(Op::ret_1, {2});
      const u32 function = module.add(code);
      CodeBuilder caller(type, 2, 8);
      caller.emit(Op::mov_n, {5, 0, 2}).emit(Op::call, {5, function});
      caller.emit(Op::i64_add_i, {5, 5, 1}).emit(Op::ret_1, {5});
      made.push_back({imm, function, module.add(caller)});
    }
    Vm vm(tier, module);
    for (const Made& each : made) {
      for (u64 value : values) {
        const bool taken = comparison(value, static_cast<u64>(each.imm));
        const u64 result = ~value * 3;
        CHECK(vm.result(each.function, {value, result}) == (taken ? result : not_taken));
        CHECK(vm.result(each.caller, {value, result}) == (taken ? result : not_taken) + 1);
      }
    }
  }
}

const Scenario scenarios[] = {
    {ops_of(isa::Format::sis), "conditional returns", conditional_returns},
    {{Op::br, Op::back, Op::nop}, "plain branches", plain_branches},
    {{Op::back_i32_inc_lt_s}, "a branch to itself", branch_to_itself},
    {{Op::br, Op::back_i32_eq_i}, "far branches", far_branches},
    {{Op::br_table}, "br_table", br_table},
    {{Op::br_table}, "br_table with shared targets", br_table_shared},
    {{Op::unreachable, Op::nop}, "unreachable", unreachable},
};

}  // namespace

std::vector<ValueCase> branch_values() {
  std::vector<ValueCase> cases;
  for (u32 number = 0; number < isa::op_count; ++number) {
    const Op op = static_cast<Op>(number);
    switch (isa::info(op).format) {
      case isa::Format::ssf:
      case isa::Format::ssb:
      case isa::Format::sif:
      case isa::Format::sib:
        add_comparisons(cases, op);
        break;
      case isa::Format::xsb:
      case isa::Format::xssb:
        add_counting(cases, op);
        break;
      default:
        break;
    }
  }
  return cases;
}

std::span<const Scenario> branch_scenarios() { return scenarios; }

}  // namespace atollvm::test
