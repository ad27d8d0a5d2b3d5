// Host calls: results, traps, exits, calls that complete later, and the gate.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/support/process.hpp"
#include "tests/support/tier.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using runtime::Completion;
using runtime::HostContext;
using runtime::HostFunction;
using runtime::HostResult;
using runtime::Options;
using runtime::Outcome;
using runtime::Process;
using runtime::Trap;
using Kind = runtime::Outcome::Kind;

namespace {

using Call = std::function<HostResult(HostContext&)>;
const mod::FuncType i64_to_i64{{ValType::i64}, {ValType::i64}};

// Ways in which a guest makes a host call.
constexpr Op ways[] = {Op::call_import, Op::call_table, Op::call_ref,
                       Op::tail_import, Op::tail_table, Op::tail_ref};

// A guest (x) -> (2 * host(x) + x, x) with a memory of 100 bytes. Tail calls are made by a function
// in between.
struct Guest {
  ModuleBuilder module;
  u32 function;

  explicit Guest(Op way = Op::call_import) {
    const u32 type = module.type({ValType::i64}, {ValType::i64});
    const u32 host = module.import_function("test", "host", type);
    module.memory(100, {}, 0);
    module.table(1);
    mod::ElemSegment segment;
    segment.mode = mod::SegmentMode::active;
    segment.offset = {ModuleBuilder::i32_const(0)};
    segment.items = {{ModuleBuilder::ref_func(host)}};
    module.module.elems.push_back(segment);
    const auto emit_call = [&](CodeBuilder& code) {
      switch (way) {
        case Op::call_table:
        case Op::tail_table:
          code.emit(Op::i32_const, {2, 0}).emit(way, {5, 0, type, 2});
          break;
        case Op::call_ref:
        case Op::tail_ref:
          code.emit(Op::ref_func, {2, host}).emit(way, {5, type, 2});
          break;
        default:
          code.emit(way, {5, host});
      }
    };
    const bool is_tail = isa::info(way).has(isa::ends);
    u32 between = 0;
    if (is_tail) {
      CodeBuilder code(type, 1, 6);
      code.emit(Op::mov, {5, 0});
      emit_call(code);
      between = module.add(code);
    }
    CodeBuilder code(module.type({ValType::i64}, {ValType::i64, ValType::i64}), 1, 6);
    code.emit(Op::mov, {5, 0});
    if (is_tail) {
      code.emit(Op::call, {5, between});
    } else {
      emit_call(code);
    }
    code.emit(Op::i64_add, {1, 5, 5}).emit(Op::i64_add, {1, 1, 0}).emit(Op::mov, {2, 0});
    function = module.add(code.emit(Op::ret_n, {1, 2}));
    module.export_function("main", function);
  }
};

struct Host {
  std::vector<HostFunction> functions;

  explicit Host(Call call, mod::FuncType type = i64_to_i64) {
    HostFunction function;
    function.module = "test";
    function.name = "host";
    function.type = std::move(type);
    function.call = std::move(call);
    functions.push_back(std::move(function));
  }
  [[nodiscard]] Options options() const {
    Options options;
    options.host = functions;
    return options;
  }
};

std::vector<u64> results(const Process& process) {
  return {process.results().begin(), process.results().end()};
}

Op innermost_operation(const Process& process) {
  return isa::op_of(process.program().code()[process.trace().at(0).pc]);
}

}  // namespace

TEST_CASE("host calls: a value, by each way to call") {
  const Host host([](HostContext& context) { return context.result_i64(context.arg_i64(0) * 10); });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    CHECK(call(*process, guest.function, {7}) == std::vector<u64>{147, 7});
  }
}

TEST_CASE("host calls: a trap ends the process, with the caller in the trace") {
  const Host host([](HostContext&) { return HostResult::trapped(Trap::interrupted); });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {7});
    const Outcome outcome = test::run_tier(*process);
    CHECK(outcome.kind == Kind::trapped);
    CHECK(outcome.trap == Trap::interrupted);
    const auto trace = process->trace();
    REQUIRE(!trace.empty());
    CHECK(trace.back().name == "main");
  }
}

TEST_CASE("host calls: an exit ends the process with its code") {
  const Host host([](HostContext& context) { return HostResult::exited(context.arg_u32(0)); });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {0xffff'fff0});
    const Outcome outcome = test::run_tier(*process);
    CHECK(outcome.kind == Kind::exited);
    CHECK(outcome.exit_code == 0xffff'fff0);
  }
}

TEST_CASE("host calls: exceptions of a host function are traps") {
  const Guest guest;
  {
    const Host host([](HostContext&) -> HostResult { throw std::bad_alloc(); });
    const auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {1});
    const Outcome outcome = test::run_tier(*process);
    CHECK(outcome.kind == Kind::trapped);
    CHECK(outcome.trap == Trap::out_of_memory);
  }
  const Host host([](HostContext&) -> HostResult { throw std::runtime_error("x"); });
  const auto process = process_of(guest.module, host.options());
  prepare(*process, guest.function, {1});
  CHECK(test::run_tier(*process).trap == Trap::host_error);
}

TEST_CASE("host calls: arguments of all types, and memory with its bounds") {
  ModuleBuilder module;
  const mod::FuncType type{{ValType::i32, ValType::i64, ValType::i32}, {ValType::i32}};
  const u32 import = module.import_function("test", "host", module.type(type.params, type.results));
  module.memory(100, {}, 0);
  CodeBuilder code(module.type(type.params, type.results), 3, 8);
  code.emit(Op::mov_n, {5, 0, 3}).emit(Op::call_import, {5, import}).emit(Op::ret_1, {5});
  const u32 function = module.add(code);
  const Host host(
      [](HostContext& context) {
        CHECK(context.arg_i64(1) == -5);
        const auto bytes = context.memory(context.arg_u32(0), context.arg_u32(2));
        if (!bytes) return context.error32(Errno::fault);
        CHECK(bytes->size() == context.arg_u32(2));
        for (u8& byte : *bytes) byte = 0x77;
        return context.result_i32(-1000);
      },
      type);
  const auto process = process_of(module, host.options());
  const u64 polluted = u64{0xdead'beef} << 32;
  const u64 minus_5 = static_cast<u64>(-5);
  const u32 fault = static_cast<u32>(-static_cast<i32>(Errno::fault));
  CHECK(call(*process, function, {polluted | 90, minus_5, polluted | 10}) ==
        std::vector<u64>{static_cast<u32>(-1000)});
  const u8* base = process->instance().memories[0]->base();
  CHECK(base[89] == 0);
  CHECK(base[90] == 0x77);
  CHECK(base[99] == 0x77);
  CHECK(call(*process, function, {100, minus_5, 0})[0] == static_cast<u32>(-1000));
  for (const auto& [at, count] :
       {std::pair<u64, u64>{90, 11}, {101, 0}, {100, 1}, {0xffff'ffff, 1}, {1, 0xffff'ffff}}) {
    CHECK(call(*process, function, {at, minus_5, count})[0] == fault);
  }
}

TEST_CASE("host calls: fuel that a host function adds is there afterwards") {
  const Host host([](HostContext& context) {
    context.process().add_fuel(1000);
    return context.result_i64(1);
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    Options options = host.options();
    options.limits.fuel = 100;
    const auto process = process_of(guest.module, options);
    call(*process, guest.function, {1});
    CHECK(process->fuel() > 1000);
    CHECK(process->fuel() < 1100);
  }
}

// --- Calls that complete later --------------------------------------------------------------

TEST_CASE("pending calls: finished after the process was parked, by each way to call") {
  Completion ticket;
  const Host host([&](HostContext& context) {
    ticket = context.suspend();
    return HostResult::pending();
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    int wakes = 0;
    process->on_ready([&] { ++wakes; });
    prepare(*process, guest.function, {7});
    CHECK(test::run_tier(*process).kind == Kind::pending);
    CHECK(!process->ready());
    CHECK(test::run_tier(*process).kind == Kind::pending);
    const std::vector<u64> one = {1};
    CHECK(!process->prepare(guest.function, one).ok());
    REQUIRE(!process->trace().empty());
    CHECK(process->trace().back().name == "main");
    CHECK(innermost_operation(*process) == way);
    ticket.finish([](HostContext& context) { return context.result_i64(1000); });
    CHECK(process->ready());
    CHECK(wakes == 1);
    // A second time does nothing.
    ticket.finish([](HostContext& context) { return context.result_i64(5); });
    CHECK(wakes == 1);
    CHECK(test::run_tier(*process).kind == Kind::finished);
    CHECK(results(*process) == std::vector<u64>{2007, 7});
    CHECK(!process->ready());
    ticket.finish([](HostContext& context) { return context.result_i64(5); });
    CHECK(!process->ready());
  }
}

TEST_CASE("pending calls: finished before the host function returned") {
  const Host host([](HostContext& context) {
    const i64 argument = context.arg_i64(0);
    const Completion ticket = context.suspend();
    std::thread([ticket, argument] {
      ticket.finish([argument](HostContext& later) {
        const auto bytes = later.memory(0, 4);
        REQUIRE(bytes);
        (*bytes)[0] = 0x42;
        return later.result_i64(argument + 1);
      });
    }).join();
    return HostResult::pending();
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {10});
    Outcome outcome = test::run_tier(*process);
    if (outcome.kind == Kind::pending) {
      CHECK(process->ready());
      outcome = test::run_tier(*process);
    }
    CHECK(outcome.kind == Kind::finished);
    CHECK(results(*process) == std::vector<u64>{32, 10});
    CHECK(process->instance().memories[0]->base()[0] == 0x42);
  }
}

TEST_CASE("pending calls: completed by other threads at any time, many times") {
  // Each call is finished by a thread that races with the parking.
  std::vector<std::thread> threads;
  const Host host([&](HostContext& context) {
    const i64 argument = context.arg_i64(0);
    threads.emplace_back([ticket = context.suspend(), argument] {
      for (i64 spin = 0; spin < argument * 37; ++spin) std::this_thread::yield();
      ticket.finish([argument](HostContext& later) { return later.result_i64(argument * 3); });
    });
    return HostResult::pending();
  });
  const Guest guest;
  const auto process = process_of(guest.module, host.options());
  std::mutex mutex;
  std::condition_variable condition;
  bool woken = false;
  process->on_ready([&] {
    const std::lock_guard lock(mutex);
    woken = true;
    condition.notify_one();
  });
  for (u64 turn = 0; turn < 200; ++turn) {
    prepare(*process, guest.function, {turn % 5});
    Outcome outcome = test::run_tier(*process);
    while (outcome.kind == Kind::pending) {
      std::unique_lock lock(mutex);
      REQUIRE(condition.wait_for(lock, std::chrono::seconds(60), [&] { return woken; }));
      woken = false;
      lock.unlock();
      outcome = test::run_tier(*process);
    }
    REQUIRE(outcome.kind == Kind::finished);
    CHECK(results(*process) == std::vector<u64>{turn % 5 * 7, turn % 5});
    const std::lock_guard lock(mutex);
    woken = false;
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("pending calls: the trace of a Finish that traps begins at the call") {
  Completion ticket;
  const Host host([&](HostContext& context) {
    ticket = context.suspend();
    return HostResult::pending();
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {7});
    CHECK(test::run_tier(*process).kind == Kind::pending);
    ticket.finish([](HostContext&) { return HostResult::trapped(Trap::host_error); });
    CHECK(test::run_tier(*process).kind == Kind::trapped);
    CHECK(innermost_operation(*process) == way);
  }
}

TEST_CASE("pending calls: a Finish can trap, exit, or park again") {
  Completion ticket;
  const Host host([&](HostContext& context) {
    ticket = context.suspend();
    return HostResult::pending();
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    const auto program = program_of(guest.module);
    const auto parked = [&] {
      auto process = process_of(program, host.options());
      prepare(*process, guest.function, {3});
      REQUIRE(test::run_tier(*process).kind == Kind::pending);
      return process;
    };
    {
      const auto process = parked();
      ticket.finish([](HostContext&) { return HostResult::trapped(Trap::host_error); });
      const Outcome outcome = test::run_tier(*process);
      CHECK(outcome.kind == Kind::trapped);
      CHECK(outcome.trap == Trap::host_error);
    }
    {
      const auto process = parked();
      ticket.finish([](HostContext&) { return HostResult::exited(17); });
      const Outcome outcome = test::run_tier(*process);
      CHECK(outcome.kind == Kind::exited);
      CHECK(outcome.exit_code == 17);
    }
    const auto process = parked();
    const Completion first = ticket;
    first.finish([&](HostContext& context) {
      ticket = context.suspend();
      return HostResult::pending();
    });
    CHECK(test::run_tier(*process).kind == Kind::pending);
    CHECK(!process->ready());
    // The first ticket is void.
    first.finish([](HostContext& context) { return context.result_i64(1); });
    CHECK(!process->ready());
    ticket.finish([](HostContext& context) { return context.result_i64(20); });
    CHECK(test::run_tier(*process).kind == Kind::finished);
    CHECK(results(*process) == std::vector<u64>{43, 3});
  }
}

TEST_CASE("pending calls: preempted and out of fuel right after they complete") {
  Completion ticket;
  const Host host([&](HostContext& context) {
    ticket = context.suspend();
    return HostResult::pending();
  });
  for (Op way : ways) {
    INFO(isa::info(way).name);
    const Guest guest(way);
    for (u64 fuel = 0; fuel < 12; ++fuel) {
      Options options = host.options();
      options.limits.fuel = fuel;
      const auto process = process_of(guest.module, options);
      prepare(*process, guest.function, {7});
      bool finished = false;
      for (int turn = 0; turn < 40 && !finished; ++turn) {
        process->preempt();
        switch (test::run_tier(*process).kind) {
          case Kind::pending:
            ticket.finish([](HostContext& context) { return context.result_i64(1000); });
            break;
          case Kind::out_of_fuel:
            process->add_fuel(1);
            break;
          case Kind::finished:
            finished = true;
            break;
          default:
            break;
        }
      }
      REQUIRE(finished);
      CHECK(results(*process) == std::vector<u64>{2007, 7});
    }
  }
}

TEST_CASE("pending calls: without a ticket it is the host's error") {
  const Guest guest;
  const Host host([](HostContext&) { return HostResult::pending(); });
  const auto process = process_of(guest.module, host.options());
  prepare(*process, guest.function, {1});
  const Outcome outcome = test::run_tier(*process);
  CHECK(outcome.kind == Kind::trapped);
  CHECK(outcome.trap == Trap::host_error);
}

TEST_CASE("pending calls: a ticket that is not used is void") {
  Completion ticket;
  int cancelled = 0;
  const Host host([&](HostContext& context) {
    ticket = context.suspend([&] { ++cancelled; });
    return context.result_i64(4);
  });
  const Guest guest;
  const auto process = process_of(guest.module, host.options());
  CHECK(call(*process, guest.function, {1}) == std::vector<u64>{9, 1});
  CHECK(cancelled == 1);
  ticket.finish([](HostContext& context) { return context.result_i64(5); });
  CHECK(!process->ready());
}

TEST_CASE("pending calls: the end of the process cancels, once") {
  Completion ticket;
  int cancelled = 0;
  const Host host([&](HostContext& context) {
    ticket = context.suspend([&] { ++cancelled; });
    return HostResult::pending();
  });
  const Guest guest;
  for (const bool by_stop : {false, true}) {
    cancelled = 0;
    auto process = process_of(guest.module, host.options());
    prepare(*process, guest.function, {1});
    CHECK(test::run_tier(*process).kind == Kind::pending);
    CHECK(cancelled == 0);
    if (by_stop) {
      process->stop(Trap::interrupted);
      CHECK(cancelled == 1);
      ticket.finish([](HostContext& context) { return context.result_i64(5); });
      CHECK(!process->ready());
    }
    process.reset();
    CHECK(cancelled == 1);
    ticket.finish([](HostContext& context) { return context.result_i64(5); });
    CHECK(cancelled == 1);
  }
  // A call that was finished is not cancelled, run or not.
  cancelled = 0;
  auto process = process_of(guest.module, host.options());
  prepare(*process, guest.function, {1});
  CHECK(test::run_tier(*process).kind == Kind::pending);
  ticket.finish([](HostContext& context) { return context.result_i64(5); });
  CHECK(test::run_tier(*process).kind == Kind::finished);
  process.reset();
  CHECK(cancelled == 0);
}

// --- The gate -------------------------------------------------------------------------------

TEST_CASE("gate: a handle must be there, of the kind, and have the rights") {
  ModuleBuilder module;
  const mod::FuncType type32{{ValType::i32}, {ValType::i32}};
  const mod::FuncType type64{{ValType::i32}, {ValType::i64}};
  const u32 narrow =
      module.import_function("test", "narrow", module.type({ValType::i32}, {ValType::i32}));
  const u32 wide =
      module.import_function("test", "wide", module.type({ValType::i32}, {ValType::i64}));
  const auto caller = [&](u32 import, const mod::FuncType& type) {
    CodeBuilder code(module.type(type.params, type.results), 1, 4);
    code.emit(Op::mov, {3, 0}).emit(Op::call_import, {3, import}).emit(Op::ret_1, {3});
    return module.add(code);
  };
  const u32 call_narrow = caller(narrow, type32);
  const u32 call_wide = caller(wide, type64);
  int ran = 0;
  const cap::Object* seen = nullptr;
  std::vector<HostFunction> host(2);
  for (HostFunction& function : host) {
    function.module = "test";
    function.takes_handle = true;
    function.kind = cap::Kind::host;
    function.rights = cap::right_read | cap::right_stat;
  }
  host[0].name = "narrow";
  host[0].type = type32;
  host[0].call = [&](HostContext& context) {
    ++ran;
    seen = context.capability().object.get();
    return context.result_i32(1);
  };
  host[1].name = "wide";
  host[1].type = type64;
  host[1].call = [&](HostContext& context) {
    ++ran;
    return context.result_i64(2);
  };
  Options options;
  options.host = host;
  const auto process = process_of(module, options);
  const auto object = std::make_shared<cap::Object>(cap::Kind::host);
  const auto insert = [&](std::shared_ptr<cap::Object> what, cap::Rights rights,
                          std::shared_ptr<const cap::Revocation> revocation = nullptr) {
    return std::get<cap::Handle>(
        process->handles().insert({std::move(what), rights, std::move(revocation)}));
  };
  cap::Revoker revoker;
  const cap::Handle good = insert(object, cap::rights_all);
  const cap::Handle weak = insert(object, cap::right_read);
  const cap::Handle other =
      insert(std::make_shared<cap::Object>(cap::Kind::stream), cap::rights_all);
  const cap::Handle revocable = insert(object, cap::rights_all, revoker.revocation());

  const u64 polluted = u64{0xdead'beef} << 32;
  CHECK(call(*process, call_narrow, {polluted | good}) == std::vector<u64>{1});
  CHECK(seen == object.get());
  CHECK(call(*process, call_wide, {good}) == std::vector<u64>{2});
  CHECK(call(*process, call_wide, {revocable}) == std::vector<u64>{2});
  CHECK(ran == 3);
  const auto refused = [&](cap::Handle handle, Errno error) {
    const i64 code = -static_cast<i64>(error);
    CHECK(call(*process, call_narrow, {handle})[0] == static_cast<u32>(code));
    CHECK(call(*process, call_wide, {handle})[0] == static_cast<u64>(code));
    CHECK(ran == 3);
  };
  refused(weak, Errno::notcapable);
  refused(other, Errno::badf);
  refused(99, Errno::badf);
  refused(0xffff'ffff, Errno::badf);
  revoker.revoke();
  refused(revocable, Errno::notcapable);
  CHECK(process->handles().close(good) == Errno::success);
  refused(good, Errno::badf);
}
