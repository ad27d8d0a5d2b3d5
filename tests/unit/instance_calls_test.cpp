// Several instances in one process: calls between them, references.
#include "tests/support/instances.hpp"
#include "tests/support/tier.hpp"

using namespace atollvm;
using namespace atollvm::test;

// --- Calls --------------------------------------------------------------------------------

TEST_CASE("instances: calls there and back carry arguments and results") {
  for (const Op way : calls) {
    INFO(isa::info(way).name);
    const Pair pair(way);
    for (const u64 n : {0, 1, 2, 3, 10, 501}) {
      CHECK(call_in(*pair.process, pair.a, pair.function, {n, 10, 20, 30}) ==
            std::vector<u64>{10 + (n + 1) / 2, 20 + n / 2, 30});
    }
  }
}

TEST_CASE("instances: every operation that returns does so over a marker") {
  // Each function is (a, b) -> one or two slots.
  ModuleBuilder callee;
  const u32 one = callee.type({int32, int32}, {int32});
  const u32 two = callee.type({int32, int32}, {int32, int32});
  const u32 none = callee.type({int32, int32}, {});
  const auto function = [&](const char* name, u32 type, auto emit) {
    CodeBuilder code(type, 2, 4);
    emit(code);
    callee.export_function(name, callee.add(code));
  };
  function("ret", none, [](CodeBuilder& code) { code.emit(Op::ret); });
  function("ret.1", one, [](CodeBuilder& code) { code.emit(Op::ret_1, {1}); });
  function("ret.n", two, [](CodeBuilder& code) {
    code.emit(Op::mov, {2, 1}).emit(Op::mov, {3, 0}).emit(Op::ret_n, {2, 2});
  });
  function("sum", one, [](CodeBuilder& code) { code.emit(Op::ret_i32_add, {0, 1}); });
  function("if", one, [](CodeBuilder& code) {
    code.emit(Op::ret_if_i32_eq_i, {0, 7, 1}).emit(Op::ret_1, {0});
  });
  const auto process = process_of(callee);
  process->name_instance("callee", 0);
  ModuleBuilder module;
  module.type({}, {});
  const u32 one_here = module.type({int32, int32}, {int32});
  const u32 two_here = module.type({int32, int32}, {int32, int32});
  const u32 none_here = module.type({int32, int32}, {});
  const std::vector<std::pair<const char*, u32>> imports = {{"ret", none_here},
                                                            {"ret.1", one_here},
                                                            {"ret.n", two_here},
                                                            {"sum", one_here},
                                                            {"if", one_here}};
  for (const auto& [name, type] : imports) module.import_function("callee", name, type);
  std::vector<u32> wrappers;
  for (u32 i = 0; i < imports.size(); ++i) {
    // The window's results, and the local below, which must keep its value.
    const u32 count = i == 0 ? 0 : i == 2 ? 2 : 1;
    CodeBuilder code(module.type({int32, int32}, std::vector<ValType>(count + 1, int32)), 2, 8);
    code.emit(Op::mov_n, {5, 0, 2}).emit(Op::call_import, {5, i}).emit(Op::mov, {2, 0});
    if (count != 0) code.emit(Op::mov_n, {3, 5, count});
    if (count == 0) {
      code.emit(Op::ret_1, {2});
    } else {
      code.emit(Op::ret_n, {2, count + 1});
    }
    wrappers.push_back(module.add(code));
  }
  const u32 instance = add(*process, module);
  const auto run = [&](u32 i, u64 a, u64 b) {
    return call_in(*process, instance, wrappers[i], {a, b});
  };
  CHECK(run(0, 7, 9) == std::vector<u64>{7});
  CHECK(run(1, 7, 9) == std::vector<u64>{7, 9});
  CHECK(run(2, 7, 9) == std::vector<u64>{7, 9, 7});
  CHECK(run(3, 7, 9) == std::vector<u64>{7, 16});
  CHECK(run(4, 7, 9) == std::vector<u64>{7, 9});
  CHECK(run(4, 8, 9) == std::vector<u64>{8, 8});
}

TEST_CASE("instances: recursion between instances overflows at the same place in all shells") {
  for (const Op way : calls) {
    INFO(isa::info(way).name);
    std::vector<u64> places;
    for (const bool steps : {false, true}) {
      const Pair pair(way, stack_of(64 << 10));
      Process& process = *pair.process;
      REQUIRE(process.prepare(pair.function, std::vector<u64>{1'000'000, 1, 2, 3}, pair.a).ok());
      const Outcome outcome = steps ? interp::step(process, ~u64{0}) : test::run_tier(process);
      CHECK(outcome.kind == Kind::trapped);
      CHECK(outcome.trap == Trap::stack_overflow);
      places.push_back(process.saved.fp);
      places.push_back(process.saved.pc);
      const auto trace = process.trace(1000);
      // 8192 slots, a frame and its marker each 10 slots apart, the last with room for 16.
      CHECK(trace.size() == (8192 - 1 - 16) / 10 + 1);
      for (usize i = 0; i < trace.size(); ++i) {
        const bool in_a = (trace.size() - 1 - i) % 2 == 0;
        REQUIRE(trace[i].name == (in_a ? "a" : "b"));
        REQUIRE(trace[i].instance == (in_a ? pair.a : 1));
        REQUIRE(trace[i].depth == i);
      }
      // The process's other instances can be called again.
      CHECK(call_in(process, pair.a, pair.function, {4, 0, 0, 0}) == std::vector<u64>{2, 2, 0});
    }
    CHECK(places[0] == places[2]);
    CHECK(places[1] == places[3]);
  }
}

TEST_CASE("instances: tail calls between instances run in constant space") {
  for (const Op way : tails) {
    INFO(isa::info(way).name);
    const Pair pair(way, stack_of(100 * sizeof(u64)));
    CHECK(call_in(*pair.process, pair.a, pair.function, {1'000'001, 5, 6, 7}) ==
          std::vector<u64>{5 + 500'001, 6 + 500'000, 7});
    // Under a guest's frame: one marker, however many calls.
    ModuleBuilder outer;
    const std::vector<ValType> params = {int64, int64, int64, int64};
    const std::vector<ValType> results = {int64, int64, int64};
    const u32 type = outer.type(params, results);
    pair.process->name_instance("a", pair.a);
    const u32 a = outer.import_function("a", "a", type);
    CodeBuilder inner(type, 4, 4);
    const u32 between = outer.add(inner.emit(Op::tail_import, {0, a}));
    CodeBuilder code(type, 4, 10);
    code.emit(Op::mov_n, {5, 0, 4}).emit(Op::call, {5, between});
    code.emit(Op::i64_add, {5, 5, 0}).emit(Op::ret_n, {5, 3});
    const u32 main = outer.add(code);
    outer.export_function("main", main);
    const u32 instance = add(*pair.process, outer);
    for (const u64 n : {0, 1, 2, 100'000}) {
      CHECK(call_in(*pair.process, instance, main, {n, 1, 2, 3}) ==
            std::vector<u64>{1 + (n + 1) / 2 + n, 2 + n / 2, 3});
    }
  }
}

TEST_CASE("instances: a tail call's marker shows the frame under it in traces") {
  ModuleBuilder deep;
  CodeBuilder trap(deep.type({}, {}), 0, 0);
  deep.export_function("deep", deep.add(trap.emit(Op::unreachable)));
  const auto process = process_of(deep);
  process->name_instance("deep", 0);
  ModuleBuilder module;
  const u32 import = module.import_function("deep", "deep", module.type({}, {}));
  CodeBuilder tail(module.type({}, {}), 0, 0);
  const u32 leaves = module.add(tail.emit(Op::tail_import, {0, import}));
  CodeBuilder code(module.type({}, {}), 0, 3);
  const u32 main = module.add(code.emit(Op::nop).emit(Op::call, {3, leaves}).emit(Op::ret));
  module.export_function("main", main);
  const u32 second = add(*process, module);
  CHECK(trap_in(*process, second, main) == Trap::unreachable);
  const auto trace = process->trace();
  REQUIRE(trace.size() == 2);
  CHECK(trace[0].name == "deep");
  CHECK(trace[0].instance == 0);
  CHECK(trace[1].name == "main");
  CHECK(trace[1].instance == second);
  CHECK(trace[1].pc == 2);
}

TEST_CASE("instances: each sees its own memory, however deep, and growth by the other") {
  // "grow" () grows the shared memory, and the caller then reaches its new end.
  ModuleBuilder owner;
  const u32 memory = owner.memory(1);
  give(owner, "memory", ExternKind::memory, memory);
  CodeBuilder grow(owner.type({}, {}), 0, 2);
  grow.emit(Op::i32_const, {0, 1}).emit(Op::memory_grow, {1, memory, 0}).emit(Op::ret);
  owner.export_function("grow", owner.add(grow));
  for (auto strategy : {runtime::MemoryStrategy::checked, runtime::MemoryStrategy::guarded}) {
    Options options;
    options.memory = strategy;
    const auto process = process_of(owner, options);
    process->name_instance("owner", 0);
    // Without a memory, in between.
    ModuleBuilder middle;
    const u32 grow_import = middle.import_function("owner", "grow", middle.type({}, {}));
    CodeBuilder pass(middle.type({}, {}), 0, 2);
    middle.export_function("pass",
                           middle.add(pass.emit(Op::call_import, {1, grow_import}).emit(Op::ret)));
    add(*process, middle, "middle");
    ModuleBuilder user;
    const u32 pass_import = user.import_function("middle", "pass", user.type({}, {}));
    user.import_memory("owner", "memory", {{1, {}}, 16});
    // (address, turns) -> i32 at address after so many calls
    CodeBuilder code(user.type({int32, int32}, {int32}), 3, 6);
    const Label loop = code.label();
    const Label end = code.label();
    code.emit(Op::i32_const, {3, 9}).emit(Op::i32_store, {2, 8, 3});  // at 8
    code.emit(Op::br_i32_eq_i, {1, 0, end}).bind(loop).emit(Op::call_import, {5, pass_import});
    code.emit(Op::i32_add_i, {1, 1, -1}).emit(Op::back_i32_ne_i, {1, 0, loop}).bind(end);
    code.emit(Op::i32_load, {3, 2, 8}).emit(Op::i32_load, {4, 0, 0});
    const u32 function = user.add(code.emit(Op::i32_add, {3, 3, 4}).emit(Op::ret_1, {3}));
    const u32 instance = add(*process, user);
    CHECK(process->instance(instance).memories[0]->strategy() == strategy);
    CHECK(trap_in(*process, instance, function, {65536, 0}) == Trap::memory_bounds);
    CHECK(call_in(*process, instance, function, {65536, 1}) == std::vector<u64>{9});
    CHECK(call_in(*process, instance, function, {65536 + 300 * 65536, 300}) == std::vector<u64>{9});
    CHECK(process->usage().memory_bytes == 302 * 65536);
  }
}

TEST_CASE("instances: preemption and fuel at every safepoint change nothing") {
  for (const Op way : {Op::call_import, Op::call_table, Op::call_ref, Op::tail_import,
                       Op::tail_table, Op::tail_ref}) {
    INFO(isa::info(way).name);
    const std::vector<u64> arguments = {301, 1, 2, 3};
    const std::vector<u64> expected = {152, 152, 3};
    const Pair undisturbed(way, with_fuel(1'000'000));
    CHECK(call_in(*undisturbed.process, undisturbed.a, undisturbed.function, arguments) ==
          expected);
    const i64 used = 1'000'000 - undisturbed.process->fuel();
    for (const bool steps : {false, true}) {
      for (const bool fuel : {false, true}) {
        const Pair pair(way, fuel ? with_fuel(1'000'000) : Options{});
        Process& process = *pair.process;
        REQUIRE(process.prepare(pair.function, arguments, pair.a).ok());
        u64 stops = 0;
        bool both[3] = {};
        Outcome outcome;
        while (true) {
          if (!steps) process.preempt();
          outcome = steps ? interp::step(process, 1) : test::run_tier(process);
          if (outcome.kind != Kind::preempted) break;
          ++stops;
          both[process.current().index] = true;
          REQUIRE(process.trace(2).size() <= 2);
        }
        REQUIRE(outcome.kind == Kind::finished);
        CHECK(std::vector<u64>(process.results().begin(), process.results().end()) == expected);
        CHECK(stops >= 301);
        CHECK(both[1]);
        CHECK(both[2]);
        if (fuel) CHECK(1'000'000 - process.fuel() == used);
      }
    }
    // Two units of fuel at a time.
    const Pair pair(way, with_fuel(0));
    REQUIRE(pair.process->prepare(pair.function, arguments, pair.a).ok());
    u64 stops = 0;
    while (test::run_tier(*pair.process).kind == Kind::out_of_fuel) {
      pair.process->add_fuel(2);
      ++stops;
      REQUIRE(stops < 10'000);
    }
    CHECK(stops > 200);
    CHECK(static_cast<i64>(2 * stops) - pair.process->fuel() == used);
  }
}

// --- References ---------------------------------------------------------------------------

namespace {

// A module whose "call" (reference: i64 bits) -> i64 calls it as () -> i64, and whose "tail" tail
// calls it; "set" (reference) writes it to element 0 of its own table, "by_table" calls that.
ModuleBuilder caller_of_references() {
  ModuleBuilder module;
  module.table(1);
  const u32 callee = module.type({}, {int64});
  const u32 takes = module.type({int64}, {int64});
  CodeBuilder call(takes, 1, 3);
  module.export_function("call",
                         module.add(call.emit(Op::call_ref, {2, callee, 0}).emit(Op::ret_1, {2})));
  CodeBuilder tail(takes, 1, 3);
  const u32 tail_function = module.add(tail.emit(Op::tail_ref, {0, callee, 0}));
  CodeBuilder outer(takes, 1, 3);
  outer.emit(Op::mov, {2, 0}).emit(Op::call, {2, tail_function}).emit(Op::ret_1, {2});
  module.export_function("tail", module.add(outer));
  CodeBuilder table(takes, 2, 4);
  table.emit(Op::table_set, {0, 1, 0}).emit(Op::call_table, {3, 0, callee, 1});
  module.export_function("by_table", module.add(table.emit(Op::ret_1, {3})));
  return module;
}

}  // namespace

TEST_CASE("instances: references are checked by what they name and by the type's structure") {
  ModuleBuilder first;
  first.type({}, {});
  first.type({int32}, {int32});
  CodeBuilder wrong(first.type({}, {int32}), 0, 1);
  const u32 wrong_function = first.add(wrong.emit(Op::i32_const, {0, 1}).emit(Op::ret_1, {0}));
  CodeBuilder right(first.type({}, {int64}), 0, 1);
  const u32 right_function =
      first.add(right.emit(Op::i64_const, {0, 123'456}).emit(Op::ret_1, {0}));
  first.export_function("right", right_function);
  const auto process = process_of(first);
  process->name_instance("first", 0);
  ModuleBuilder module = caller_of_references();
  const u32 caller = add(*process, module);
  ModuleBuilder third;
  const u32 passed_on = third.import_function("first", "right", third.type({}, {int64}));
  const u32 other = add(*process, third);
  for (const char* name : {"call", "tail", "by_table"}) {
    INFO(name);
    const u32 function = export_of(*process, caller, name);
    const auto trap_of = [&](u64 reference) {
      return trap_in(*process, caller, function, {reference});
    };
    CHECK(call_in(*process, caller, function, {runtime::function_reference(0, right_function)}) ==
          std::vector<u64>{123'456});
    CHECK(call_in(*process, caller, function, {runtime::function_reference(other, passed_on)}) ==
          std::vector<u64>{123'456});
    CHECK(trap_of(runtime::function_reference(0, wrong_function)) == Trap::type_mismatch);
    CHECK(trap_of(runtime::function_reference(caller, 0)) == Trap::type_mismatch);
    CHECK(trap_of(0) == Trap::null_reference);
    for (const u64 forged :
         {u64{1}, u64{0xffff'ffff}, runtime::function_reference(0, 2),
          runtime::function_reference(0, 0xffff'ffff), runtime::function_reference(caller, 4),
          runtime::function_reference(3, 0), runtime::function_reference(0x7fff'ffff, 0),
          runtime::function_reference(0xffff'fffe, 0), ~u64{0}}) {
      CHECK(trap_of(forged) == Trap::invalid_reference);
    }
  }
}

TEST_CASE("instances: a host function sees the memory of the instance that imported it") {
  // Reads a byte at 0; also when the call is parked first.
  runtime::Completion ticket;
  bool parks = false;
  HostFunction host;
  host.module = "env";
  host.name = "peek";
  host.type = {{}, {int64}};
  const auto peek = [](HostContext& context) {
    const auto bytes = context.memory(0, 1);
    return context.result_i64(bytes ? (*bytes)[0] : -1);
  };
  host.call = [&](HostContext& context) {
    if (!parks) return peek(context);
    ticket = context.suspend();
    return HostResult::pending();
  };
  const std::vector<HostFunction> functions = {host};
  Options options;
  options.host = functions;

  ModuleBuilder first;
  const u32 import = first.import_function("env", "peek", first.type({}, {int64}));
  first.memory(1);
  active_data(first, 0, "A");
  first.export_function("peek", import);
  const auto process = process_of(first, options);
  process->name_instance("first", 0);

  ModuleBuilder second = caller_of_references();
  second.memory(1);
  active_data(second, 0, "B");
  const u32 caller = add(*process, second);
  ModuleBuilder third;
  const u32 passed_on = third.import_function("first", "peek", third.type({}, {int64}));
  const u32 own = third.import_function("env", "peek", third.type({}, {int64}));
  third.memory(1);
  active_data(third, 0, "C");
  CodeBuilder both(third.type({}, {int64, int64}), 0, 3);
  both.emit(Op::call_import, {1, passed_on}).emit(Op::mov, {0, 1}).emit(Op::call_import, {2, own});
  const u32 direct = third.add(both.emit(Op::mov, {1, 2}).emit(Op::ret_n, {0, 2}));
  const u32 last = add(*process, third);

  const auto run = [&](u32 instance, u32 function, const std::vector<u64>& arguments) {
    REQUIRE(process->prepare(function, arguments, instance).ok());
    Outcome outcome = test::run_tier(*process);
    while (outcome.kind == Kind::pending) {
      CHECK(!process->ready());
      CHECK(process->trace()[0].instance == instance);
      ticket.finish(peek);
      outcome = test::run_tier(*process);
    }
    REQUIRE(outcome.kind == Kind::finished);
    return std::vector<u64>(process->results().begin(), process->results().end());
  };
  for (const bool parked : {false, true}) {
    parks = parked;
    CHECK(run(last, direct, {}) == std::vector<u64>{'A', 'C'});
    for (const char* name : {"call", "tail", "by_table"}) {
      INFO(name);
      const u32 function = export_of(*process, caller, name);
      CHECK(run(caller, function, {runtime::function_reference(0, import)}) ==
            std::vector<u64>{'A'});
      CHECK(run(caller, function, {runtime::function_reference(last, passed_on)}) ==
            std::vector<u64>{'A'});
      CHECK(run(caller, function, {runtime::function_reference(last, own)}) ==
            std::vector<u64>{'C'});
    }
  }
}
