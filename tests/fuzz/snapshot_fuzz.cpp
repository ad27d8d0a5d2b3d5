// Any bytes are refused as an image, or make a machine that runs within its limits and can be
// written again.
#include <cstdlib>

#include "atoll/embed/objects.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "tests/support/snapshots.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

struct World {
  World() : functions(host::functions(environment)), scheduler({.workers = 1}, interp::run) {}
  host::Environment environment;
  std::vector<runtime::HostFunction> functions;
  sched::Scheduler scheduler;
};

snapshot::Bounds tight() {
  snapshot::Bounds bounds;
  bounds.process.memory_bytes = 4 << 20;
  bounds.process.stack_bytes = 1 << 16;
  bounds.process.table_elements = 10'000;
  bounds.process.handles = 64;
  bounds.cpu_limit = 1'000'000;
  bounds.memory_bytes = 16 << 20;
  bounds.handles = 100;
  return bounds;
}

// A file system in memory, and an overlay of two.
Grants grants() {
  vfs::MemoryLimits limits;
  limits.bytes = 1 << 20;
  const auto stream = [] { return std::make_shared<host::Stream>(); };
  Grants made{{stream(), stream(), stream()}, {}, std::make_shared<vfs::NameSpace>(), nullptr, {}};
  made.directories.push_back({"/m", cap::rights_all, false, vfs::make_memory(limits)});
  const auto lower = vfs::make_memory(limits);
  static_cast<void>(lower->make_directory("d", vfs::Wait::never));
  static_cast<void>(lower->open("f", vfs::open_create, {true, true}, vfs::Wait::never));
  made.directories.push_back(
      {"/o", cap::rights_all, false, vfs::make_overlay(lower, vfs::make_memory(limits))});
  return made;
}

struct Nothing final : snapshot::Sink {
  base::Status write(std::span<const u8>) override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static World world;
  sched::Machine::Options options;
  options.name = "m";
  options.max_processes = 20;
  options.host = world.functions;
  sched::Machine& machine = world.scheduler.add_machine(options);
  world.scheduler.pause(machine);
  BytesSource source({reinterpret_cast<const char*>(data), size});
  const Grants own = grants();
  std::optional<GrantedObjects> objects(own);
  const auto read = snapshot::read(world.scheduler, machine, *objects, tight(), source);
  if (!read && !machine.is_empty()) std::abort();
  if (read) {
    objects.emplace(own);
    for (const auto& each : own.directories) {
      static_cast<void>(each.object->list(0, 4096, vfs::Wait::allowed));
      static_cast<void>(each.object->rename("d", *each.object, "f/x", vfs::Wait::allowed));
      static_cast<void>(each.object->remove_file("f", vfs::Wait::allowed));
    }
    Nothing sink;
    const auto written = snapshot::write(world.scheduler, machine, *objects, sink);
    if (!written || written->processes != read->processes) std::abort();
    world.scheduler.resume(machine);
    for (int i = 0; i < 10 && !machine.is_empty(); ++i) nap_shortly();
  }
  world.scheduler.remove_machine(machine);
  return 0;
}
