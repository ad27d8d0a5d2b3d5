#include <atoll/process.hpp>

#include <array>

#include "atoll/embed/impl.hpp"
#include "scheduler/core/runner.hpp"
#include "scheduler/loop/loop.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/host_directory.hpp"
#include "stdlib/vfs/name_space.hpp"
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
  enum class Stage : u8 { start, main, ended };

  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
  std::optional<std::chrono::milliseconds> time_limit;
  loop::Loop loop;
  host::Environment environment{loop};
  std::vector<runtime::HostFunction> functions = host::functions(environment);
  std::unique_ptr<runtime::Process> process;
  std::optional<sched::Runner> runner;
  Stage stage = Stage::start;
  bool under_way = false;  // a call stopped for lack of fuel
  u64 fuel_given = 0;
  std::chrono::nanoseconds run_time{0};

  base::Status grant(const ProcessOptions& options);
  base::Result<runtime::Outcome> run_stages();
  Outcome to_outcome(runtime::Outcome outcome) const;
};

// The index of `main`, if there is one of a type that can be run.
static std::optional<u32> find_main(const runtime::Program& program) {
  const auto index = program.find_export("main", mod::ExternKind::function);
  if (!index || *index < program.imported_functions()) return std::nullopt;
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  const bool fits = type.params.empty() &&
                    (type.results.empty() || type.results == std::vector{mod::ValType::i32});
  return fits ? index : std::nullopt;
}

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::~Process() = default;
Process::Process(Process&& other) noexcept = default;
Process& Process::operator=(Process&& other) noexcept = default;

// A process without a stream has one at which everything fails, so that handle numbers stay.
static cap::Capability stream(int fd, cap::Rights rights) {
  return {fd < 0 ? std::make_shared<host::Stream>() : host::make_stream(fd),
          rights | cap::right_stat, nullptr};
}

// Fills the handle table in the order of host::StandardHandle.
base::Status Process::Impl::grant(const ProcessOptions& options) {
  auto name_space = std::make_shared<vfs::NameSpace>();
  for (const DirectoryGrant& grant : options.directories) {
    auto directory = vfs::open_host_directory(grant.host);
    if (!directory) return std::move(directory).error();
    base::Status status =
        name_space->mount(grant.guest, *std::move(directory),
                          grant.writable ? vfs::rights_read_write : vfs::rights_read_only);
    if (!status) return status;
  }
  for (cap::Capability& each :
       std::array{stream(options.input, cap::right_read), stream(options.output, cap::right_write),
                  stream(options.error, cap::right_write),
                  cap::Capability{name_space, cap::rights_all, nullptr}}) {
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
  const std::optional<u32> start = program->module().start;
  const std::optional<u32> main = find_main(*program);
  if (!main) {
    return base::Error{base::ErrorCode::not_found, program->module().name,
                       "no exported function `main` of type () -> i32 or ()"};
  }
  runtime::Outcome outcome;
  while (true) {
    const std::optional<u32> function = stage == Stage::start ? start : main;
    if (function) {
      if (!under_way) {
        if (base::Status status = process->prepare(*function, {}); !status) return status.error();
      }
      outcome = runner->run();
      under_way = outcome.kind == runtime::Outcome::Kind::out_of_fuel;
      if (outcome.kind != runtime::Outcome::Kind::finished) break;
    }
    if (stage == Stage::main) break;
    stage = Stage::main;
  }
  if (!under_way) stage = Stage::ended;
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
  if (impl.stage == Impl::Stage::ended) {
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
