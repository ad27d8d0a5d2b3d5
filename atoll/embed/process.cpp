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
  bool started = false;        // the start function and `_initialize` have run
  std::vector<Value> results;  // of the call that returned last
  bool ended = false;
  bool under_way = false;  // a call stopped for lack of fuel
  u64 fuel_given = 0;
  std::chrono::nanoseconds run_time{0};

  void add_wasi();
  void add_unknown();
  Result<Outcome> run_timed(std::span<const runtime::Slot> arguments);
  base::Status grant(const ProcessOptions& options);
  base::Result<runtime::Outcome> run_stages(std::span<const runtime::Slot> arguments);
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

// What running a module means: its start function, and the entry (or the given function). WASI's
// commands have `_start`; its reactors have `_initialize`, to be called before anything else.
static std::vector<u32> find_stages(const runtime::Program& program, std::optional<u32> function) {
  std::vector<u32> entries;
  if (function) {
    if (const auto start = program.module().start) entries.push_back(*start);
    if (const auto initialize = find_entry(program, "_initialize", false);
        initialize && initialize != function) {
      entries.push_back(*initialize);
    }
    entries.push_back(*function);
    return entries;
  }
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

// A function for each function import that nothing provides.
void Process::Impl::add_unknown() {
  for (const mod::Import& import : program->module().imports) {
    if (import.kind != mod::ExternKind::function) continue;
    const bool known =
        std::any_of(functions.begin(), functions.end(), [&](const runtime::HostFunction& each) {
          return each.name == import.name && each.module == import.module;
        });
    if (known) continue;
    runtime::HostFunction unknown;
    unknown.module = import.module;
    unknown.name = import.name;
    unknown.type = program->module().types[import.func_type];
    unknown.call = [](runtime::HostContext&) {
      return runtime::HostResult::trapped(runtime::Trap::unknown_import);
    };
    functions.push_back(std::move(unknown));
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
  if (options.trap_unknown_imports) impl->add_unknown();
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

// The arguments are the last stage's.
base::Result<runtime::Outcome> Process::Impl::run_stages(std::span<const runtime::Slot> arguments) {
  runtime::Outcome outcome;
  for (; stage < stages.size(); ++stage) {
    if (!under_way) {
      if (base::Status status = process->prepare(
              stages[stage],
              stage + 1 == stages.size() ? arguments : std::span<const runtime::Slot>());
          !status) {
        return status.error();
      }
    }
    outcome = runner->run();
    under_way = outcome.kind == runtime::Outcome::Kind::out_of_fuel;
    if (outcome.kind != runtime::Outcome::Kind::finished) break;
  }
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
  if (impl.ended || (impl.started && !impl.under_way)) {
    return Error{ErrorCode::usage, "", "the process has ended, or its functions were called"};
  }
  if (impl.stages.empty()) impl.stages = find_stages(*impl.program, std::nullopt);
  if (impl.stages.empty()) {
    return Error{ErrorCode::not_found, impl.program->module().name,
                 "no exported function `main` of type () -> i32 or (), nor `_start` or "
                 "`_initialize` of type ()"};
  }
  Result<Outcome> outcome = impl.run_timed({});
  impl.ended = !impl.under_way;
  return outcome;
}

Result<Outcome> Process::call(std::string_view function, std::span<const Value> arguments) {
  Impl& impl = *impl_;
  if (impl.ended) return Error{ErrorCode::usage, "", "the process has ended"};
  const runtime::Program& program = *impl.program;
  const auto index = program.find_export(function, mod::ExternKind::function);
  const std::string name(function);
  if (!index || *index < program.imported_functions()) {
    return Error{ErrorCode::not_found, name, "the module exports no such function of its own"};
  }
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  if (arguments.size() != type.params.size()) {
    return Error{ErrorCode::usage, name,
                 "takes " + std::to_string(type.params.size()) + " arguments, not " +
                     std::to_string(arguments.size())};
  }
  std::vector<runtime::Slot> slots;
  for (usize i = 0; i < arguments.size(); ++i) {
    const bool reference = mod::is_reference(type.params[i]);
    if (arguments[i].type != to_public(type.params[i]) || (reference && arguments[i].bits != 0)) {
      return Error{ErrorCode::usage, name,
                   "argument " + std::to_string(i) + " must be of type " +
                       std::string(mod::name_of(type.params[i])) + (reference ? ", null" : "")};
    }
    slots.push_back(arguments[i].bits);
  }
  if (!impl.under_way) {
    impl.stages = impl.started ? std::vector<u32>{*index} : find_stages(program, *index);
    impl.stage = 0;
  }
  impl.started = true;
  Result<Outcome> outcome = impl.run_timed(slots);
  if (!outcome) {
    impl.ended = true;
    return outcome;
  }
  if (impl.under_way) return outcome;
  // Not by its own `exit`: the function came back.
  if (impl.process->state != runtime::Process::State::idle) {
    impl.ended = true;
    return outcome;
  }
  impl.results.clear();
  for (usize i = 0; i < type.results.size(); ++i) {
    const ValueType result = to_public(type.results[i]);
    const bool narrow = result == ValueType::i32 || result == ValueType::f32;
    const u64 bits = impl.process->results()[i];
    impl.results.push_back({result, narrow ? static_cast<u32>(bits) : bits});
  }
  outcome->kind = Outcome::Kind::returned;
  outcome->exit_code = 0;
  return outcome;
}

std::vector<Value> Process::results() const { return impl_->results; }

Result<Outcome> Process::Impl::run_timed(std::span<const runtime::Slot> arguments) {
  const Clock::time_point begin = Clock::now();
  std::optional<Watchdog::Ticket> ticket;
  if (time_limit && *time_limit < longest_time) {
    sched::Runner& running = *runner;
    ticket = engine->watchdog.set(begin + *time_limit,
                                  [&running] { running.stop(runtime::Trap::time_limit); });
    if (!ticket) return Error{ErrorCode::io, "", "no thread for the time limit"};
  }
  const auto outcome = run_stages(arguments);
  if (ticket) {
    engine->watchdog.clear(*ticket);
    runner->withdraw(runtime::Trap::time_limit);
  }
  run_time += Clock::now() - begin;
  if (!outcome) return to_public(outcome.error());
  return to_outcome(*outcome);
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
