// Running processes: calls from outside, limits, fuel, preemption, traces.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "tests/support/process.hpp"
#include "tests/support/tier.hpp"

using namespace atollvm;
using namespace atollvm::test;
using runtime::Options;
using runtime::Outcome;
using runtime::Process;
using runtime::Trap;
using Kind = runtime::Outcome::Kind;

namespace {

// Sum of 1 .. n by recursion; needs two slots a level.
u32 add_recursion(ModuleBuilder& module) {
  const u32 self = static_cast<u32>(module.module.functions.size());
  CodeBuilder code(module.type({ValType::i64}, {ValType::i64}), 1, 3);
  const Label end = code.label();
  code.emit(Op::br_i64_eq_i, {0, 0, end});
  code.emit(Op::i64_add_i, {2, 0, -1}).emit(Op::call, {2, self});
  code.emit(Op::i64_add, {2, 2, 0}).emit(Op::ret_1, {2});
  code.bind(end).emit(Op::ret_1, {0});
  return module.add(code);
}

// x = x * 31 + i for i in 0 .. n-1.
u32 add_loop(ModuleBuilder& module) {
  CodeBuilder code(module.type({ValType::i64}, {ValType::i64}), 3, 3);
  const Label loop = code.label();
  code.bind(loop).emit(Op::i64_mul_i, {1, 1, 31}).emit(Op::i64_add, {1, 1, 2});
  code.emit(Op::back_i64_inc_lt_u, {2, 0, loop}).emit(Op::ret_1, {1});
  return module.add(code);
}

u64 loop_result(u64 n) {
  u64 x = 0;
  for (u64 i = 0; i < n; ++i) x = x * 31 + i;
  return x;
}

u32 add_endless_loop(ModuleBuilder& module) {
  CodeBuilder code(module.type({}, {}), 0, 0);
  const Label loop = code.label();
  return module.add(code.bind(loop).emit(Op::back, {loop}));
}

// Calls itself without end, in constant stack.
u32 add_endless_tail_calls(ModuleBuilder& module) {
  const u32 self = static_cast<u32>(module.module.functions.size());
  CodeBuilder code(module.type({}, {}), 0, 0);
  return module.add(code.emit(Op::tail, {0, self}));
}

u32 add_bulk(ModuleBuilder& module, Op op, std::vector<Arg> fixed) {
  CodeBuilder code(module.type({ValType::i32, ValType::i32, ValType::i32}, {}), 3, 3);
  fixed.insert(fixed.end(), {0, 1, 2});
  return module.add(code.emit(op, fixed).emit(Op::ret));
}

// table.grow of table 0 by (value, count).
u32 add_table_grow(ModuleBuilder& module) {
  CodeBuilder code(module.type({ValType::funcref, ValType::i32}, {ValType::i32}), 2, 3);
  return module.add(code.emit(Op::table_grow, {2, 0, 0, 1}).emit(Op::ret_1, {2}));
}

// Where a stopped process is.
struct Place {
  u32 pc;
  u64 fp;
  i64 fuel;
  bool operator==(const Place&) const = default;
};
Place place_of(const Process& process) {
  return {process.saved.pc, process.saved.fp, process.fuel()};
}

Outcome run_by_steps(Process& process) {
  while (true) {
    const Outcome outcome = interp::step(process, 1);
    if (outcome.kind != Kind::preempted) return outcome;
  }
}

Options with_fuel(u64 fuel) {
  Options options;
  options.limits.fuel = fuel;
  return options;
}

// Preempts a process again and again from another thread until it goes away.
class Preempter {
 public:
  explicit Preempter(Process& process, std::chrono::microseconds every)
      : thread_([this, &process, every] {
          while (!stop_.load()) {
            std::this_thread::sleep_for(every);
            process.preempt();
          }
        }) {}
  ~Preempter() {
    stop_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// Runs a process until a request from another thread stops it; endless code that does not notice
// hangs the test.
void run_until_preempted(Process& process) {
  std::thread thread([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    process.preempt();
  });
  const Outcome outcome = test::run_tier(process);
  thread.join();
  CHECK(outcome.kind == Kind::preempted);
}

}  // namespace

// --- Calls from outside -------------------------------------------------------------------

TEST_CASE("process: calls must name a function of the module and have its arguments") {
  ModuleBuilder module;
  const u32 function = add_recursion(module);
  const auto process = process_of(module);
  for (const auto& arguments : {std::vector<u64>{}, std::vector<u64>{1, 2}}) {
    const base::Status status = process->prepare(function, arguments);
    REQUIRE(!status.ok());
    CHECK(status.error().code == base::ErrorCode::usage);
  }
  const std::vector<u64> one = {1};
  CHECK(!process->prepare(function + 1, one).ok());
  CHECK(!process->prepare(~u32{0}, one).ok());
  // Nothing was prepared, so nothing runs.
  CHECK(test::run_tier(*process).kind == Kind::trapped);
  CHECK(call(*process, function, {10}) == std::vector<u64>{55});
  CHECK(call(*process, function, {11}) == std::vector<u64>{66});
}

TEST_CASE("process: one call at a time") {
  ModuleBuilder module;
  const u32 function = add_loop(module);
  const auto process = process_of(module);
  prepare(*process, function, {100});
  const std::vector<u64> one = {1};
  CHECK(!process->prepare(function, one).ok());
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  CHECK(!process->prepare(function, one).ok());
  CHECK(test::run_tier(*process).kind == Kind::finished);
  CHECK(process->results()[0] == loop_result(100));
  CHECK(process->prepare(function, one).ok());
}

TEST_CASE("process: stop ends a call under way and keeps the trace") {
  ModuleBuilder module;
  const u32 function = add_endless_loop(module);
  const auto process = process_of(module);
  prepare(*process, function, {});
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  const Outcome outcome = process->stop(Trap::time_limit);
  CHECK(outcome.kind == Kind::trapped);
  CHECK(outcome.trap == Trap::time_limit);
  REQUIRE(process->trace().size() == 1);
  CHECK(process->trace()[0].function == function);
  CHECK(test::run_tier(*process).kind == Kind::trapped);
}

// --- Stack --------------------------------------------------------------------------------

TEST_CASE("process: the stack grows from small to its limit") {
  ModuleBuilder module;
  const u32 function = add_recursion(module);
  Options options;
  options.limits.stack_bytes = 64 << 20;
  const auto process = process_of(module, options);
  CHECK(call(*process, function, {1}) == std::vector<u64>{1});
  CHECK(process->usage().stack_bytes <= 4096);
  constexpr u64 depth = 4'000'000;
  CHECK(call(*process, function, {depth}) == std::vector<u64>{depth * (depth + 1) / 2});
  CHECK(process->usage().stack_bytes <= options.limits.stack_bytes);
  prepare(*process, function, {~u64{0}});
  const Outcome outcome = test::run_tier(*process);
  CHECK(outcome.kind == Kind::trapped);
  CHECK(outcome.trap == Trap::stack_overflow);
  CHECK(process->usage().stack_bytes <= options.limits.stack_bytes);
}

TEST_CASE("process: a first frame that does not fit is refused") {
  ModuleBuilder module;
  CodeBuilder code(module.type({}, {}), 0, 1000);
  const u32 function = module.add(code.emit(Op::ret));
  Options options;
  options.limits.stack_bytes = 1000 * 8;
  const base::Status status = process_of(module, options)->prepare(function, {});
  REQUIRE(!status.ok());
  CHECK(status.error().code == base::ErrorCode::limit);
  options.limits.stack_bytes = 1001 * 8;
  CHECK(call(*process_of(module, options), function).empty());
}

// --- Fuel ---------------------------------------------------------------------------------

TEST_CASE("fuel: each instruction costs what the table says") {
  ModuleBuilder module;
  const u32 loop = add_loop(module);
  const u32 recursion = add_recursion(module);
  for (u64 n : {u64{1}, u64{2}, u64{1000}}) {
    const auto process = process_of(module, with_fuel(1'000'000));
    call(*process, loop, {n});
    CHECK(process->fuel() == static_cast<i64>(1'000'000 - (3 * n + 1)));
  }
  const auto process = process_of(module, with_fuel(1'000'000));
  call(*process, recursion, {1000});
  CHECK(process->fuel() == 1'000'000 - (5 * 1000 + 2));
}

TEST_CASE("fuel: bulk operations cost by length") {
  ModuleBuilder module;
  module.memory(1, {}, 16);
  module.table(1000, 2000);
  const u32 fill = add_bulk(module, Op::memory_fill, {0});
  const u32 grow = add_table_grow(module);
  const u32 copy = add_bulk(module, Op::memory_copy, {0, 0});
  const u32 table_copy = add_bulk(module, Op::table_copy, {0, 0});
  const auto cost = [&](u32 function, const std::vector<u64>& arguments) {
    const auto process = process_of(module, with_fuel(100'000));
    call(*process, function, arguments);
    return 100'000 - process->fuel() - 1;  // less the return
  };
  CHECK(cost(fill, {0, 1, 0}) == 1);
  CHECK(cost(fill, {0, 1, 63}) == 1);
  CHECK(cost(fill, {0, 1, 64}) == 2);
  CHECK(cost(fill, {0, 1, 65536}) == 1 + 1024);
  CHECK(cost(copy, {1, 0, 65535}) == 1 + 1023);
  CHECK(cost(table_copy, {0, 1, 7}) == 1);
  CHECK(cost(table_copy, {0, 1, 999}) == 1 + 124);
  CHECK(cost(grow, {0, 999}) == 1 + 124);
  CHECK(cost(grow, {0, 7}) == 1);
  CHECK(cost(grow, {0, 5000}) == 1);  // refused
}

TEST_CASE("fuel: it stops at the first safepoint where it is negative, and can go on") {
  ModuleBuilder module;
  const u32 function = add_loop(module);
  constexpr i64 turns = 40;
  constexpr i64 total = 3 * turns + 1;
  for (i64 fuel = 0; fuel <= total + 2; ++fuel) {
    INFO("fuel " << fuel);
    const auto process = process_of(module, with_fuel(static_cast<u64>(fuel)));
    prepare(*process, function, {static_cast<u64>(turns)});
    Outcome outcome = test::run_tier(*process);
    // The back edge of turn k is a safepoint with 3 k used; the last turn leaves the loop.
    const i64 stops_at = fuel / 3 + 1;
    if (stops_at < turns) {
      REQUIRE(outcome.kind == Kind::out_of_fuel);
      CHECK(process->fuel() == fuel - 3 * stops_at);
      CHECK(process->saved.pc == 0);
      // Without fuel it stops at the next safepoint; nothing is lost.
      process->add_fuel(1);
      outcome = test::run_tier(*process);
      process->add_fuel(1000);
      if (outcome.kind == Kind::out_of_fuel) outcome = test::run_tier(*process);
      CHECK(process->fuel() == fuel + 1001 - total);
    } else {
      CHECK(process->fuel() == fuel - total);
    }
    REQUIRE(outcome.kind == Kind::finished);
    CHECK(process->results()[0] == loop_result(static_cast<u64>(turns)));
  }
}

TEST_CASE("fuel: at any amount, run and single steps stop at the same places") {
  ModuleBuilder module;
  module.memory(1, {}, 16);
  const u32 recursion = add_recursion(module);
  const u32 loop = add_loop(module);
  const u32 fill = add_bulk(module, Op::memory_fill, {0});
  CodeBuilder code(module.type({ValType::i64}, {ValType::i64}), 2, 9);
  code.emit(Op::mov, {5, 0}).emit(Op::call, {5, recursion}).emit(Op::mov, {1, 5});
  code.emit(Op::i32_const, {5, 100}).emit(Op::i32_const, {6, 7}).emit(Op::i32_const, {7, 700});
  code.emit(Op::call, {5, fill});
  code.emit(Op::mov, {5, 0}).emit(Op::call, {5, loop}).emit(Op::i64_add, {1, 1, 5});
  code.emit(Op::ret_1, {1});
  const u32 function = module.add(code);
  const auto program = program_of(module);
  constexpr u64 n = 12;
  const u64 expected = n * (n + 1) / 2 + loop_result(n);
  const auto measured = process_of(program, with_fuel(1000));
  CHECK(call(*measured, function, {n}) == std::vector<u64>{expected});
  const u64 total = 1000 - static_cast<u64>(measured->fuel());
  for (u64 fuel = 0; fuel <= total; ++fuel) {
    INFO("fuel " << fuel);
    const auto at_once = process_of(program, with_fuel(fuel));
    const auto by_steps = process_of(program, with_fuel(fuel));
    prepare(*at_once, function, {n});
    prepare(*by_steps, function, {n});
    u64 added = 0;
    for (int turns = 0;; ++turns) {
      REQUIRE(turns < 1000);
      const Outcome a = test::run_tier(*at_once);
      const Outcome b = run_by_steps(*by_steps);
      REQUIRE(a.kind == b.kind);
      if (a.kind == Kind::finished) break;
      REQUIRE(a.kind == Kind::out_of_fuel);
      REQUIRE(place_of(*at_once) == place_of(*by_steps));
      at_once->add_fuel(5);
      by_steps->add_fuel(5);
      added += 5;
    }
    CHECK(at_once->results()[0] == expected);
    CHECK(by_steps->results()[0] == expected);
    CHECK(at_once->fuel() == static_cast<i64>(fuel + added) - static_cast<i64>(total));
  }
}

TEST_CASE("fuel: a bulk operation that is too dear does nothing until there is enough") {
  ModuleBuilder module;
  module.memory(1, {}, 16);
  const u32 fill = add_bulk(module, Op::memory_fill, {0});
  const auto process = process_of(module, with_fuel(100));
  prepare(*process, fill, {0, 0xaa, 65536});
  for (int turn = 0; turn < 3; ++turn) {
    CHECK(test::run_tier(*process).kind == Kind::out_of_fuel);
    CHECK(process->fuel() == 100 - (1 + 1024));
    CHECK(process->instance().memories[0]->base()[0] == 0);
  }
  process->add_fuel(1 + 1024 - 100 - 1);
  CHECK(test::run_tier(*process).kind == Kind::out_of_fuel);
  CHECK(process->fuel() == -1);
  CHECK(process->instance().memories[0]->base()[0] == 0);
  // What was missing is enough.
  process->add_fuel(1);
  CHECK(test::run_tier(*process).kind == Kind::finished);
  CHECK(process->fuel() == -1);  // for the return
  const u8* base = process->instance().memories[0]->base();
  CHECK(std::count(base, base + 65536, 0xaa) == 65536);
}

TEST_CASE("table.grow can be preempted, and grows by all or nothing") {
  ModuleBuilder module;
  module.table(10);
  const u32 grow = add_table_grow(module);
  constexpr u64 count = 1'000'000;
  constexpr u64 value = 0x1'0000'0000;
  for (const bool counted : {false, true}) {
    const auto process = process_of(module, counted ? with_fuel(200'000) : Options{});
    prepare(*process, grow, {value, count});
    u32 stops = 0;
    while (true) {
      process->preempt();
      const Outcome outcome = test::run_tier(*process);
      if (outcome.kind == Kind::finished) break;
      REQUIRE(outcome.kind == Kind::preempted);
      CHECK(process->instance().tables[0]->elements.size() == 10);
      CHECK(process->usage().table_elements == 10);
      ++stops;
    }
    CHECK(stops >= 5);
    CHECK(process->results()[0] == 10);
    const auto& elements = process->instance().tables[0]->elements;
    CHECK(elements.size() == 10 + count);
    CHECK(std::count(elements.begin(), elements.begin() + 10, 0) == 10);
    CHECK(std::count(elements.begin() + 10, elements.end(), value) == count);
    if (counted) CHECK(process->fuel() == 200'000 - (1 + count / 8 + 1));
  }
}

TEST_CASE("fuel: endless code ends") {
  ModuleBuilder module;
  const u32 loop = add_endless_loop(module);
  const u32 tail = add_endless_tail_calls(module);
  const u32 recursion = add_recursion(module);
  for (const auto& [function, arguments] :
       {std::pair{loop, std::vector<u64>{}}, {tail, {}}, {recursion, {~u64{0}}}}) {
    const auto process = process_of(module, with_fuel(10'000));
    prepare(*process, function, arguments);
    CHECK(test::run_tier(*process).kind == Kind::out_of_fuel);
    CHECK(process->fuel() < 0);
    CHECK(process->fuel() > -10);
    CHECK(test::run_tier(*process).kind == Kind::out_of_fuel);
  }
}

TEST_CASE("fuel: any amount can be added") {
  ModuleBuilder module;
  const u32 function = add_loop(module);
  const auto process = process_of(module, with_fuel(~u64{0}));
  CHECK(process->fuel() > 0);
  process->add_fuel(~u64{0});
  CHECK(process->fuel() > 0);
  CHECK(call(*process, function, {10}) == std::vector<u64>{loop_result(10)});
}

TEST_CASE("fuel: NaN results have the same bits wherever they come from") {
  ModuleBuilder module;
  CodeBuilder code(module.type({ValType::f64, ValType::f64}, {ValType::f64, ValType::f32}), 2, 4);
  code.emit(Op::f64_add, {2, 0, 1}).emit(Op::f64_mul, {2, 2, 1}).emit(Op::f32_demote_f64, {3, 2});
  const u32 function = module.add(code.emit(Op::ret_n, {2, 2}));
  const auto process = process_of(module, with_fuel(1'000'000));
  const u64 nans[] = {0x7ff8'0000'0000'0000, 0xfff8'0000'0000'0000, 0x7ff0'0000'0000'0001,
                      0xffff'ffff'ffff'ffff, 0x7ffc'1234'5678'9abc};
  for (u64 a : nans) {
    for (u64 b : {u64{0x3ff0'0000'0000'0000}, a, nans[3]}) {
      CHECK(call(*process, function, {a, b}) ==
            std::vector<u64>{0x7ff8'0000'0000'0000, 0x7fc0'0000});
      CHECK(call(*process, function, {b, a}) ==
            std::vector<u64>{0x7ff8'0000'0000'0000, 0x7fc0'0000});
    }
  }
  // Infinity less infinity.
  CHECK(call(*process, function, {0x7ff0'0000'0000'0000, 0xfff0'0000'0000'0000}) ==
        std::vector<u64>{0x7ff8'0000'0000'0000, 0x7fc0'0000});
}

// --- Preemption ---------------------------------------------------------------------------

TEST_CASE("preemption: endless code stops, from another thread, and can be stopped again") {
  ModuleBuilder module;
  const u32 loop = add_endless_loop(module);
  const u32 tail = add_endless_tail_calls(module);
  for (u32 function : {loop, tail}) {
    for (bool fuel : {false, true}) {
      const auto process = process_of(module, fuel ? with_fuel(u64{1} << 60) : Options{});
      prepare(*process, function, {});
      for (int turn = 0; turn < 3; ++turn) run_until_preempted(*process);
    }
  }
}

TEST_CASE("preemption: endless recursion stops before its stack is full") {
  ModuleBuilder module;
  const u32 function = add_recursion(module);
  Options options;
  options.limits.stack_bytes = u64{1} << 30;
  const auto process = process_of(module, options);
  prepare(*process, function, {~u64{0}});
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  CHECK(process->usage().stack_bytes < 10'000);
  // Each request is good for one stop, however deep the stack is by then.
  for (int turn = 0; turn < 1000; ++turn) {
    process->preempt();
    REQUIRE(test::run_tier(*process).kind == Kind::preempted);
  }
  CHECK(process->trace(2).size() == 2);
  CHECK(process->trace(2)[1].depth == 1001);
}

TEST_CASE("preemption: a bulk operation stops in the middle") {
  ModuleBuilder module;
  module.memory(16384, {}, 16);
  module.table(8'000'000);
  const u32 fill = add_bulk(module, Op::memory_fill, {0});
  const u32 copy = add_bulk(module, Op::table_copy, {0, 0});
  const auto process = process_of(module);
  prepare(*process, fill, {0, 1, u64{1} << 30});
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  const u8* base = process->instance().memories[0]->base();
  CHECK(base[0] == 1);
  CHECK(base[(1 << 30) - 1] == 0);
  process->stop(Trap::interrupted);
  prepare(*process, copy, {0, 1, 7'999'999});
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  CHECK(test::run_tier(*process).kind == Kind::finished);
}

TEST_CASE("preemption: bulk operations that were stopped often have the right result") {
  constexpr u32 size = 32 << 20;
  ModuleBuilder module;
  module.memory(size >> 16, {}, 16);
  const u32 fill = add_bulk(module, Op::memory_fill, {0});
  const u32 copy = add_bulk(module, Op::memory_copy, {0, 0});
  struct Case {
    u32 to, from;
  };
  for (bool fuel : {false, true}) {
    for (const Case& test : {Case{0, 1000}, {1000, 0}, {size / 2, 7}, {7, size / 2}}) {
      const auto process = process_of(module, fuel ? with_fuel(1 << 30) : Options{});
      u8* base = process->instance().memories[0]->base();
      for (u32 i = 0; i < size; ++i) base[i] = static_cast<u8>(i * 7 + (i >> 11));
      const u32 count = size - std::max(test.to, test.from) - 100;
      const std::vector<u8> before(base, base + size);
      prepare(*process, copy, {test.to, test.from, count});
      int stops = 0;
      process->preempt();
      while (test::run_tier(*process).kind == Kind::preempted) {
        ++stops;
        process->preempt();
      }
      CHECK(stops > 10);
      std::vector<u8> expected = before;
      std::copy_n(before.begin() + test.from, count, expected.begin() + test.to);
      CHECK(std::equal(expected.begin(), expected.end(), base));
      if (fuel) CHECK(process->fuel() == (1 << 30) - (1 + count / 64 + 1));
    }
  }
  const auto process = process_of(module);
  prepare(*process, fill, {5, 0x5a, size - 10});
  {
    Preempter preempter(*process, std::chrono::microseconds(50));
    while (test::run_tier(*process).kind == Kind::preempted) {
    }
  }
  const u8* base = process->instance().memories[0]->base();
  CHECK(std::count(base, base + size, 0x5a) == size - 10);
  CHECK(base[4] == 0);
  CHECK(base[size - 5] == 0);
}

TEST_CASE("preemption: a request before the run counts, and is used up") {
  ModuleBuilder module;
  const u32 function = add_loop(module);
  const auto process = process_of(module);
  prepare(*process, function, {10});
  process->preempt();
  process->preempt();
  CHECK(test::run_tier(*process).kind == Kind::preempted);
  CHECK(test::run_tier(*process).kind == Kind::finished);
}

namespace {

// Work of all kinds: recursion deep enough to move the stack, loops, memory, calls by table.
// Gives a number that depends on each step, and leaves one in memory.
struct Mixed {
  ModuleBuilder module;
  u32 function;

  Mixed() {
    module.memory(2, {}, 16);
    module.table(2);
    const u32 recursion = add_recursion(module);
    const u32 loop = add_loop(module);
    const u32 copy = add_bulk(module, Op::memory_copy, {0, 0});
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.offset = {ModuleBuilder::i32_const(0)};
    segment.items = {{ModuleBuilder::ref_func(recursion)}, {ModuleBuilder::ref_func(loop)}};
    module.module.elems.push_back(segment);
    const u32 callee_type = module.type({ValType::i64}, {ValType::i64});
    // n, sum, i, 16 * i
    CodeBuilder code(callee_type, 4, 12);
    const Label turn = code.label();
    code.bind(turn);
    code.emit(Op::i64_mul_i, {7, 2, 37}).emit(Op::i32_and_i, {8, 2, 1});
    code.emit(Op::call_table, {7, 0, callee_type, 8});
    code.emit(Op::i64_mul_i, {1, 1, 3}).emit(Op::i64_add, {1, 1, 7});
    code.emit(Op::i32_shl_i, {3, 2, 4}).emit(Op::i64_store, {3, 1000, 1});
    code.emit(Op::i32_const, {7, 1001}).emit(Op::i32_const, {8, 1000});
    code.emit(Op::i32_const, {9, 9000}).emit(Op::call, {7, copy});
    code.emit(Op::i64_load, {4, 3, 1001}).emit(Op::i64_xor, {1, 1, 4});
    code.emit(Op::back_i64_inc_lt_u, {2, 0, turn});
    function = module.add(code.emit(Op::ret_1, {1}));
  }
};

u64 memory_sum(Process& process) {
  const runtime::Memory& memory = *process.instance().memories[0];
  u64 sum = 0;
  for (u64 i = 0; i < memory.size(); ++i) sum = sum * 1099511628211u + memory.base()[i];
  return sum;
}

}  // namespace

TEST_CASE("preemption: processes of one program in turn do what they do alone") {
  const Mixed mixed;
  const auto program = program_of(mixed.module);
  struct Expected {
    u64 result;
    u64 memory;
    i64 fuel;
  };
  const std::vector<u64> sizes = {1, 17, 40, 60};
  std::vector<Expected> expected;
  for (u64 n : sizes) {
    const auto process = process_of(program, with_fuel(1 << 30));
    const u64 result = call(*process, mixed.function, {n})[0];
    expected.push_back({result, memory_sum(*process), process->fuel()});
  }
  for (u32 seed = 1; seed <= 6; ++seed) {
    std::minstd_rand random(seed);
    std::vector<std::unique_ptr<Process>> processes;
    for (usize i = 0; i < sizes.size(); ++i) {
      Options options = i % 2 == 0 ? with_fuel(1 << 30) : Options{};
      options.memory = i < 2 ? runtime::MemoryStrategy::checked : runtime::MemoryStrategy::guarded;
      processes.push_back(process_of(program, options));
      prepare(*processes.back(), mixed.function, {sizes[i]});
    }
    std::vector<bool> done(sizes.size(), false);
    usize left = sizes.size();
    u64 stops = 0;
    while (left > 0) {
      const usize i = random() % sizes.size();
      if (done[i]) continue;
      Process& process = *processes[i];
      Outcome outcome;
      // To the next safepoint, or some instructions, or both.
      const u32 way = random() % 3;
      if (way != 0) process.preempt();
      outcome = way == 1 ? test::run_tier(process) : interp::step(process, 1 + random() % 2000);
      if (outcome.kind == Kind::preempted) {
        ++stops;
        continue;
      }
      REQUIRE(outcome.kind == Kind::finished);
      CHECK(process.results()[0] == expected[i].result);
      CHECK(memory_sum(process) == expected[i].memory);
      if (process.counts_fuel()) CHECK(process.fuel() == expected[i].fuel);
      done[i] = true;
      --left;
    }
    CHECK(stops > 100);
  }
}

TEST_CASE("preemption: from other threads, at any time") {
  const Mixed mixed;
  const auto program = program_of(mixed.module);
  constexpr u64 n = 300;
  const auto undisturbed = process_of(program);
  const u64 expected = call(*undisturbed, mixed.function, {n})[0];
  const u64 expected_memory = memory_sum(*undisturbed);
  std::vector<std::thread> threads;
  std::atomic<u32> right{0};
  for (u32 i = 0; i < 3; ++i) {
    auto process = process_of(program);
    prepare(*process, mixed.function, {n});
    threads.emplace_back([&, i, process = std::move(process)] {
      {
        Preempter first(*process, std::chrono::microseconds(20 + i * 13));
        Preempter second(*process, std::chrono::microseconds(31));
        while (test::run_tier(*process).kind == Kind::preempted) {
        }
      }
      if (process->results().size() == 1 && process->results()[0] == expected &&
          memory_sum(*process) == expected_memory) {
        ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right.load() == 3);
}

// --- Traces -------------------------------------------------------------------------------

TEST_CASE("trace: functions, lines and columns, innermost first") {
  ModuleBuilder module;
  CodeBuilder inner(module.type({}, {}), 0, 0);
  inner.emit(Op::nop).emit(Op::unreachable);
  const u32 inner_function = module.add(inner);
  CodeBuilder middle(module.type({}, {}), 0, 6);
  middle.emit(Op::nop).emit(Op::call, {5, inner_function}).emit(Op::ret);
  const u32 middle_function = module.add(middle);
  CodeBuilder outer(module.type({}, {}), 0, 30);
  const Label start = outer.label();
  outer.bind(start).emit(Op::call, {20, middle_function}).emit(Op::back, {start});
  const u32 outer_function = module.add(outer);
  module.export_function("main", outer_function);
  module.module.names = {{mod::NameSpace::function, inner_function, 0, "inner"},
                         {mod::NameSpace::function, middle_function, 0, "middle"}};
  module.module.files = {"a.atoll", "dir/b.atoll"};
  // Words: inner 0 1, middle 2 3 4, outer 5 6.
  module.module.lines = {{1, 0, 12, 3}, {2, 1, 7, 0}, {4, 1, 9, 1}};
  const auto process = process_of(module);
  CHECK(process->trace().empty());
  prepare(*process, outer_function, {});
  const Outcome outcome = test::run_tier(*process);
  CHECK(outcome.trap == Trap::unreachable);
  const auto trace = process->trace();
  REQUIRE(trace.size() == 3);
  CHECK(trace[0].name == "inner");
  CHECK(trace[0].location == "a.atoll:12:3");
  CHECK(trace[0].pc == 1);
  CHECK(trace[1].name == "middle");
  CHECK(trace[1].location == "dir/b.atoll:7");
  CHECK(trace[1].pc == 3);
  // No line entry begins in this function.
  CHECK(trace[2].name == "main");
  CHECK(trace[2].location.empty());
  CHECK(trace[2].pc == 5);
  CHECK(trace[2].depth == 2);
}

TEST_CASE("trace: a tail call leaves no frame") {
  ModuleBuilder module;
  CodeBuilder last(module.type({}, {}), 0, 0);
  const u32 last_function = module.add(last.emit(Op::unreachable));
  CodeBuilder first(module.type({}, {}), 0, 0);
  const u32 first_function = module.add(first.emit(Op::tail, {0, last_function}));
  CodeBuilder outer(module.type({}, {}), 0, 1);
  const u32 function = module.add(outer.emit(Op::call, {1, first_function}).emit(Op::ret));
  const auto process = process_of(module);
  prepare(*process, function, {});
  CHECK(test::run_tier(*process).kind == Kind::trapped);
  const auto trace = process->trace();
  REQUIRE(trace.size() == 2);
  CHECK(trace[0].function == last_function);
  CHECK(trace[1].function == function);
}

TEST_CASE("trace: long ones keep both ends") {
  ModuleBuilder module;
  // Recursion that ends in a trap.
  CodeBuilder down(module.type({ValType::i64}, {}), 1, 3);
  const Label end = down.label();
  down.emit(Op::br_i64_eq_i, {0, 0, end}).emit(Op::i64_add_i, {2, 0, -1});
  down.emit(Op::call, {2, 0}).emit(Op::ret).bind(end).emit(Op::unreachable);
  const u32 recursion = module.add(down);
  CodeBuilder outer(module.type({ValType::i64}, {}), 1, 3);
  outer.emit(Op::mov, {2, 0}).emit(Op::call, {2, recursion}).emit(Op::ret);
  const u32 function = module.add(outer);
  const auto program = program_of(module);
  for (u64 frames = 2; frames <= 20; ++frames) {
    const auto process = process_of(program);
    prepare(*process, function, {frames - 2});
    CHECK(test::run_tier(*process).kind == Kind::trapped);
    CHECK(process->trace(0).empty());
    for (usize limit = 1; limit <= 22; ++limit) {
      INFO(frames << " frames, limit " << limit);
      const auto trace = process->trace(limit);
      const usize count = std::min<usize>(limit, frames);
      REQUIRE(trace.size() == count);
      // The innermost half, rounded up, then the outermost ones.
      for (usize i = 0; i < count; ++i) {
        const bool is_inner = i < count - count / 2;
        CHECK(trace[i].depth == (is_inner ? i : frames - count + i));
        CHECK(trace[i].function == (trace[i].depth == frames - 1 ? function : recursion));
      }
    }
  }
}

// --- Single steps -------------------------------------------------------------------------

TEST_CASE("step: runs exactly so many instructions") {
  ModuleBuilder module;
  const u32 function = add_loop(module);
  const auto process = process_of(module, with_fuel(1000));
  prepare(*process, function, {5});
  CHECK(interp::step(*process, 0).kind == Kind::preempted);
  CHECK(process->fuel() == 1000);
  CHECK(interp::step(*process, 1).kind == Kind::preempted);
  CHECK(process->fuel() == 999);
  CHECK(process->saved.pc == 1);
  CHECK(interp::step(*process, 2).kind == Kind::preempted);
  CHECK(process->saved.pc == 0);
  CHECK(interp::step(*process, 12).kind == Kind::preempted);
  CHECK(process->saved.pc == 3);
  CHECK(interp::step(*process, 100).kind == Kind::finished);
  CHECK(process->results()[0] == loop_result(5));
  CHECK(process->fuel() == 1000 - 16);
}
