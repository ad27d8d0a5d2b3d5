#include "vm/runtime/process.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include "vm/runtime/completion.hpp"

namespace atollvm::runtime {

namespace {

constexpr u64 first_stack_slots = 128;
constexpr u64 no_fuel_limit = static_cast<u64>(std::numeric_limits<i64>::max());

// What the gate gives the guest. `is_open`: there is such a handle, of whatever kind.
HostResult gate_error(const HostFunction& function, const HostContext& context, cap::Errno error,
                      bool is_open) {
  if (error == cap::Errno::badf && is_open) error = function.wrong_kind;
  if (function.errors == ErrorSign::positive) return context.result_i32(static_cast<i32>(error));
  const bool wide = !function.type.results.empty() && function.type.results[0] == mod::ValType::i64;
  return wide ? context.error64(error) : context.error32(error);
}

}  // namespace

Process::Process(const Options& options)
    : limits_(options.limits),
      strategy_(options.memory),
      host_(options.host),
      more_host_(options.more_host),
      handles_(limits_.handles),
      stack_max_(std::max<u64>(limits_.stack_bytes / sizeof(Slot), min_window + 1)),
      fuel_(static_cast<i64>(std::min(limits_.fuel.value_or(0), no_fuel_limit))),
      port_(std::make_shared<CompletionPort>()) {
  worker.process = this;
}

Process::~Process() { port_->abandon(); }

void Process::name_instance(std::string name, u32 instance) {
  names_.insert_or_assign(std::move(name), instance);
}

base::Status Process::prepare(u32 function, std::span<const Slot> arguments, u32 instance) {
  using base::Error;
  using base::ErrorCode;
  if (state == State::runnable || state == State::pending) {
    return Error{ErrorCode::usage, "", "a call is under way"};
  }
  if (instance >= instances_.size() ||
      function >= instances_[instance]->program->functions().size()) {
    return Error{ErrorCode::usage, "", "no such function in the module"};
  }
  const FunctionTarget target = instances_[instance]->resolve(function);
  const Program& code = *target.instance->program;
  if (target.host != nullptr) {
    return Error{ErrorCode::usage, code.function_name(target.function),
                 "is a function of the host, which only guests can call"};
  }
  const FuncInfo& info = code.functions()[target.function];
  if (arguments.size() != info.param_slots) {
    return Error{ErrorCode::usage, code.function_name(target.function),
                 "takes " + std::to_string(info.param_slots) + " argument slots, not " +
                     std::to_string(arguments.size())};
  }
  if (!begin(*target.instance, info, arguments.data())) {
    return Error{ErrorCode::limit, code.function_name(target.function),
                 "its frame is larger than the stack limit"};
  }
  return {};
}

bool Process::begin(Instance& callee, const FuncInfo& function, const Slot* arguments) {
  const u64 needed = 1 + u64{std::max(function.window_slots, function.result_slots)};
  const bool has_room = needed <= stack_capacity_ && worker.limit.load() == stack_end();
  if (!has_room && !ensure_stack(needed)) return false;
  Slot* slot = stack() + 1;
  slot[-1] = frame_header(function.result_slots, 0, FrameKind::entry);
  for (u16 i = 0; i < function.param_slots; ++i) *slot++ = arguments[i];
  for (u16 i = 0; i < function.zeroed_slots; ++i) *slot++ = 0;
  if (worker.instance != &callee) enter(callee);
  saved = {static_cast<u32>(function.code - worker.code), 1};
  parked = Parked::no;
  state = State::runnable;
  return true;
}

bool Process::put_aside() {
  if (state != State::runnable || suspended_ || aside_.size() == most_aside) return false;
  aside_.reserve(most_aside);
  stack_max_ -= stack_capacity_;
  if (spare_capacity_ > stack_max_) drop_spare();
  aside_.push_back({saved, parked, worker.instance, host_caller,
                    std::exchange(stack_, std::move(spare_)),
                    std::exchange(stack_capacity_, std::exchange(spare_capacity_, 0))});
  state = State::idle;
  return true;
}

void Process::take_up() {
  Aside& call = aside_.back();
  saved = call.saved;
  parked = call.parked;
  host_caller = call.host_caller;
  spare_ = std::exchange(stack_, std::move(call.stack));  // the results are in it
  spare_capacity_ = std::exchange(stack_capacity_, call.stack_capacity);
  stack_max_ += stack_capacity_;
  enter(*call.instance);
  aside_.pop_back();
  suspended_ = false;
  state = State::runnable;
  arm();
}

void Process::enter(Instance& instance) {
  worker.code = instance.program->code();
  worker.functions = instance.program->functions().data();
  worker.instance = &instance;
}

std::optional<FunctionTarget> Process::find_function(u64 reference) const {
  const u64 instance = (reference >> 32) - 1;  // of null beyond every instance
  const u32 function = static_cast<u32>(reference);
  if (instance >= instances_.size()) return std::nullopt;
  if (function >= instances_[instance]->program->functions().size()) return std::nullopt;
  return instances_[instance]->resolve(function);
}

void Process::preempt() {
  worker.preempt.store(true);
  worker.limit.store(nullptr);
}

// The limit is written before the flag is read, and preempt() does it the other way round, so
// that no request is lost whichever comes first.
void Process::rearm() {
  worker.preempt.store(false);
  arm();
}

void Process::arm() {
  worker.limit.store(stack_end());
  if (worker.preempt.load()) worker.limit.store(nullptr);
}

bool Process::ready() const { return port_->ready(); }
void Process::on_ready(std::function<void()> wake) { port_->on_ready(std::move(wake)); }

void Process::add_fuel(u64 amount) {
  const u64 room = no_fuel_limit - static_cast<u64>(std::max<i64>(fuel_, 0));
  fuel_ += static_cast<i64>(std::min(amount, room));
}

void Process::drop_spare() {
  spare_.reset();
  spare_capacity_ = 0;
}

bool Process::ensure_stack(u64 needed) {
  if (needed > stack_max_) return false;
  if (needed > stack_capacity_) {
    const u64 capacity =
        std::min(std::max({needed, stack_capacity_ * 2, first_stack_slots}), stack_max_);
    drop_spare();
    std::unique_ptr<Slot[]> larger(new (std::nothrow) Slot[capacity]);
    if (larger == nullptr) return false;
    if (stack_ != nullptr) std::copy_n(stack_.get(), stack_capacity_, larger.get());
    stack_ = std::move(larger);
    stack_capacity_ = capacity;
  }
  arm();
  return true;
}

// Exceptions of host functions end here; a ticket that was opened but not used is void.
// Inline: 8 % of a host call.
template <class Function>
[[gnu::always_inline]] inline HostResult Process::guarded_call(HostContext& context,
                                                               const Function& function) {
  suspended_ = false;
  HostResult result;
  try {
    result = function(context);
    if (result.status == HostResult::Status::value && !suspended_) [[likely]] {
      return HostResult::value();
    }
  } catch (const std::bad_alloc&) {
    result = HostResult::trapped(Trap::out_of_memory);
  } catch (...) {
    result = HostResult::trapped(Trap::host_error);
  }
  const bool pending = result.status == HostResult::Status::pending;
  if (pending && !suspended_) return HostResult::trapped(Trap::host_error);
  if (!pending && suspended_) port_->abandon();
  return result;
}

HostResult Process::call_host(const FunctionTarget& target, Slot* window) {
  const HostFunction& function = *target.host;
  host_caller = target.instance;
  HostContext context(*this, window);
  if (function.takes_handle) return call_with_handle(function, context);
  return guarded_call(context, function.call);
}

HostResult Process::call_with_handle(const HostFunction& function, HostContext& context) {
  const cap::Handle handle = context.arg_u32(function.handle_index);
  const auto found = handles_.find(handle, function.kind, function.rights);
  if (const auto* error = std::get_if<cap::Errno>(&found)) {
    return gate_error(function, context, *error, handles_.find(handle) != nullptr);
  }
  // A copy: the function may close the handle.
  const cap::Capability capability = *std::get<cap::Capability*>(found);
  context.capability_ = &capability;
  return guarded_call(context, function.call);
}

HostResult Process::complete(Slot* window) {
  std::optional<Finish> finish = port_->take();
  if (!finish) return HostResult::pending();
  HostContext context(*this, window);
  return guarded_call(context, *finish);
}

i64 Process::grow_memory(Memory& memory, u64 delta_pages) {
  u64 others = 0;
  for (const auto& each : memories_) {
    if (each.get() != &memory) others += each->size();
  }
  const u64 allowed = (limits_.memory_bytes - others) >> memory.type().page_shift;
  if (delta_pages > allowed || memory.pages() > allowed - delta_pages) return -1;
  return memory.grow(delta_pages);
}

bool Process::reserve_table(Table& table, u64 delta) {
  u64 total = 0;
  for (const auto& each : tables_) total += each->elements.size();
  const u64 old_size = table.elements.size();
  const u64 maximum = table.type.size.max.value_or(std::numeric_limits<u32>::max());
  if (delta > limits_.table_elements - std::min(total, limits_.table_elements)) return false;
  if (old_size > maximum || delta > maximum - old_size) return false;
  return table.elements.reserve(delta);
}

Outcome Process::stop(Trap why) {
  port_->abandon();
  state = State::done;
  return {Outcome::Kind::trapped, why, 0};
}

Process::Usage Process::usage() const {
  Usage usage;
  for (const auto& memory : memories_) usage.memory_bytes += memory->size();
  for (const auto& table : tables_) usage.table_elements += table->elements.size();
  usage.stack_bytes = (stack_capacity_ + spare_capacity_) * sizeof(Slot);
  for (const Aside& call : aside_) usage.stack_bytes += call.stack_capacity * sizeof(Slot);
  return usage;
}

std::vector<TraceFrame> Process::trace(usize max_frames) const {
  std::vector<TraceFrame> inner;
  std::vector<TraceFrame> outer;  // a ring of the last ones
  if (state == State::idle || stack_ == nullptr) return inner;
  const Instance* instance = worker.instance;
  const Slot* stack = stack_.get();
  usize waiting = aside_.size();
  const usize outer_max = max_frames / 2;
  const usize inner_max = max_frames - outer_max;
  u64 fp = saved.fp;
  // A parked call's address is the one after it, like a caller's.
  u32 pc = saved.pc - (parked == Parked::no ? 0 : 1);
  usize count = 0;
  while (true) {
    TraceFrame frame;
    frame.depth = count;
    frame.instance = instance->index;
    frame.pc = pc;
    frame.function = instance->program->function_at(pc);
    if (inner.size() < inner_max) {
      inner.push_back(frame);
    } else if (outer.size() < outer_max) {
      outer.push_back(frame);
    } else if (outer_max != 0) {
      outer[(count - inner_max) % outer_max] = frame;
    }
    ++count;
    Slot header = stack[fp - 1];
    if (header_kind(header) == FrameKind::instance) {
      fp -= marker_slots;
      instance = instances_[stack[fp]].get();
      header = stack[fp - 1];
    }
    if (header_kind(header) == FrameKind::entry) {
      // The host function that called it was called by a guest.
      if (waiting == 0) break;
      const Aside& call = aside_[--waiting];
      instance = call.instance;
      stack = call.stack.get();
      fp = call.saved.fp;
      pc = call.saved.pc;
      continue;
    }
    pc = header_pc(header) - 1;
    fp -= header_window(header);
  }
  if (!outer.empty() && outer.size() == outer_max) {
    const usize oldest = (count - inner_max) % outer_max;
    std::rotate(outer.begin(), outer.begin() + static_cast<std::ptrdiff_t>(oldest), outer.end());
  }
  inner.insert(inner.end(), outer.begin(), outer.end());
  for (TraceFrame& frame : inner) {
    const Program& code = *instances_[frame.instance]->program;
    // The word before the next instruction may be an extension word.
    frame.pc = code.instruction_at(frame.pc);
    frame.name = code.function_name(frame.function);
    const mod::Line* line = code.module().line_at(frame.pc);
    const mod::Function& function =
        code.module().functions[frame.function - code.imported_functions()];
    if (line == nullptr || line->pc < function.code_begin) continue;
    frame.location = code.module().files[line->file] + ":" + std::to_string(line->line);
    if (line->column != 0) frame.location += ":" + std::to_string(line->column);
  }
  return inner;
}

cap::HandleTable& HostContext::handles() const { return process_.handles(); }

std::optional<std::span<u8>> HostContext::memory(u32 address, u32 length) const {
  const Instance& instance = *process_.host_caller;
  if (instance.memories.empty()) return std::nullopt;
  Memory& memory = *instance.memories.front();
  if (u64{address} + length > memory.size()) return std::nullopt;
  return std::span<u8>(memory.base() + address, length);
}

Completion HostContext::suspend(std::function<void()> cancel) const {
  process_.suspended_ = true;
  return process_.port_->open(std::move(cancel));
}

}  // namespace atollvm::runtime
