#include <atoll/process.hpp>

#include <algorithm>
#include <system_error>
#include <thread>

#include "atoll/embed/impl.hpp"
#include "atoll/embed/profiler.hpp"
#include "atoll/embed/scheduled.hpp"
#include "atoll/embed/start_up.hpp"
#include "scheduler/core/runner.hpp"
#include "scheduler/loop/loop.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/host/stream.hpp"
#include "vm/jit/jit.hpp"
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

// A tier.
runtime::Outcome run_profiled(runtime::Process& process) {
  return static_cast<HostState*>(process.owner)->profiler->run(process);
}

}  // namespace

runtime::Limits to_internal(const Limits& limits) {
  runtime::Limits result;
  result.memory_bytes = limits.memory_bytes;
  result.stack_bytes = limits.stack_bytes;
  result.table_elements = limits.table_elements;
  result.handles = limits.handles;
  result.fuel = limits.fuel;
  return result;
}

runtime::IoAmount io_of(const Limits& limits) {
  return {limits.io_bytes.value_or(cap::Meter::unlimited),
          limits.io_operations.value_or(cap::Meter::unlimited)};
}

runtime::IoAmount io_rate_of(const Limits& limits) {
  return {limits.io_bytes_rate.value_or(cap::Rate::unlimited),
          limits.io_operations_rate.value_or(cap::Rate::unlimited)};
}

std::vector<TraceFrame> to_public(std::vector<runtime::TraceFrame> trace) {
  std::vector<TraceFrame> result;
  for (runtime::TraceFrame& frame : trace) {
    result.push_back(
        {frame.depth, frame.function, frame.pc, std::move(frame.name), std::move(frame.location)});
  }
  return result;
}

Error call_error(const Outcome& outcome) {
  std::string what(to_text(outcome.trap));
  if (outcome.kind == Outcome::Kind::exited) {
    what = "the guest ended itself with exit code " + std::to_string(outcome.exit_code);
  }
  if (!outcome.message.empty()) what += ": " + outcome.message;
  return {ErrorCode::trapped, outcome.trace.empty() ? "" : outcome.trace.front().name,
          std::move(what)};
}

std::string_view to_text(Trap trap) noexcept {
  return runtime::text(static_cast<runtime::Trap>(trap));
}

struct Process::Impl final : Callee {
  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const runtime::Program> program;
  std::optional<std::chrono::milliseconds> time_limit;
  loop::Loop loop;
  host::Environment environment;
  Imports imports;
  std::vector<runtime::HostFunction> functions;  // Atoll's own that the module may import
  std::optional<Profiler> profiler;
  HostState host;
  std::unique_ptr<runtime::Process> process;
  std::optional<sched::Runner> runner;
  bool uses_wasi = false;
  std::vector<u32> stages;  // the functions to run, one after the other
  usize stage = 0;
  bool started = false;        // the start function and `_initialize` have run
  std::vector<Value> results;  // of the call that returned last
  bool is_run = false;         // not a call
  bool ended = false;
  bool running = false;    // in a run or call: another one is made by its host functions
  bool under_way = false;  // a call stopped for lack of fuel
  Outcome last;            // of the run or call before
  Scheduling scheduling;
  bool scheduled = false;      // run() needs a scheduler
  std::optional<MainEnd> end;  // of a scheduled run
  u64 fuel_given = 0;
  std::chrono::nanoseconds run_time{0};

  bool call(std::uint32_t function, std::uint64_t* values, std::size_t arguments,
            std::size_t result_count) noexcept override;
  void add_unknown();
  base::Result<runtime::Outcome> run_timed(std::span<const runtime::Slot> arguments);
  bool invoke(u32 function, std::span<const runtime::Slot> arguments);
  bool invoke_staged(u32 function, std::span<const runtime::Slot> arguments);
  bool invoke_inside(u32 function, std::span<const runtime::Slot> arguments);
  [[gnu::cold, gnu::noinline]] bool refuse(Error why);
  [[gnu::cold, gnu::noinline]] bool stopped(runtime::Outcome how);
  bool report(runtime::Outcome how);
  [[gnu::noinline]] void returned();
  [[nodiscard]] RunTier tier() const { return profiler ? run_profiled : tier_of(engine->options); }
  base::Status grant(const ProcessOptions& options);
  base::Result<runtime::Outcome> run_with_others();
  base::Result<runtime::Outcome> run_stages(std::span<const runtime::Slot> arguments);
  Outcome to_outcome(runtime::Outcome outcome);
  Outcome to_outcome(runtime::Outcome outcome, std::vector<runtime::TraceFrame> trace);
};

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::~Process() = default;
Process::Process(Process&& other) noexcept = default;
Process& Process::operator=(Process&& other) noexcept = default;

// A function for each function import that nothing provides.
void Process::Impl::add_unknown() {
  for (const mod::Import& import : program->module().imports) {
    if (import.kind != mod::ExternKind::function) continue;
    const auto is_it = [&](const runtime::HostFunction& each) {
      return each.name == import.name && each.module == import.module;
    };
    const auto& own = Access::impl(imports);
    if (std::any_of(functions.begin(), functions.end(), is_it) ||
        (own != nullptr && std::any_of(own->functions.begin(), own->functions.end(), is_it))) {
      continue;
    }
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

base::Status Process::Impl::grant(const ProcessOptions& options) {
  auto handles = first_handles(streams_of(options.input, options.output, options.error),
                               options.directories, options.mounts, options.network, uses_wasi);
  if (!handles) return std::move(handles).error();
  for (cap::Capability& each : *handles) {
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
  impl->imports = options.imports;
  impl->scheduling = options.scheduling;
  impl->scheduled = (uses_processes(*impl->program) || options.scheduling.stress != 0) &&
                    Access::impl(impl->imports) == nullptr;
  HostCalls calls = host_calls(*impl->program, impl->environment);
  impl->functions = std::move(calls.functions);
  impl->uses_wasi = calls.uses_wasi;
  if (options.trap_unknown_imports) impl->add_unknown();
  runtime::Options inner;
  inner.limits = to_internal(options.limits);
  inner.io = io_of(options.limits);
  inner.io_rate = io_rate_of(options.limits);
  inner.memory = static_cast<runtime::MemoryStrategy>(engine.options().memory);
  inner.host = impl->functions;
  if (const auto& own = Access::impl(impl->imports)) inner.more_host = own->functions;
  auto process = runtime::Process::create(impl->program, inner);
  if (!process) return to_public(std::move(process).error());
  impl->process = *std::move(process);
  impl->process->owner = &impl->host;
  impl->process->worker()->pool = impl->engine->pool.get();
  impl->host.process = impl.get();
  if (base::Status status = impl->grant(options); !status) {
    return to_public(std::move(status).error());
  }
  impl->fuel_given = static_cast<u64>(impl->process->fuel());
  if (options.profile.count() > 0) {
    try {
      impl->profiler.emplace(tier_of(engine.options()), options.profile);
    } catch (const std::system_error&) {
      return Error{ErrorCode::io, "", "no thread for the profile"};
    }
    impl->host.profiler = &*impl->profiler;
  }
  impl->runner.emplace(*impl->process, impl->loop, impl->tier());
  return Process(std::move(impl));
}

// The main process, begun anew with what this one was given, and those that it starts.
base::Result<runtime::Outcome> Process::Impl::run_with_others() {
  ScheduledRun run;
  run.tier = tier();
  run.scheduler.workers = scheduling.workers != 0
                              ? scheduling.workers
                              : std::max(std::thread::hardware_concurrency(), 1u);
  const auto policy = find_policy(scheduling.policy);
  if (!policy) return policy.error();
  run.scheduler.policy = *policy;
  run.scheduler.slice_ns = static_cast<u64>(std::chrono::nanoseconds(scheduling.slice).count());
  run.scheduler.stress = scheduling.stress;
  run.scheduler.pool = engine->pool.get();
  run.machine.name = program->module().name;
  run.machine.max_processes = scheduling.max_processes;
  run.machine.host = functions;
  run.machine.owner = &host;
  run.main.program = program;
  run.main.like = &process->instance();
  run.main.functions = stages;
  run.main.limits = process->limits();
  run.main.mailbox.messages = scheduling.max_messages;
  run.main.io = process->io_limit();
  run.main.io_rate = process->io_rate();
  run.main.memory = process->memory_strategy();
  for (cap::Handle number = 0; const cap::Capability* each = process->handles().find(number);
       ++number) {
    run.main.handles.push_back(*each);
  }
  if (scheduling.on_crash) {
    run.on_crash = [this](u64 pid, const runtime::Outcome& how,
                          std::vector<runtime::TraceFrame> trace) {
      scheduling.on_crash(pid, to_outcome(how, std::move(trace)));
    };
  }
  auto ended_by = run_scheduled(std::move(run), loop, *runner);
  if (!ended_by) return std::move(ended_by).error();
  end = *std::move(ended_by);
  return end->outcome;
}

// The arguments are the last stage's.
base::Result<runtime::Outcome> Process::Impl::run_stages(std::span<const runtime::Slot> arguments) {
  if (scheduled && arguments.empty() && is_run) return run_with_others();
  runtime::Outcome how;
  for (; stage < stages.size(); ++stage) {
    if (!under_way) {
      if (base::Status status = process->prepare(
              stages[stage],
              stage + 1 == stages.size() ? arguments : std::span<const runtime::Slot>());
          !status) {
        return status.error();
      }
    }
    how = runner->run();
    under_way = how.kind == runtime::Outcome::Kind::out_of_fuel;
    if (how.kind != runtime::Outcome::Kind::finished) break;
  }
  return how;
}

Outcome Process::Impl::to_outcome(runtime::Outcome how) {
  if (end) {
    Outcome result = to_outcome(how, std::move(end->trace));
    if (end->exit_code) result.exit_code = *end->exit_code;
    return result;
  }
  Outcome result = to_outcome(how, how.kind == runtime::Outcome::Kind::finished
                                       ? std::vector<runtime::TraceFrame>()
                                       : process->trace());
  if (how.kind == runtime::Outcome::Kind::finished && !process->results().empty()) {
    result.exit_code = static_cast<u32>(process->results()[0]);
  }
  return result;
}

Outcome Process::Impl::to_outcome(runtime::Outcome how, std::vector<runtime::TraceFrame> trace) {
  Outcome result;
  result.kind = kind_of(how);
  switch (how.kind) {
    case runtime::Outcome::Kind::finished:
      return result;
    case runtime::Outcome::Kind::exited:
      result.exit_code = how.exit_code;
      return result;
    case runtime::Outcome::Kind::out_of_fuel:
      result.trap = Trap::out_of_fuel;
      break;
    default:
      result.trap = static_cast<Trap>(how.trap);
      if (result.trap == Trap::host_error) result.message = std::exchange(host.message, {});
      break;
  }
  result.trace = to_public(std::move(trace));
  return result;
}

Result<Outcome> Process::run() { return run({}); }

Result<Outcome> Process::run(std::string_view entry) {
  Impl& impl = *impl_;
  if (impl.running || impl.ended || (impl.started && !impl.under_way)) {
    return Error{
        ErrorCode::usage, "",
        impl.running ? "the process runs" : "the process has ended, or its functions were called"};
  }
  if (!entry.empty() && impl.stages.empty()) {
    const auto function = find_entry(*impl.program, entry, true);
    if (!function) {
      return Error{ErrorCode::not_found, std::string(entry),
                   "no exported function of this name and of type () -> i32 or ()"};
    }
    impl.stages = find_stages(*impl.program, function);
  }
  if (impl.stages.empty()) impl.stages = find_stages(*impl.program, std::nullopt);
  if (impl.stages.empty()) return to_public(no_entry(*impl.program));
  impl.is_run = true;
  const auto ended = impl.run_timed({});
  impl.ended = !impl.under_way;
  if (!ended) return to_public(ended.error());
  return impl.last = impl.to_outcome(*ended);
}

Result<u32> Access::find_own(const runtime::Program& program, std::string_view name) {
  const auto index = program.find_export(name, mod::ExternKind::function);
  if (!index || *index < program.imported_functions()) {
    return Error{ErrorCode::not_found, std::string(name),
                 "the module exports no such function of its own"};
  }
  return *index;
}

Result<std::vector<runtime::Slot>> Access::to_slots(const mod::FuncType& type,
                                                    std::string_view name,
                                                    std::span<const Value> arguments) {
  if (arguments.size() != type.params.size()) {
    return Error{ErrorCode::usage, std::string(name),
                 "takes " + std::to_string(type.params.size()) + " arguments, not " +
                     std::to_string(arguments.size())};
  }
  std::vector<runtime::Slot> slots;
  for (usize i = 0; i < arguments.size(); ++i) {
    const bool reference = mod::is_reference(type.params[i]);
    if (arguments[i].type != to_public(type.params[i]) || (reference && arguments[i].bits != 0)) {
      return Error{ErrorCode::usage, std::string(name),
                   "argument " + std::to_string(i) + " must be of type " +
                       std::string(mod::name_of(type.params[i])) + (reference ? ", null" : "")};
    }
    slots.push_back(arguments[i].bits);
  }
  return slots;
}

std::vector<Value> Access::to_values(const mod::FuncType& type,
                                     std::span<const runtime::Slot> slots) {
  std::vector<Value> values;
  for (usize i = 0; i < type.results.size(); ++i) {
    const ValueType result = to_public(type.results[i]);
    const bool narrow = result == ValueType::i32 || result == ValueType::f32;
    values.push_back({result, narrow ? static_cast<u32>(slots[i]) : slots[i]});
  }
  return values;
}

Result<Outcome> Process::call(std::string_view function, std::span<const Value> arguments) {
  Impl& impl = *impl_;
  const runtime::Program& program = *impl.program;
  const Result<u32> index = Access::find_own(program, function);
  if (!index) return index.error();
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  const auto slots = Access::to_slots(type, function, arguments);
  if (!slots) return slots.error();
  if (!impl.invoke(*index, *slots)) {
    if (impl.error->code != ErrorCode::trapped) return *impl.error;
    return impl.last;
  }
  impl.results = Access::to_values(type, impl.process->results());
  return impl.last;
}

std::vector<Value> Process::results() const { return impl_->results; }
const Outcome& Process::outcome() const { return impl_->last; }

bool Process::Impl::refuse(Error why) {
  error = std::move(why);
  return false;
}

// A call that did not come back.
bool Process::Impl::stopped(runtime::Outcome how) {
  ended = !under_way;
  return report(how);
}

bool Process::Impl::report(runtime::Outcome how) {
  last = to_outcome(how);
  return refuse(call_error(last));
}

// As invoke, from a host function that the process waits for.
bool Process::Impl::invoke_inside(u32 function, std::span<const runtime::Slot> arguments) {
  if (!process->put_aside()) {
    return refuse(
        {ErrorCode::usage, "",
         "the process waits for too many calls of its host functions, or for a Deferred"});
  }
  struct TakeUp {
    runtime::Process& process;
    ~TakeUp() { process.take_up(); }
  } const at_end{*process};
  if (!process->begin(process->instance(), program->functions()[function], arguments.data())) {
    return refuse({ErrorCode::limit, program->function_name(function),
                   "its frame is larger than what is left of the stack limit"});
  }
  const runtime::Outcome how = runner->run();
  if (how.kind == runtime::Outcome::Kind::finished) return true;
  if (how.kind == runtime::Outcome::Kind::exited) {
    host.ends = runtime::HostResult::exited(how.exit_code);
  } else if (how.trap == runtime::Trap::time_limit || how.trap == runtime::Trap::interrupted) {
    host.ends = runtime::HostResult::trapped(how.trap);
    runner->stop(how.trap);  // further calls of the host function too
  }
  return report(how);
}

// As invoke, where there is more to do than to run the one function.
bool Process::Impl::invoke_staged(u32 function, std::span<const runtime::Slot> arguments) {
  if (running) return invoke_inside(function, arguments);
  if (ended) return refuse({ErrorCode::usage, "", "the process has ended"});
  if (!under_way) {
    stages = started ? std::vector<u32>{function} : find_stages(*program, function);
    stage = 0;
  }
  started = true;
  const auto how = run_timed(arguments);
  if (!how) {
    ended = true;
    return refuse(to_public(how.error()));
  }
  // Not by its own `exit`: the function came back.
  return how->kind == runtime::Outcome::Kind::finished || stopped(*how);
}

// Calls one function after what has to run before the first. False: `error` says why it did not
// return; then `last` says more if the guest was stopped.
bool Process::Impl::invoke(u32 function, std::span<const runtime::Slot> arguments) {
  if (ended || running || !started || under_way || time_limit) {
    if (!invoke_staged(function, arguments)) return false;
  } else {
    if (!process->begin(process->instance(), program->functions()[function], arguments.data())) {
      return refuse(to_public(process->prepare(function, arguments).error()));
    }
    running = true;
    const runtime::Outcome how = runner->run();
    running = false;
    if (how.kind != runtime::Outcome::Kind::finished) {
      // Where the call goes on after add_fuel.
      under_way = how.kind == runtime::Outcome::Kind::out_of_fuel;
      stages.assign(1, function);
      stage = 0;
      return stopped(how);
    }
  }
  if (last.kind != Outcome::Kind::returned) returned();
  return true;
}

void Process::Impl::returned() {
  last = Outcome();
  last.kind = Outcome::Kind::returned;
}

bool Process::Impl::call(std::uint32_t function, std::uint64_t* values, std::size_t arguments,
                         std::size_t result_count) noexcept {
  const bool inside = running;
  try {
    if (!invoke(function, {values, arguments})) return false;
  } catch (const std::exception&) {
    running = inside;
    ended = !inside;
    return refuse({ErrorCode::io, "", "no event loop, or out of memory"});
  }
  for (usize i = 0; i < result_count; ++i) values[i] = process->results()[i];
  return true;
}

bool detail::run_function(void* process, std::uint32_t function, std::uint64_t* values,
                          std::size_t arguments, std::size_t results) noexcept {
  return static_cast<Callee*>(process)->call(function, values, arguments, results);
}
Error detail::function_error(void* process) { return *static_cast<Callee*>(process)->error; }

Result<std::uint32_t> Access::find_function(const runtime::Program& program, std::string_view name,
                                            const FunctionType& type) {
  const Result<u32> index = Access::find_own(program, name);
  if (!index) return index;
  const mod::FuncType& found = program.module().types[program.type_of(*index)];
  mod::FuncType wanted;
  for (const ValueType each : type.parameters) wanted.params.push_back(to_internal(each));
  for (const ValueType each : type.results) wanted.results.push_back(to_internal(each));
  if (!(found == wanted)) {
    return Error{ErrorCode::usage, std::string(name),
                 "is of type " + signature_text(found) + ", not " + signature_text(wanted)};
  }
  return *index;
}

Result<std::uint32_t> Process::find_function(std::string_view name,
                                             const FunctionType& type) const {
  return Access::find_function(*impl_->program, name, type);
}

Memory Process::memory(std::uint32_t index) const {
  const auto& memories = impl_->process->instance().memories;
  return Access::memory(index < memories.size() ? memories[index] : nullptr);
}

Result<Value> Process::global(std::string_view name) const {
  const auto index = impl_->program->find_export(name, mod::ExternKind::global);
  if (!index) return Error{ErrorCode::not_found, std::string(name), "no such exported global"};
  const ValueType type = to_public(impl_->program->global_type(*index).type);
  const u64 bits = impl_->process->instance().global(*index)->low;
  const bool narrow = type == ValueType::i32 || type == ValueType::f32;
  return Value{type, narrow ? static_cast<u32>(bits) : bits};
}

Result<std::monostate> Process::set_global(std::string_view name, const Value& value) {
  const auto index = impl_->program->find_export(name, mod::ExternKind::global);
  if (!index) return Error{ErrorCode::not_found, std::string(name), "no such exported global"};
  const mod::GlobalType type = impl_->program->global_type(*index);
  if (!type.is_mutable) return Error{ErrorCode::usage, std::string(name), "is immutable"};
  if (value.type != to_public(type.type) || (mod::is_reference(type.type) && value.bits != 0)) {
    return Error{ErrorCode::usage, std::string(name),
                 "is of type " + std::string(mod::name_of(type.type))};
  }
  impl_->process->instance().global(*index)->low = value.bits;
  return std::monostate();
}

Result<std::uint32_t> Process::insert(std::shared_ptr<HostObject> object) {
  return Access::insert(*impl_->process, std::move(object));
}

cap::HandleTable& Access::handles(Process& process) { return process.impl_->process->handles(); }

std::uint32_t Process::revoke(const std::shared_ptr<HostObject>& object) {
  return Access::revoke_if(*this, [&](const HostObject& each) { return &each == object.get(); });
}

std::shared_ptr<HostObject> Process::object(std::uint32_t handle) const {
  return Access::object(impl_->process->handles(), handle);
}

bool Process::close(std::uint32_t handle) {
  return Access::close(impl_->process->handles(), handle);
}

base::Result<runtime::Outcome> Process::Impl::run_timed(std::span<const runtime::Slot> arguments) {
  const Clock::time_point begin = Clock::now();
  std::optional<Watchdog::Ticket> ticket;
  if (time_limit && *time_limit < longest_time) {
    sched::Runner& stopping = *runner;
    ticket = engine->watchdog.set(begin + *time_limit,
                                  [&stopping] { stopping.stop(runtime::Trap::time_limit); });
    if (!ticket) return base::Error{base::ErrorCode::io, "", "no thread for the time limit"};
  }
  running = true;
  auto how = run_stages(arguments);
  running = false;
  if (ticket) {
    engine->watchdog.clear(*ticket);
    runner->withdraw(runtime::Trap::time_limit);
  }
  run_time += Clock::now() - begin;
  return how;
}

void Process::add_fuel(std::uint64_t amount) {
  runtime::Process& process = *impl_->process;
  const i64 before = process.fuel();
  process.add_fuel(amount);
  impl_->fuel_given += static_cast<u64>(process.fuel() - before);
}

void Process::interrupt() noexcept { impl_->runner->stop(runtime::Trap::interrupted); }

Stats Process::stats() const {
  const auto& end = impl_->end;
  const runtime::Process::Usage usage = end ? end->usage : impl_->process->usage();
  Stats stats;
  stats.run_time = impl_->run_time;
  stats.memory_bytes = usage.memory_bytes;
  stats.stack_bytes = usage.stack_bytes;
  stats.table_elements = usage.table_elements;
  if (impl_->process->counts_fuel()) {
    stats.fuel_used =
        impl_->fuel_given - static_cast<u64>(end ? end->fuel : impl_->process->fuel());
  }
  const jit::CompiledStats compiled = jit::compiled(*impl_->program);
  stats.compiled_functions = compiled.functions;
  stats.code_bytes = compiled.code_bytes;
  stats.compile_time = std::chrono::nanoseconds(compiled.nanoseconds);
  stats.discarded_functions = compiled.discarded;
  if (end) {
    stats.stress_stops = end->stress.stops;
    stats.stress_moves = end->stress.moves;
    stats.stress_naps = end->stress.sleeps;
  }
  return stats;
}

std::vector<StackSamples> Process::profile() const {
  return impl_->profiler ? impl_->profiler->samples() : std::vector<StackSamples>();
}

}  // namespace atollvm
