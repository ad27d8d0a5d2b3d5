#include <atoll/process.hpp>

#include <algorithm>
#include <iterator>

#include "atoll/embed/impl.hpp"
#include "scheduler/core/runner.hpp"
#include "scheduler/loop/loop.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "stdlib/wasi/wasi.hpp"
#include "vm/interp/interp.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm {

namespace {

#define TRAP(id, words) \
  static_assert(static_cast<int>(Trap::id) == static_cast<int>(runtime::Trap::id));
#include "vm/runtime/traps.def"
#undef TRAP

static_assert(static_cast<int>(MemoryStrategy::guarded) ==
              static_cast<int>(runtime::MemoryStrategy::guarded));

using Clock = Watchdog::Clock;

// Longer times are no limit; and the clock can't hold much more.
constexpr std::chrono::hours longest_time{24 * 365 * 100};

runtime::Limits to_internal(const Limits& limits) {
  runtime::Limits result;
  result.memory_bytes = limits.memory_bytes;
  result.stack_bytes = limits.stack_bytes;
  result.table_elements = limits.table_elements;
  result.handles = limits.handles;
  result.fuel = limits.fuel;
  return result;
}

Outcome::Kind kind_of(runtime::Outcome outcome) {
  switch (outcome.kind) {
    case runtime::Outcome::Kind::out_of_fuel:
      return Outcome::Kind::out_of_fuel;
    case runtime::Outcome::Kind::trapped:
      if (outcome.trap == runtime::Trap::time_limit) return Outcome::Kind::time_limit;
      if (outcome.trap == runtime::Trap::interrupted) return Outcome::Kind::interrupted;
      return Outcome::Kind::trapped;
    default:
      return Outcome::Kind::exited;
  }
}

}  // namespace

std::string_view to_text(Trap trap) noexcept {
  return runtime::text(static_cast<runtime::Trap>(trap));
}

struct Process::Impl {
  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
  std::optional<std::chrono::milliseconds> time_limit;
  loop::Loop loop;
  host::Environment environment{loop};
  std::vector<runtime::HostFunction> functions = host::functions(environment);
  std::unique_ptr<runtime::Process> process;
  std::optional<sched::Runner> runner;
  bool uses_wasi = false;
  std::vector<u32> stages;  // the functions to run, one after the other
  usize stage = 0;
  bool ended = false;
  bool under_way = false;  // a call stopped for lack of fuel
  u64 fuel_given = 0;
  std::chrono::nanoseconds run_time{0};

  void add_wasi();
  base::Status grant(const ProcessOptions& options);
  base::Result<runtime::Outcome> run_stages();
  Outcome to_outcome(runtime::Outcome outcome) const;
};

// The index of an exported function of the module's own code, if its type has no parameters and,
// at most, an exit code as its result.
static std::optional<u32> find_entry(const runtime::Program& program, std::string_view name,
                                     bool may_give_code) {
  const auto index = program.find_export(name, mod::ExternKind::function);
  if (!index || *index < program.imported_functions()) return std::nullopt;
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  const bool gives_code = type.results == std::vector{mod::ValType::i32};
  const bool fits = type.params.empty() && (type.results.empty() || (may_give_code && gives_code));
  return fits ? index : std::nullopt;
}

// What running a module means: its start function, and the entry. WASI's commands have `_start`;
// its reactors have `_initialize`, to be called before anything else.
static std::vector<u32> find_stages(const runtime::Program& program) {
  std::vector<u32> entries;
  if (const auto start = find_entry(program, "_start", false)) {
    entries.push_back(*start);
  } else {
    if (const auto initialize = find_entry(program, "_initialize", false)) {
      entries.push_back(*initialize);
    }
    if (const auto main = find_entry(program, "main", true)) entries.push_back(*main);
  }
  if (entries.empty()) return entries;
  if (const auto start = program.module().start) entries.insert(entries.begin(), *start);
  return entries;
}

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::~Process() = default;
Process::Process(Process&& other) noexcept = default;
Process& Process::operator=(Process&& other) noexcept = default;

// A process without a stream has one at which everything fails, so that handle numbers stay.
static std::shared_ptr<host::Stream> stream_of(int fd) {
  return fd < 0 ? std::make_shared<host::Stream>() : host::make_stream(fd);
}

// The functions of the editions of WASI that the module imports from.
void Process::Impl::add_wasi() {
  for (const wasi::Edition edition : {wasi::Edition::snapshot_preview1, wasi::Edition::unstable}) {
    const auto& imports = program->module().imports;
    const bool imported = std::any_of(imports.begin(), imports.end(), [&](const auto& import) {
      return wasi::edition_of(import.module) == edition;
    });
    if (!imported) continue;
    uses_wasi = true;
    std::vector<runtime::HostFunction> more = wasi::functions(environment, edition);
    functions.insert(functions.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }
}

// Fills the handle table in the order of host::StandardHandle; a module of WASI gets a descriptor
// for each directory in place of the name space.
base::Status Process::Impl::grant(const ProcessOptions& options) {
  auto name_space = std::make_shared<vfs::NameSpace>();
  std::vector<cap::Capability> directories;
  for (const DirectoryGrant& grant : options.directories) {
    auto directory = vfs::open_host_directory(grant.host);
    if (!directory) return std::move(directory).error();
    base::Status status = name_space->mount(
        grant.guest, *directory, grant.writable ? vfs::rights_read_write : vfs::rights_read_only);
    if (!status) return status;
    directories.push_back(wasi::preopen(*std::move(directory), grant.guest, grant.writable));
  }
  std::vector<cap::Capability> handles;
  if (uses_wasi) {
    handles = {wasi::stream(stream_of(options.input), false),
               wasi::stream(stream_of(options.output), true),
               wasi::stream(stream_of(options.error), true)};
    std::move(directories.begin(), directories.end(), std::back_inserter(handles));
  } else {
    handles = {{stream_of(options.input), cap::right_read | cap::right_stat},
               {stream_of(options.output), cap::right_write | cap::right_stat},
               {stream_of(options.error), cap::right_write | cap::right_stat},
               {name_space, cap::rights_all}};
  }
  for (cap::Capability& each : handles) {
    if (std::holds_alternative<cap::Errno>(process->handles().insert(std::move(each)))) {
      return base::Error{base::ErrorCode::limit, "",
                         "fewer handles allowed than every process starts with"};
    }
  }
  return {};
}

Result<Process> Process::create(const Engine& engine, const Module& module,
                                const ProcessOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->engine = Access::impl(engine);
  impl->program = Access::impl(module)->program;
  impl->time_limit = options.limits.time;
  impl->environment.arguments = options.arguments;
  for (const auto& [name, value] : options.environment) {
    impl->environment.variables.push_back(name + "=" + value);
  }
  impl->add_wasi();
  runtime::Options inner;
  inner.limits = to_internal(options.limits);
  inner.memory = static_cast<runtime::MemoryStrategy>(engine.options().memory);
  inner.host = impl->functions;
  auto process = runtime::Process::create(impl->program, inner);
  if (!process) return to_public(std::move(process).error());
  impl->process = *std::move(process);
  if (base::Status status = impl->grant(options); !status) {
    return to_public(std::move(status).error());
  }
  impl->fuel_given = static_cast<u64>(impl->process->fuel());
  impl->runner.emplace(*impl->process, impl->loop, interp::run);
  return Process(std::move(impl));
}

base::Result<runtime::Outcome> Process::Impl::run_stages() {
  if (stages.empty()) stages = find_stages(*program);
  if (stages.empty()) {
    return base::Error{base::ErrorCode::not_found, program->module().name,
                       "no exported function `main` of type () -> i32 or (), nor `_start` or "
                       "`_initialize` of type ()"};
  }
  runtime::Outcome outcome;
  for (; stage < stages.size(); ++stage) {
    if (!under_way) {
      if (base::Status status = process->prepare(stages[stage], {}); !status) {
        return status.error();
      }
    }
    outcome = runner->run();
    under_way = outcome.kind == runtime::Outcome::Kind::out_of_fuel;
    if (outcome.kind != runtime::Outcome::Kind::finished) break;
  }
  ended = !under_way;
  return outcome;
}

Outcome Process::Impl::to_outcome(runtime::Outcome outcome) const {
  Outcome result;
  result.kind = kind_of(outcome);
  switch (outcome.kind) {
    case runtime::Outcome::Kind::finished:
      if (!process->results().empty()) result.exit_code = static_cast<u32>(process->results()[0]);
      return result;
    case runtime::Outcome::Kind::exited:
      result.exit_code = outcome.exit_code;
      return result;
    case runtime::Outcome::Kind::out_of_fuel:
      result.trap = Trap::out_of_fuel;
      break;
    default:
      result.trap = static_cast<Trap>(outcome.trap);
      break;
  }
  for (runtime::TraceFrame& frame : process->trace()) {
    result.trace.push_back(
        {frame.depth, frame.function, frame.pc, std::move(frame.name), std::move(frame.location)});
  }
  return result;
}

Result<Outcome> Process::run() {
  Impl& impl = *impl_;
  if (impl.ended) {
    return Error{ErrorCode::usage, "", "the process has ended"};
  }
  const Clock::time_point begin = Clock::now();
  std::optional<Watchdog::Ticket> ticket;
  if (impl.time_limit && *impl.time_limit < longest_time) {
    sched::Runner& runner = *impl.runner;
    ticket = impl.engine->watchdog.set(begin + *impl.time_limit,
                                       [&runner] { runner.stop(runtime::Trap::time_limit); });
    if (!ticket) return Error{ErrorCode::io, "", "no thread for the time limit"};
  }
  const auto outcome = impl.run_stages();
  if (ticket) {
    impl.engine->watchdog.clear(*ticket);
    impl.runner->withdraw(runtime::Trap::time_limit);
  }
  impl.run_time += Clock::now() - begin;
  if (!outcome) return to_public(outcome.error());
  return impl.to_outcome(*outcome);
}

void Process::add_fuel(std::uint64_t amount) {
  runtime::Process& process = *impl_->process;
  const i64 before = process.fuel();
  process.add_fuel(amount);
  impl_->fuel_given += static_cast<u64>(process.fuel() - before);
}

void Process::interrupt() noexcept { impl_->runner->stop(runtime::Trap::interrupted); }

Stats Process::stats() const {
  const runtime::Process::Usage usage = impl_->process->usage();
  Stats stats;
  stats.run_time = impl_->run_time;
  stats.memory_bytes = usage.memory_bytes;
  stats.stack_bytes = usage.stack_bytes;
  stats.table_elements = usage.table_elements;
  if (impl_->process->counts_fuel()) {
    stats.fuel_used = impl_->fuel_given - static_cast<u64>(impl_->process->fuel());
  }
  return stats;
}

}  // namespace atollvm
