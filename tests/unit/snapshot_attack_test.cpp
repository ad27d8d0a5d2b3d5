// Images as an attacker writes them: each is refused, or makes a machine that harms nobody.
#include <fstream>
#include <iterator>
#include <random>

#include "atoll/embed/impl.hpp"
#include "scheduler/snapshot/frames.hpp"
#include "scheduler/snapshot/stream.hpp"
#include "tests/support/snapshots.hpp"
#include "tests/support/tier.hpp"
#include "tests/unit/processes.hpp"
#include "vm/runtime/process_parts.hpp"

using namespace atollvm;
using namespace atollvm::test;
using Code = base::ErrorCode;

namespace {

constexpr const char* guests_body = R"(
data child_name = "child"
data own_name = "me"
reserve how sizeof(SpawnOptions) align 8
reserve buffer 64 align 8
table t: funcref 1 .. 20 = [child]
global total: mut i64 = 5
func deep(n: i32) -> i32 {
    if i32.eqz n { ret (call receive(7, buffer, 64, 50_000_000_000, 0)) }
    ret (i32.add (call deep((i32.sub n, 1))), 1)
}
export func child(parent: i64) {
    call process_send(parent, 3, buffer, 32)
    call deep(5)
    ret
}
export func main() -> i32 {
    var me: i64
    call process_self() -> me
    i64.store [buffer], me
    call name_register(own_name, len(own_name), me)
    i32.store [how + SpawnOptions.flags], SPAWN_LINK | SPAWN_MONITOR
    call start(child_name, len(child_name), buffer, 1, how)
    call start(child_name, len(child_name), buffer, 1, how)
    call process_monitor_as(me, 6)
    call module_load(small, small_size, 0, 0)
    call timer_start(50_000_000_000, 5, 55)
    // Until both wait.
    call nap(20)
    var n: i64
    loop { i64.add n, n, 1 }
}
)";

std::shared_ptr<const runtime::Program> program_of(const std::string& body) {
  const Engine engine(test::engine_options());
  return Access::impl(assembled(engine, body))->program;
}

// Machines that come and go on one scheduler, with little to spend.
class Victims {
 public:
  Victims()
      : scheduler_({.workers = 2}, test::run_tier), functions_(host::functions(environment_)) {
    bounds_.process.memory_bytes = 1 << 20;
    bounds_.process.stack_bytes = 1 << 16;
    bounds_.process.table_elements = 1000;
    bounds_.process.handles = 64;
    bounds_.cpu_limit = 300'000;
    bounds_.memory_bytes = 16 << 20;
    bounds_.handles = 100;
  }
  // Whether the image was accepted; then its machine ran for a while.
  base::Status try_image(std::string_view image) {
    sched::Machine::Options options;
    options.max_processes = 50;
    options.host = functions_;
    sched::Machine& machine = scheduler_.add_machine(options);
    scheduler_.pause(machine);
    BytesSource source(image);
    snapshot::NoObjects none;
    const auto read = snapshot::read(scheduler_, machine, none, bounds_, source);
    if (read) {
      scheduler_.resume(machine);
      for (int i = 0; i < 3 && !machine.is_empty(); ++i) nap_shortly();
    } else {
      CHECK(machine.is_empty());
      CHECK(machine.table().generations().empty());
    }
    scheduler_.remove_machine(machine);
    return read ? base::Status() : base::Status(read.error());
  }
  snapshot::Bounds& bounds() { return bounds_; }

 private:
  host::Environment environment_;
  sched::Scheduler scheduler_;
  std::vector<runtime::HostFunction> functions_;
  snapshot::Bounds bounds_;
};

std::string image_of_guests() {
  Guests guests;
  sched::Spawn spawn;
  spawn.limits.memory_bytes = 1 << 20;
  spawn.limits.handles = 16;
  const std::string small =
      assembled(Engine(test::engine_options()), "export func f() { ret }\n").bytes();
  REQUIRE(guests.start(program_of(data_of("small", small) + guests_body), spawn) != 0);
  while (guests.machine().processes() < 3) nap_shortly();
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  guests.pause();
  std::string image;
  const auto written = guests.write(image);
  REQUIRE(written.ok());
  CHECK(written->processes == 3);
  CHECK(written->handles == 1);
  return image;
}

}  // namespace

TEST_CASE("snapshot: a truncated image is refused, wherever it ends") {
  const std::string image = image_of_guests();
  Victims victims;
  REQUIRE(victims.try_image(image).ok());
  for (usize size = 0; size < image.size(); ++size) {
    CAPTURE(size);
    const base::Status status = victims.try_image(std::string_view(image).substr(0, size));
    REQUIRE_FALSE(status.ok());
  }
}

TEST_CASE("snapshot: an image with wrong bits is refused or harmless") {
  const std::string image = image_of_guests();
  Victims victims;
  std::mt19937_64 random(20);
  int accepted = 0;
  for (int turn = 0; turn < 10'000; ++turn) {
    std::string wrong = image;
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < changes; ++i) {
      char& byte = wrong[random() % wrong.size()];
      switch (random() % 4) {
        case 0:
          byte = static_cast<char>(byte ^ 1 << random() % 8);
          break;
        case 1:
          byte = static_cast<char>(random());
          break;
        case 2:
          byte = -1;
          break;
        default:
          byte = 0;
          break;
      }
    }
    if (victims.try_image(wrong).ok()) ++accepted;
  }
  // Most bytes are numbers of a guest's own.
  CHECK(accepted > 0);
  CHECK(accepted < 10'000);
}

TEST_CASE("snapshot: what is more than the machine may have is refused") {
  const std::string image = image_of_guests();
  const auto code_with = [&](const auto& change) {
    Victims victims;
    change(victims.bounds());
    const base::Status status = victims.try_image(image);
    return status.ok() ? Code::usage : status.error().code;
  };
  CHECK(code_with([](auto&) {}) == Code::usage);
  using Bounds = snapshot::Bounds;
  CHECK(code_with([](Bounds& bounds) { bounds.process.memory_bytes = 16; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.memory_bytes = 500; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.process.table_elements = 0; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.process.stack_bytes = 160; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.process.fuel = 1000; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.mailbox_messages = 0; }) == Code::limit);
  CHECK(code_with([](Bounds& bounds) { bounds.mailbox_bytes = 10; }) == Code::limit);
}

// Packed, so many zeros take no room in a file.
TEST_CASE("snapshot: places beyond what a host has room for are refused before they come") {
  std::string image(reinterpret_cast<const char*>(snapshot::image_magic),
                    sizeof snapshot::image_magic);
  const auto number = [&](auto value) {
    image.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  number(snapshot::image_version);
  for (int i = 0; i < 5; ++i)
    number(u32{0});  // programs, functions, revokers, objects, file systems
  number(u64{0});    // CPU time
  number(u64{1});    // the next timer's number
  number(sched::Table::max_processes);
  Victims victims;
  const base::Status status = victims.try_image(image);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Code::limit);
}

TEST_CASE("snapshot: revokers that are none") {
  Victims victims;
  const auto refusal = [&](u8 state, u32 number) {
    std::string image(reinterpret_cast<const char*>(snapshot::image_magic),
                      sizeof snapshot::image_magic);
    const auto put = [&](auto value) {
      image.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    put(snapshot::image_version);
    put(u32{0});  // programs
    put(u32{0});  // functions
    put(u32{1});
    put(state);
    put(u32{1});
    put(static_cast<u8>(cap::Kind::revoker));
    put(u32{sizeof number});
    put(number);
    const base::Status status = victims.try_image(image);
    REQUIRE_FALSE(status.ok());
    return status.error().text();
  };
  CHECK(refusal(2, 0).find("no such state of a revoker") != std::string::npos);
  CHECK(refusal(0, 1).find("a revoker that is none") != std::string::npos);
  CHECK(refusal(1, ~u32{0}).find("a revoker that is none") != std::string::npos);
  CHECK(refusal(1, 0).find("revoker") == std::string::npos);
}

TEST_CASE("snapshot: what is no image, or of another version, says so") {
  std::string image = image_of_guests();
  Victims victims;
  CHECK(victims.try_image("this is a text").error().code == Code::malformed);
  ++image[4];
  CHECK(victims.try_image(image).error().code == Code::unsupported);
}

TEST_CASE("snapshot: a machine that has or had processes takes no image in") {
  const std::string image = image_of_guests();
  Guests guests;
  REQUIRE(guests.read(image).ok());
  CHECK(guests.read(image).error().code == Code::usage);
  Guests running;
  BytesSource source(image);
  snapshot::NoObjects none;
  CHECK(snapshot::read(running.scheduler(), running.machine(), none, {}, source).error().code ==
        Code::usage);
  std::string text;
  CHECK(running.write(text).error().code == Code::usage);
}

// Whatever CPU wrote them: all tests run on several.
TEST_CASE("snapshot: kept images are read, and written again as they were") {
  for (const char* const name :
       {"bulk", "fuel", "group", "loop", "receive", "sleep", "table", "tail"}) {
    CAPTURE(name);
    std::ifstream file(std::string(ATOLL_SOURCE_DIR "/tests/fuzz/corpus/snapshot/") + name,
                       std::ios::binary);
    REQUIRE(file);
    const std::string image{std::istreambuf_iterator<char>(file), {}};
    Guests guests;
    const auto read = guests.read(image);
    REQUIRE_MESSAGE(read.ok(), read.error().text());
    std::string again;
    const auto written = guests.write(again);
    REQUIRE(written.ok());
    CHECK(written->stored_bytes == read->stored_bytes);
    CHECK(again.size() == image.size());
    // In the others less time is left now.
    const bool has_times = name == std::string_view("group") || name == std::string_view("sleep");
    if (!has_times) CHECK(again == image);
    guests.resume();
  }
}

// Stacks of a small program, each wrong in another way.
TEST_CASE("snapshot: a stack that no process can have is refused") {
  const auto program = program_of(R"(
memory 100
table t: funcref 1 .. 9 = [inner]
func inner(n: i32) -> i32 {
    call process_yield()
    memory.fill 0, 1, n
    ret n
}
func pair() -> i32, i32 { ret 1, 2 }
export func main() -> i32 {
    var a: i32, b: i32
    call pair() -> a, b
    ret (call inner(50))
}
)");
  const snapshot::CodeMap code(program);
  const std::vector<const snapshot::CodeMap*> codes{&code};
  const mod::Module& module = program->module();
  const auto function_at = [&](std::string_view name) -> const mod::Function& {
    for (u32 i = 0; i < module.functions.size(); ++i) {
      if (program->function_name(i + program->imported_functions()) == name) {
        return module.functions[i];
      }
    }
    REQUIRE(false);
    return module.functions[0];
  };
  const mod::Function& inner = function_at("inner");
  const mod::Function& main = function_at("main");
  // Where main goes on after its call of inner.
  u32 after = 0;
  u16 window = 0;
  for (u32 pc = main.code_begin; pc < main.code_begin + main.code_size;) {
    const isa::Word* const word = module.code.data() + pc;
    pc += static_cast<u32>(isa::length(word));
    if (isa::op_of(*word) != isa::Op::call) continue;
    after = pc;
    window = isa::field_a(*word);
  }
  REQUIRE(after != 0);
  u32 fill = 0;
  for (u32 pc = inner.code_begin; pc < inner.code_begin + inner.code_size;) {
    const isa::Word* const word = module.code.data() + pc;
    if (isa::op_of(*word) == isa::Op::memory_fill) fill = pc;
    pc += static_cast<u32>(isa::length(word));
  }
  REQUIRE(fill != 0);
  using runtime::frame_header;
  using runtime::FrameKind;
  const auto good = [&] {
    snapshot::StoppedCall call;
    call.fp = 1 + window;
    call.pc = inner.code_begin;
    call.slots.resize(call.fp + inner.frame_slots);
    call.slots[0] = frame_header(1, 0, FrameKind::entry);
    call.slots[window] = frame_header(after, window, FrameKind::guest);
    return call;
  };
  std::string wrong;
  CHECK(snapshot::check_stack(good(), codes, wrong) != 0);
  const auto refused = [&](const auto& change) {
    snapshot::StoppedCall call = good();
    change(call);
    std::string why;
    const bool is_refused = snapshot::check_stack(call, codes, why) == 0;
    CHECK(is_refused == !why.empty());
    return is_refused;
  };
  using Call = snapshot::StoppedCall;
  CHECK(refused([](Call& call) { call.fp = 0; }));
  CHECK(refused([](Call& call) { call.fp = ~u64{0}; }));
  CHECK(refused([](Call& call) { call.fp += 1; }));
  CHECK(refused([](Call& call) { call.instance = 1; }));
  CHECK(refused([](Call& call) { call.pc = ~u32{0}; }));
  CHECK(refused([&](Call& call) { call.pc = static_cast<u32>(module.code.size()); }));
  CHECK(refused([](Call& call) { call.slots.pop_back(); }));
  CHECK(refused([](Call& call) { call.slots.push_back(0); }));
  CHECK(refused([](Call& call) { call.slots.clear(); }));
  CHECK(refused([](Call& call) { call.slots[0] = 0; }));
  CHECK(refused([](Call& call) { call.slots[0] = frame_header(2, 0, FrameKind::entry); }));
  CHECK(refused([](Call& call) { call.slots[0] = frame_header(1, 1, FrameKind::entry); }));
  CHECK(refused([&](Call& call) { call.slots[window] = frame_header(1, 0, FrameKind::entry); }));
  CHECK(refused(
      [&](Call& call) { call.slots[window] = frame_header(after + 1, window, FrameKind::guest); }));
  CHECK(
      refused([&](Call& call) { call.slots[window] = frame_header(0, window, FrameKind::guest); }));
  CHECK(refused([&](Call& call) {
    call.slots[window] = frame_header(after, static_cast<u16>(window - 1), FrameKind::guest);
  }));
  CHECK(refused([&](Call& call) {
    call.slots[window] = frame_header(after, window, static_cast<FrameKind>(3));
  }));
  CHECK(refused([&](Call& call) {
    call.slots[window] = frame_header(1, runtime::marker_slots, FrameKind::instance);
  }));
  // Markers of a call into another instance.
  const std::vector<const snapshot::CodeMap*> two{&code, &code};
  const auto over_marker = [&](const auto& change) {
    snapshot::StoppedCall call = good();
    call.slots.insert(call.slots.begin() + 1 + window, runtime::marker_slots, 0);
    call.slots[1 + window] = 0;
    call.slots[2 + window] = frame_header(1, runtime::marker_slots, FrameKind::instance);
    call.fp += runtime::marker_slots;
    call.instance = 1;
    change(call);
    std::string why;
    return snapshot::check_stack(call, two, why) != 0;
  };
  CHECK(over_marker([](Call&) {}));
  CHECK_FALSE(over_marker([&](Call& call) { call.slots[1 + window] = 2; }));
  CHECK_FALSE(over_marker([&](Call& call) { call.slots[1 + window] = u64{1} << 32; }));
  // More results than the function has would be moved from beyond its frame.
  CHECK_FALSE(over_marker([&](Call& call) {
    call.slots[2 + window] = frame_header(60'000, runtime::marker_slots, FrameKind::instance);
  }));
  CHECK_FALSE(over_marker(
      [&](Call& call) { call.slots[2 + window] = frame_header(1, 1, FrameKind::instance); }));
  // Under a marker a guest goes on.
  CHECK_FALSE(
      over_marker([&](Call& call) { call.slots[window] = frame_header(1, 0, FrameKind::entry); }));
  CHECK_FALSE(over_marker([&](Call& call) {
    call.slots[window] = frame_header(1, runtime::marker_slots, FrameKind::instance);
  }));
  CHECK_FALSE(over_marker([&](Call& call) {
    call.slots.erase(call.slots.begin() + 1, call.slots.begin() + 1 + window);
    call.fp -= window;
  }));
  // Bulk operations.
  const auto in_fill = [&](u64 count, u64 done) {
    snapshot::StoppedCall call = good();
    call.pc = fill;
    call.bulk = done;
    const isa::Word word = module.code[fill];
    call.slots[call.fp + isa::field_c(word)] = count;
    std::string why;
    return snapshot::check_stack(call, codes, why) != 0;
  };
  CHECK(in_fill(50, 0));
  CHECK(in_fill(50, 49));
  CHECK_FALSE(in_fill(50, 50));
  CHECK_FALSE(in_fill(50, ~u64{0}));
  CHECK_FALSE(in_fill(u64{50} << 32, 1));
  CHECK(refused([](Call& call) { call.bulk = 1; }));
  CHECK(refused([](Call& call) { call.paid = true; }));
  // Calls of the host.
  host::Environment environment;
  const auto functions = host::functions(environment);
  const auto find = [&](std::string_view name) {
    return &*std::ranges::find(functions, name, &runtime::HostFunction::name);
  };
  u32 behind_yield = 0;
  for (u32 pc = inner.code_begin; pc < inner.code_begin + inner.code_size;) {
    const isa::Word* const word = module.code.data() + pc;
    pc += static_cast<u32>(isa::length(word));
    if (isa::op_of(*word) == isa::Op::call_import) behind_yield = pc;
  }
  REQUIRE(behind_yield != 0);
  const auto parked = [&](u32 pc, std::string_view name, runtime::Process::Parked how) {
    snapshot::StoppedCall call = good();
    call.pc = pc;
    call.parked = how;
    call.parked_in = find(name);
    std::string why;
    return snapshot::check_stack(call, codes, why) != 0;
  };
  using Parked = runtime::Process::Parked;
  CHECK(parked(behind_yield, "process_yield", Parked::call));
  CHECK(parked(behind_yield, "args_count", Parked::call));  // of the same type
  CHECK_FALSE(parked(behind_yield, "process_yield", Parked::tail_call));
  CHECK_FALSE(parked(behind_yield, "receive", Parked::call));
  CHECK_FALSE(parked(behind_yield + 1, "process_yield", Parked::call));
  CHECK_FALSE(parked(behind_yield - 1, "process_yield", Parked::call));
  CHECK_FALSE(parked(0, "process_yield", Parked::call));
  CHECK_FALSE(parked(static_cast<u32>(module.code.size()), "process_yield", Parked::call));
  CHECK_FALSE(parked(~u32{0}, "process_yield", Parked::call));
}
