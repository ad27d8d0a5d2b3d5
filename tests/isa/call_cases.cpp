// Calls, tail calls and returns of all forms.
#include <doctest/doctest.h>

#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

using runtime::HostContext;
using runtime::HostFunction;
using runtime::HostResult;

constexpr ValType i32 = ValType::i32;
constexpr ValType i64 = ValType::i64;

// A host function: 2 * a + b + 0x1'0000'0000.
const std::vector<HostFunction>& host() {
  static const std::vector<HostFunction> functions = [] {
    HostFunction function;
    function.module = "test";
    function.name = "mix";
    function.type = {{i64, i64}, {i64}};
    function.call = [](HostContext& context) {
      return context.result_i64(2 * context.arg_i64(0) + context.arg_i64(1) + 0x1'0000'0000);
    };
    return std::vector<HostFunction>{function};
  }();
  return functions;
}

runtime::Options host_options() {
  runtime::Options options;
  options.host = host();
  return options;
}

// (a, b, c) -> (c, a + b, a, b - c, 99)
CodeBuilder shuffle(ModuleBuilder& module) {
  CodeBuilder code(module.type({i64, i64, i64}, {i64, i64, i64, i64, i64}), 3, 8);
  code.emit(Op::mov, {3, 2}).emit(Op::i64_add, {4, 0, 1}).emit(Op::mov, {5, 0});
  code.emit(Op::i64_sub, {6, 1, 2}).emit(Op::i64_const, {7, 99}).emit(Op::ret_n, {3, 5});
  return code;
}

void many_values(const Tier& tier) {
  ModuleBuilder module;
  const u32 callee = module.add(shuffle(module));
  // The caller's slots below the window keep their values, results replace the arguments.
  CodeBuilder code(module.type({i64, i64, i64}, {i64, i64, i64, i64, i64, i64, i64, i64}), 3, 12);
  code.emit(Op::mov_n, {4, 0, 3}).emit(Op::call, {4, callee});
  code.emit(Op::mov, {3, 4}).emit(Op::mov, {4, 5}).emit(Op::mov, {5, 6}).emit(Op::mov, {6, 7});
  code.emit(Op::mov, {7, 8}).emit(Op::ret_n, {0, 8});
  const u32 caller = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.results(callee, {10, 20, 5}) == std::vector<u64>{5, 30, 10, 15, 99});
  CHECK(vm.results(caller, {10, 20, 5}) == std::vector<u64>{10, 20, 5, 5, 30, 10, 15, 99});
}

// 1,000 arguments and 1,000 results.
void most_values(const Tier& tier) {
  constexpr u32 count = 1000;
  ModuleBuilder module;
  const u32 type = module.type(std::vector(count, i64), std::vector(count, i64));
  CodeBuilder reverse(type, count, 2 * count);
  for (u32 i = 0; i < count; ++i) reverse.emit(Op::i64_add_i, {count + i, count - 1 - i, 1});
  reverse.emit(Op::ret_n, {count, count});
  const u32 callee = module.add(reverse);
  CodeBuilder code(type, count, 2 * count + 1);
  code.emit(Op::mov_n, {count + 1, 0, count}).emit(Op::call, {count + 1, callee});
  code.emit(Op::ret_n, {count + 1, count});
  const u32 caller = module.add(code);
  Vm vm(tier, module);
  std::vector<u64> arguments;
  std::vector<u64> expected;
  for (u64 i = 0; i < count; ++i) {
    arguments.push_back(i * 7);
    expected.push_back((count - 1 - i) * 7 + 1);
  }
  CHECK(vm.results(caller, arguments) == expected);
}

void no_values(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder nothing(module.type({}, {}), 0, 0);
  nothing.emit(Op::ret);
  const u32 callee = module.add(nothing);
  CodeBuilder code(module.type({}, {}), 0, 1);
  code.emit(Op::call, {1, callee}).emit(Op::call, {1, callee}).emit(Op::ret);
  const u32 caller = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.results(callee).empty());
  CHECK(vm.results(caller).empty());
}

// Locals are zero at each entry, whatever ran there before.
void zeroed_locals(const Tier& tier) {
  constexpr u32 locals = 70;
  ModuleBuilder module;
  // Fills a large frame with ones.
  CodeBuilder dirty(module.type({}, {}), 0, locals + 4);
  for (u32 i = 0; i < locals + 4; ++i) dirty.emit(Op::i64_const, {i, -1});
  dirty.emit(Op::ret);
  const u32 dirty_function = module.add(dirty);
  // The or of its locals, which it then sets to ones.
  CodeBuilder clean(module.type({i64}, {i64}), locals, locals + 1);
  clean.emit(Op::i64_const, {locals, 0});
  for (u32 i = 1; i < locals; ++i) clean.emit(Op::i64_or, {locals, locals, i});
  for (u32 i = 0; i < locals; ++i) clean.emit(Op::i64_const, {i, -1});
  clean.emit(Op::ret_1, {locals});
  const u32 clean_function = module.add(clean);
  const auto tail_to_clean = [&] {
    CodeBuilder code(module.type({i64}, {i64}), 1, 90);
    code.emit(Op::call, {3, dirty_function}).emit(Op::tail, {0, clean_function});
    return module.add(code);
  };
  const u32 tail_function = tail_to_clean();
  CodeBuilder code(module.type({}, {i64}), 1, 120);
  for (u32 turn = 0; turn < 3; ++turn) {
    code.emit(Op::call, {2, dirty_function});
    code.emit(Op::i64_const, {3, -1}).emit(Op::call, {3, clean_function});
    code.emit(Op::i64_or, {0, 0, 3});
    code.emit(Op::i64_const, {3, -1}).emit(Op::call, {3, tail_function});
    code.emit(Op::i64_or, {0, 0, 3});
  }
  code.emit(Op::ret_1, {0});
  const u32 caller = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.result(caller) == 0);
  for (u32 turn = 0; turn < 3; ++turn) {
    vm.results(dirty_function);
    CHECK(vm.result(clean_function, {~u64{0}}) == 0);
  }
}

void imports(const Tier& tier) {
  ModuleBuilder module;
  const u32 type = module.type({i64, i64}, {i64});
  const u32 mix = module.import_function("test", "mix", type);
  CodeBuilder code(type, 2, 8);
  code.emit(Op::mov_n, {5, 0, 2}).emit(Op::call_import, {5, mix});
  code.emit(Op::i64_add, {5, 5, 0}).emit(Op::ret_1, {5});
  const u32 caller = module.add(code);
  CodeBuilder tail(type, 2, 6);
  tail.emit(Op::mov, {4, 0}).emit(Op::mov, {3, 1}).emit(Op::tail_import, {3, mix});
  const u32 tail_caller = module.add(tail);
  CodeBuilder outer(type, 2, 8);
  outer.emit(Op::mov_n, {3, 0, 2}).emit(Op::call, {3, tail_caller}).emit(Op::ret_1, {3});
  const u32 outer_caller = module.add(outer);
  Vm vm(tier, module, host_options());
  constexpr u64 more = 0x1'0000'0000;
  CHECK(vm.result(caller, {100, 7}) == 207 + more + 100);
  CHECK(vm.result(tail_caller, {100, 7}) == 114 + more);
  CHECK(vm.result(outer_caller, {100, 7}) == 114 + more);
}

// --- Indirect calls -----------------------------------------------------------------------

// Functions 0 (imported: mix), then "add", "sub" of the same type, "other" of another type, and
// callers through the table and through references. The table holds add, sub, other, mix, null.
struct Indirect {
  ModuleBuilder module;
  u32 mix, add, sub, other;
  u32 call_table, call_ref, tail_table, tail_ref;
  u32 reference;  // i32 -> the reference in the table

  Indirect() {
    const u32 type = module.type({i64, i64}, {i64});
    // An equal type with another index: types are compared by structure.
    module.module.types.push_back({{i64, i64}, {i64}});
    const u32 same_type = static_cast<u32>(module.module.types.size() - 1);
    mix = module.import_function("test", "mix", type);
    const auto binary = [&](u32 function_type, Op op) {
      CodeBuilder code(function_type, 2, 3);
      code.emit(op, {2, 0, 1}).emit(Op::ret_1, {2});
      return module.add(code);
    };
    add = binary(type, Op::i64_add);
    sub = binary(same_type, Op::i64_sub);
    CodeBuilder different(module.type({i64, i32}, {i64}), 2, 2);
    different.emit(Op::ret_1, {0});
    other = module.add(different);
    module.table(6);
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.offset = {ModuleBuilder::i32_const(0)};
    for (u32 function : {add, sub, other, mix}) {
      segment.items.push_back({ModuleBuilder::ref_func(function)});
    }
    segment.items.push_back({ModuleBuilder::ref_null()});
    module.module.elems.push_back(segment);

    // (selector, a, b) -> the call's result + 1, or for tail calls the result.
    const u32 caller_type = module.type({i64, i64, i64}, {i64});
    const auto caller = [&](Op op, bool by_table) {
      CodeBuilder code(caller_type, 3, 20);
      code.emit(Op::mov_n, {10, 1, 2});
      if (by_table) {
        code.emit(op, {10, 0, type, 0});
      } else {
        code.emit(op, {10, type, 0});
      }
      if (isa::info(op).has(isa::ends)) return module.add(code);
      code.emit(Op::i64_add_i, {10, 10, 1}).emit(Op::ret_1, {10});
      return module.add(code);
    };
    call_table = caller(Op::call_table, true);
    call_ref = caller(Op::call_ref, false);
    tail_table = caller(Op::tail_table, true);
    tail_ref = caller(Op::tail_ref, false);
    CodeBuilder get(module.type({i32}, {ValType::funcref}), 1, 2);
    get.emit(Op::table_get, {1, 0, 0}).emit(Op::ret_1, {1});
    reference = module.add(get);
  }
};

u64 polluted(u32 value) { return u64{0xfeed'face} << 32 | value; }

void by_table(const Tier& tier) {
  Indirect indirect;
  Vm vm(tier, indirect.module, host_options());
  struct Way {
    u32 function;
    u64 more;
  };
  for (const Way& way : {Way{indirect.call_table, 1}, {indirect.tail_table, 0}}) {
    CHECK(vm.result(way.function, {polluted(0), 50, 8}) == 58 + way.more);
    CHECK(vm.result(way.function, {polluted(1), 50, 8}) == 42 + way.more);
    CHECK(vm.result(way.function, {polluted(3), 50, 8}) == 0x1'0000'0000 + 108 + way.more);
    vm.traps(Trap::type_mismatch, way.function, {polluted(2), 50, 8});
    vm.traps(Trap::null_reference, way.function, {polluted(4), 50, 8});
    vm.traps(Trap::null_reference, way.function, {polluted(5), 50, 8});
    for (u32 index : {6u, 7u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) {
      vm.traps(Trap::undefined_element, way.function, {polluted(index), 50, 8});
    }
  }
}

void by_reference(const Tier& tier) {
  Indirect indirect;
  Vm vm(tier, indirect.module, host_options());
  struct Way {
    u32 function;
    u64 more;
  };
  const u32 functions = indirect.reference + 1;
  for (const Way& way : {Way{indirect.call_ref, 1}, {indirect.tail_ref, 0}}) {
    const u64 add = vm.result(indirect.reference, {0});
    const u64 sub = vm.result(indirect.reference, {1});
    const u64 mix = vm.result(indirect.reference, {3});
    CHECK(vm.result(way.function, {add, 50, 8}) == 58 + way.more);
    CHECK(vm.result(way.function, {sub, 50, 8}) == 42 + way.more);
    CHECK(vm.result(way.function, {mix, 50, 8}) == 0x1'0000'0000 + 108 + way.more);
    vm.traps(Trap::null_reference, way.function, {0, 50, 8});
    vm.traps(Trap::type_mismatch, way.function, {vm.result(indirect.reference, {2}), 50, 8});
    // Forged bits name another function of this process, or nothing.
    CHECK(add == runtime::function_reference(0, indirect.add));
    CHECK(vm.result(way.function, {runtime::function_reference(0, indirect.sub), 50, 8}) ==
          42 + way.more);
    CHECK(vm.result(way.function, {runtime::function_reference(0, indirect.mix), 50, 8}) ==
          0x1'0000'0000 + 108 + way.more);
    const u64 forged[] = {1,
                          indirect.add,
                          0xffff'ffff,
                          runtime::function_reference(0, functions),
                          runtime::function_reference(0, 0x7fff'ffff),
                          runtime::function_reference(0, 0xffff'ffff),
                          runtime::function_reference(1, indirect.add),
                          runtime::function_reference(1, 0),
                          runtime::function_reference(0x7fff'fffe, indirect.add),
                          runtime::function_reference(0xffff'fffe, indirect.add),
                          0xdead'beef'dead'beef,
                          0xffff'ffff'ffff'ffff};
    for (u64 reference : forged) {
      INFO("reference " << reference);
      vm.traps(Trap::invalid_reference, way.function, {reference, 50, 8});
    }
  }
}

// References forged into a table are checked at the call too.
void forged_element(const Tier& tier) {
  Indirect indirect;
  CodeBuilder set(indirect.module.type({i32, ValType::funcref}, {}), 2, 2);
  set.emit(Op::table_set, {0, 0, 1}).emit(Op::ret);
  const u32 set_function = indirect.module.add(set);
  Vm vm(tier, indirect.module, host_options());
  for (u64 reference : {runtime::function_reference(1, 1), u64{1}, ~u64{0},
                        runtime::function_reference(0, set_function + 1)}) {
    vm.results(set_function, {0, reference});
    vm.traps(Trap::invalid_reference, indirect.call_table, {0, 1, 1});
    vm.results(set_function, {0, reference});
    vm.traps(Trap::invalid_reference, indirect.tail_table, {0, 1, 1});
  }
  vm.results(set_function, {5, runtime::function_reference(0, indirect.sub)});
  CHECK(vm.result(indirect.call_table, {5, 9, 4}) == 6);
}

// --- Depth --------------------------------------------------------------------------------

// Even and odd by mutual tail calls of each form: a million deep in a small stack.
void deep_tail_calls(const Tier& tier) {
  for (Op op : {Op::tail, Op::tail_table, Op::tail_ref}) {
    ModuleBuilder module;
    const u32 type = module.type({i64, i64}, {i64});
    module.table(2);
    for (u32 self = 0; self < 2; ++self) {
      const u32 other = 1 - self;
      CodeBuilder code(type, 2, self == 0 ? 30 : 9);
      const Label end = code.label();
      code.emit(Op::br_i64_eq_i, {0, 0, end});
      // Arguments at different places, so that they really move.
      const u32 at = self == 0 ? 20 : 3;
      code.emit(Op::i64_add_i, {at, 0, -1}).emit(Op::i64_add, {at + 1, 1, 0});
      if (op == Op::tail) {
        code.emit(op, {at, other});
      } else if (op == Op::tail_table) {
        code.emit(Op::i32_const, {at + 2, other}).emit(op, {at, 0, type, at + 2});
      } else {
        code.emit(Op::ref_func, {at + 2, other}).emit(op, {at, type, at + 2});
      }
      code.bind(end).emit(Op::ret_1, {1});
      module.add(code);
    }
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.offset = {ModuleBuilder::i32_const(0)};
    segment.items = {{ModuleBuilder::ref_func(0)}, {ModuleBuilder::ref_func(1)}};
    module.module.elems.push_back(segment);
    runtime::Options options;
    options.limits.stack_bytes = 64 * 8;
    Vm vm(tier, module, options);
    constexpr u64 depth = 1'000'000;
    CHECK(vm.result(0, {depth, 0}) == depth * (depth + 1) / 2);
    CHECK(vm.process().usage().stack_bytes <= 64 * 8);
  }
}

// A tail call to a function with more arguments than the caller has slots in use.
void widening_tail_call(const Tier& tier) {
  ModuleBuilder module;
  const u32 wide_type = module.type(std::vector(40, i64), {i64});
  CodeBuilder wide(wide_type, 40, 41);
  wide.emit(Op::i64_const, {40, 0});
  for (u32 i = 0; i < 40; ++i) wide.emit(Op::i64_mul_i, {40, 40, 3}).emit(Op::i64_add, {40, 40, i});
  wide.emit(Op::ret_1, {40});
  const u32 callee = module.add(wide);
  CodeBuilder code(module.type({i64}, {i64}), 1, 41);
  for (u32 i = 0; i < 40; ++i) code.emit(Op::i64_add_i, {1 + i, 0, i});
  code.emit(Op::tail, {1, callee});
  const u32 narrow = module.add(code);
  // Called from a frame that goes on afterwards.
  CodeBuilder outer(module.type({i64}, {i64, i64}), 1, 4);
  outer.emit(Op::mov, {3, 0}).emit(Op::call, {3, narrow}).emit(Op::mov, {1, 3});
  outer.emit(Op::ret_n, {0, 2});
  const u32 caller = module.add(outer);
  Vm vm(tier, module);
  u64 expected = 0;
  for (u64 i = 0; i < 40; ++i) expected = expected * 3 + (5 + i);
  CHECK(vm.results(caller, {5}) == std::vector<u64>{5, expected});
}

// A tail call's results go where the first caller wanted them.
void tail_results(const Tier& tier) {
  ModuleBuilder module;
  const u32 callee = module.add(shuffle(module));
  const u32 type = module.type({i64, i64, i64}, {i64, i64, i64, i64, i64});
  CodeBuilder middle(type, 3, 7);
  middle.emit(Op::mov, {4, 2}).emit(Op::mov, {5, 1}).emit(Op::mov, {6, 0});
  middle.emit(Op::tail, {4, callee});
  const u32 middle_function = module.add(middle);
  CodeBuilder code(type, 3, 20);
  code.emit(Op::mov_n, {10, 0, 3}).emit(Op::call, {10, middle_function});
  code.emit(Op::ret_n, {10, 5});
  const u32 caller = module.add(code);
  Vm vm(tier, module);
  CHECK(vm.results(caller, {10, 20, 5}) == std::vector<u64>{10, 25, 5, 10, 99});
}

// Each argument in turn is a sum; the others keep their values.
void calls_with_sum(const Tier& tier) {
  for (Op op : {Op::call_i32_add_i, Op::call_i64_add_i}) {
    ModuleBuilder module;
    const u32 callee = module.add(shuffle(module));
    struct Made {
      u32 argument;
      atollvm::i64 imm;
      u32 function;
    };
    std::vector<Made> made;
    const u32 type = module.type({i64, i64, i64}, {i64, i64, i64, i64, i64, i64, i64, i64});
    for (u32 argument = 0; argument < 3; ++argument) {
      for (atollvm::i64 imm : edges_imm) {
        CodeBuilder code(type, 3, 12);
        code.emit(Op::mov_n, {4, 0, 3});
        code.emit(op, {4, callee, 4 + argument, 1, imm});
        code.emit(Op::mov, {3, 4}).emit(Op::mov, {4, 5}).emit(Op::mov, {5, 6});
        code.emit(Op::mov, {6, 7}).emit(Op::mov, {7, 8}).emit(Op::ret_n, {0, 8});
        made.push_back({argument, imm, module.add(code)});
      }
    }
    Vm vm(tier, module);
    for (const Made& each : made) {
      for (u64 value : edges64) {
        u64 sum = value + static_cast<u64>(each.imm);
        if (op == Op::call_i32_add_i) sum = static_cast<u32>(sum);
        u64 in[] = {70, value, 5};
        in[each.argument] = sum;
        CHECK(vm.results(each.function, {70, value, 5}) ==
              std::vector<u64>{70, value, 5, in[2], in[0] + in[1], in[0], in[1] - in[2], 99});
      }
    }
  }
}

void returned_sums(const Tier& tier) {
  for (Op op : {Op::ret_i32_add, Op::ret_i64_add}) {
    ModuleBuilder module;
    const u32 type = module.type({i64, i64}, {i64});
    CodeBuilder code(type, 2, 2);
    const u32 function = module.add(code.emit(op, {0, 1}));
    CodeBuilder caller(type, 2, 8);
    caller.emit(Op::mov_n, {5, 0, 2}).emit(Op::call, {5, function});
    caller.emit(Op::i64_add_i, {5, 5, 1}).emit(Op::ret_1, {5});
    const u32 calling = module.add(caller);
    Vm vm(tier, module);
    for (u64 a : edges64) {
      for (u64 b : edges64) {
        const u64 sum = op == Op::ret_i32_add ? static_cast<u32>(a + b) : a + b;
        CHECK(vm.result(function, {a, b}) == sum);
        CHECK(vm.result(calling, {a, b}) == sum + 1);
      }
    }
  }
}

// Sum of 1 .. n by recursion, with a window at the given place. A call that computes its argument
// takes it from where it goes, so that it must be computed exactly once.
u32 add_recursion(ModuleBuilder& module, Op op, u32 frame, u32 window) {
  const u32 self = static_cast<u32>(module.module.functions.size());
  CodeBuilder code(module.type({i64}, {i64}), 1, frame);
  const Label end = code.label();
  code.emit(Op::br_i64_eq_i, {0, 0, end});
  if (op == Op::call) {
    code.emit(Op::i64_add_i, {window, 0, -1}).emit(op, {window, self});
  } else {
    code.emit(Op::mov, {window, 0}).emit(op, {window, self, window, window, -1});
  }
  code.emit(Op::i64_add, {window, window, 0}).emit(Op::ret_1, {window});
  code.bind(end).emit(Op::ret_1, {0});
  return module.add(code);
}

// The overflow comes exactly when fp + max(frame, 16) passes the limit. The first frame starts at
// slot 1, after its header.
void stack_limit(const Tier& tier) {
  struct Case {
    u32 frame, window;
    Op op;
  };
  for (const Case& test : {Case{3, 2, Op::call},
                           {3, 2, Op::call_i64_add_i},
                           {16, 2, Op::call},
                           {17, 2, Op::call},
                           {17, 2, Op::call_i32_add_i},
                           {40, 2, Op::call},
                           {40, 39, Op::call_i64_add_i},
                           {300, 150, Op::call}}) {
    for (u64 slots : {u64{500}, u64{511}, u64{512}, u64{1000}, u64{4096}, u64{100'003}}) {
      INFO("frame " << test.frame << " window " << test.window << " stack " << slots);
      ModuleBuilder module;
      const u32 function = add_recursion(module, test.op, test.frame, test.window);
      runtime::Options options;
      options.limits.stack_bytes = slots * 8;
      Vm vm(tier, module, options);
      const u64 needs = std::max(test.frame, 16u);
      // depth calls below the first: 1 + depth * window + needs <= slots.
      const u64 depth = (slots - 1 - needs) / test.window;
      CHECK(vm.result(function, {depth}) == depth * (depth + 1) / 2);
      vm.traps(Trap::stack_overflow, function, {depth + 1});
      vm.traps(Trap::stack_overflow, function, {~u64{0}});
      CHECK(vm.process().usage().stack_bytes <= slots * 8);
      CHECK(vm.result(function, {depth}) == depth * (depth + 1) / 2);
    }
  }
}

// A tail call to a larger frame than the caller's.
void stack_limit_of_tail_calls(const Tier& tier) {
  constexpr u64 slots = 200;
  for (bool fits : {true, false}) {
    ModuleBuilder module;
    const u32 type = module.type({i64}, {i64});
    CodeBuilder large(type, 1, fits ? slots - 1 : slots);
    large.emit(Op::ret_1, {0});
    const u32 large_function = module.add(large);
    module.table(1);
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.offset = {ModuleBuilder::i32_const(0)};
    segment.items = {{ModuleBuilder::ref_func(large_function)}};
    module.module.elems.push_back(segment);
    std::vector<u32> callers;
    for (Op op : {Op::tail, Op::tail_table, Op::tail_ref}) {
      CodeBuilder code(type, 1, 4);
      code.emit(Op::mov, {2, 0});
      if (op == Op::tail) code.emit(op, {2, large_function});
      if (op == Op::tail_table) code.emit(Op::i32_const, {3, 0}).emit(op, {2, 0, type, 3});
      if (op == Op::tail_ref) code.emit(Op::ref_func, {3, large_function}).emit(op, {2, type, 3});
      callers.push_back(module.add(code));
    }
    runtime::Options options;
    options.limits.stack_bytes = slots * 8;
    Vm vm(tier, module, options);
    for (u32 caller : callers) {
      if (fits) {
        CHECK(vm.result(caller, {77}) == 77);
      } else {
        vm.traps(Trap::stack_overflow, caller, {77});
      }
    }
  }
}

const Scenario scenarios[] = {
    {{Op::call, Op::ret_n}, "calls with many values", many_values},
    {{Op::call, Op::ret_n}, "calls with the most values", most_values},
    {{Op::call, Op::ret}, "calls without values", no_values},
    {{Op::call, Op::tail, Op::ret_1}, "locals are zeroed", zeroed_locals},
    {{Op::call_import, Op::tail_import}, "calls of imports", imports},
    {{Op::call_table, Op::tail_table}, "calls through a table", by_table},
    {{Op::call_ref, Op::tail_ref}, "calls through references", by_reference},
    {{Op::call_table, Op::tail_table}, "forged table elements", forged_element},
    {{Op::tail, Op::tail_table, Op::tail_ref}, "deep tail calls", deep_tail_calls},
    {{Op::tail}, "a widening tail call", widening_tail_call},
    {{Op::tail, Op::call}, "results of tail calls", tail_results},
    {{Op::call_i32_add_i, Op::call_i64_add_i}, "calls with a sum", calls_with_sum},
    {{Op::ret_i32_add, Op::ret_i64_add}, "returned sums", returned_sums},
    {{}, "the stack limit", stack_limit},
    {{Op::tail, Op::tail_table, Op::tail_ref},
     "the stack limit of tail calls",
     stack_limit_of_tail_calls},
};

}  // namespace

std::span<const Scenario> call_scenarios() { return scenarios; }

}  // namespace atollvm::test
