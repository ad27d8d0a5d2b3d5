#include "vm/runtime/process.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include "vm/base/monotonic.hpp"
#include "vm/runtime/completion.hpp"
#include "vm/runtime/process_parts.hpp"

namespace atollvm::runtime {

namespace {

// A stack is at least this large: what any call takes.
constexpr u64 first_stack_slots = 1 + min_window;
constexpr u64 max_u32 = std::numeric_limits<u32>::max();
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

LinkedProgram::LinkedProgram(std::shared_ptr<const Program> of)
    : number([] {
        static std::atomic<u64> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
      }()),
      program(std::move(of)) {}

Process::Process(const Options& options) { take(options); }

inline void Process::take(const Options& options) {
  const Limits& limits = options.limits;
  counts_fuel_ = limits.fuel.has_value();
  fuel_ = static_cast<i64>(std::min(limits.fuel.value_or(0), no_fuel_limit));
  strategy_ = options.memory;
  memory_limit_ = limits.memory_bytes;
  account_ = options.account;
  host_ = options.host.data();
  host_count_ = static_cast<u32>(options.host.size());
  stack_max_ = static_cast<u32>(
      std::clamp<u64>(limits.stack_bytes / sizeof(Slot), first_stack_slots, max_u32));
  table_limit_ = static_cast<u32>(std::min(limits.table_elements, max_u32));
  handle_limit_ = limits.handles;
  if (!options.more_host.empty()) extra().more_host = options.more_host;
  if (is_limited(options.io)) hold(options.io);
  if (is_limited(options.io_rate)) {
    Holdings& own = holdings_ != nullptr ? *holdings_ : hold({});
    own.rates = std::make_unique<Holdings::Rates>(options.io_rate);
  }
}

Process::~Process() {
  if (CompletionPort* const port = open_port()) port->abandon();
  if (account_ != nullptr) account_->memory.give(charged());
}

void Process::end_for_now() {
  if (account_ != nullptr) account_->memory.give(charged());
  account_ = nullptr;
  holdings_.reset();
}

base::Status Process::begin_again(const Options& options) {
  const mod::Module& module = first_.program->module();
  if (!memories_.empty()) {
    memories_.front()->begin_again(least_bytes(module.memories.front()),
                                   options.limits.memory_bytes);
  }
  saved = {};
  state = State::idle;
  parked = Parked::no;
  ends = Ends::completion;
  has_rested = false;
  is_unbegun = false;
  preempt_.store(false, std::memory_order_relaxed);
  suspended_ = false;
  parked_in = nullptr;
  host_caller = nullptr;
  current_ = &first_;
  results_ = nullptr;
  result_count_ = 0;
  // Nothing of who had it before is left there.
  std::fill(stack_.get(), stack_.end(), Slot{0});
  first_.dropped.assign(module.elems.size() + module.datas.size());
  begin_globals(first_);
  base::Status filled = fill(first_);
  take(options);  // the account last: one that throws before has charged nothing
  return filled;
}

Limits Process::limits() const {
  Limits limits;
  limits.memory_bytes = memory_limit_;
  limits.stack_bytes = u64{stack_max_} * sizeof(Slot);
  limits.table_elements = table_limit_;
  limits.handles = handle_limit_;
  if (counts_fuel_) limits.fuel = static_cast<u64>(std::max<i64>(fuel_, 0));
  if (extra_ == nullptr) return limits;
  for (const Aside& call : extra_->aside) {
    limits.stack_bytes += u64{call.stack.capacity()} * sizeof(Slot);
  }
  return limits;
}

// Of all stacks, when the one in use has so many slots.
u64 Process::charged_stack(u64 capacity) const {
  u64 slots = capacity;
  if (extra_ != nullptr) {
    slots += extra_->spare.capacity();
    for (const Aside& call : extra_->aside) slots += call.stack.capacity();
  }
  return (std::max(slots, paid_stack_slots) - paid_stack_slots) * sizeof(Slot);
}

void Process::charge_to(cap::Account& account) {
  account_ = &account;
  if (holdings_ != nullptr) holdings_->handles.charge_to(&account.handles);
}

u64 Process::charged() const {
  u64 bytes = process_bytes + charged_stack(stack_.capacity());
  bytes += globals_bytes(first_.globals.size());
  for (const auto& memory : memories_) bytes += memory->size();
  if (extra_ == nullptr) return bytes;
  for (const auto& table : extra_->tables) bytes += table->elements.bytes();
  for (const auto& each : extra_->instances) bytes += globals_bytes(each->globals.size());
  return bytes;
}

Process::Extra& Process::extra() {
  if (extra_ == nullptr) extra_ = std::make_unique<Extra>();
  return *extra_;
}

CompletionPort& Process::port() {
  Extra& more = extra();
  if (more.port == nullptr) more.port = std::make_shared<CompletionPort>();
  return *more.port;
}

Process::Holdings& Process::hold(IoAmount io) {
  cap::Meter* const machine = account_ == nullptr ? nullptr : &account_->handles;
  holdings_ = std::make_unique<Holdings>(handle_limit_, machine, io);
  return *holdings_;
}

cap::HandleTable& Process::handles() {
  return holdings_ != nullptr ? holdings_->handles : hold({}).handles;
}

IoAmount Process::io_rate() const {
  if (holdings_ == nullptr || holdings_->rates == nullptr) return {};
  return {holdings_->rates->bytes.limit(), holdings_->rates->operations.limit()};
}

IoTurn Process::take_io_operation() {
  Holdings& own = *holdings_;
  if (own.io_used.operations >= own.io_limit.operations) return {};
  if (account_ != nullptr && !account_->io_operations.take(1)) return {};
  ++own.io_used.operations;
  IoTurn turn{true, 0};
  cap::Rate* const machine = account_ == nullptr ? nullptr : &account_->io_operations_rate;
  const bool is_machine_paced = machine != nullptr && machine->is_limited();
  if (own.rates == nullptr && !is_machine_paced) [[likely]]
    return turn;
  const u64 now = base::monotonic_ns();
  if (own.rates != nullptr && own.rates->operations.is_limited()) {
    turn.at = own.rates->operations.take(1, now);
  }
  if (is_machine_paced) turn.at = std::max(turn.at, machine->take(1, now));
  return turn;
}

void Process::give_io_operation() {
  Holdings& own = *holdings_;
  --own.io_used.operations;
  if (own.rates != nullptr && own.rates->operations.is_limited()) own.rates->operations.give(1);
  if (account_ == nullptr) return;
  account_->io_operations.give(1);
  if (account_->io_operations_rate.is_limited()) account_->io_operations_rate.give(1);
}

// Those that bytes must be taken from.
struct Process::ByteRates {
  std::array<cap::Rate*, 3> rates{};
  usize count = 0;

  void add(cap::Rate& rate) {
    if (rate.is_limited()) rates[count++] = &rate;
  }
  [[nodiscard]] auto begin() const { return rates.begin(); }
  [[nodiscard]] auto end() const { return rates.begin() + count; }
};

Process::ByteRates Process::byte_rates(cap::Rate* link) const {
  ByteRates found;
  if (holdings_->rates != nullptr) found.add(holdings_->rates->bytes);
  if (account_ != nullptr) found.add(account_->io_bytes_rate);
  if (link != nullptr) found.add(*link);
  return found;
}

IoShare Process::take_io_bytes(u64 wanted, bool is_whole, cap::Rate* link) {
  Holdings& own = *holdings_;
  IoShare share{wanted, 0, 0};
  const ByteRates rates = byte_rates(link);
  const u64 now = rates.count == 0 ? 0 : base::monotonic_ns();
  u64 paced = wanted;
  for (const cap::Rate* const each : rates) paced = each->share(paced, now);
  if (!is_whole) share.bytes = paced;
  share.bytes = std::min(share.bytes, own.io_limit.bytes - own.io_used.bytes);
  if (account_ != nullptr) share.bytes = account_->io_bytes.take_some(share.bytes);
  own.io_used.bytes += share.bytes;
  if (rates.count == 0 || share.bytes == 0) return share;
  share.paced = std::min(paced, share.bytes);
  for (cap::Rate* const each : rates) share.at = std::max(share.at, each->take(share.paced, now));
  return share;
}

void Process::settle_io_bytes(const IoShare& share, u64 moved, cap::Rate* link) {
  const u64 unused = share.bytes - moved;
  holdings_->io_used.bytes -= unused;
  if (account_ != nullptr) account_->io_bytes.give(unused);
  if (moved == share.paced) return;
  for (cap::Rate* const each : byte_rates(link)) {
    if (moved < share.paced) {
      each->give(share.paced - moved);
    } else {
      each->take(moved - share.paced, base::monotonic_ns());
    }
  }
}

void Process::name_instance(std::string name, u32 instance) {
  extra().names.insert_or_assign(std::move(name), instance);
}

base::Status Process::prepare(u32 function, std::span<const Slot> arguments, u32 instance) {
  using base::Error;
  using base::ErrorCode;
  if (state == State::runnable || state == State::pending) {
    return Error{ErrorCode::usage, "", "a call is under way"};
  }
  if (instance >= instance_count_ ||
      function >= this->instance(instance).program->functions().size()) {
    return Error{ErrorCode::usage, "", "no such function in the module"};
  }
  const FunctionTarget target = this->instance(instance).resolve(function);
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
  const Worker* const at = worker();
  const bool has_room =
      needed <= stack_.capacity() && (at == nullptr || at->limit.load() == stack_.end());
  if (!has_room && !ensure_stack(needed)) return false;
  Slot* slot = stack() + 1;
  slot[-1] = frame_header(function.result_slots, 0, FrameKind::entry);
  for (u16 i = 0; i < function.param_slots; ++i) *slot++ = arguments[i];
  for (u16 i = 0; i < function.zeroed_slots; ++i) *slot++ = 0;
  if (current_ != &callee) enter(callee);
  saved = {.fp = 1, .pc = static_cast<u32>(function.code - callee.program->code())};
  parked = Parked::no;
  state = State::runnable;
  return true;
}

bool Process::put_aside() {
  if (state != State::runnable || suspended_) return false;
  Extra& more = extra();
  if (more.aside.size() == most_aside) return false;
  more.aside.reserve(most_aside);
  stack_max_ -= stack_.capacity();
  if (more.spare.capacity() > stack_max_) drop_spare();
  more.aside.push_back(
      {saved, parked, current_, host_caller, std::exchange(stack_, std::move(more.spare))});
  state = State::idle;
  return true;
}

void Process::take_up() {
  Extra& more = *extra_;
  Aside& call = more.aside.back();
  saved = call.saved;
  parked = call.parked;
  host_caller = call.host_caller;
  more.spare = std::exchange(stack_, std::move(call.stack));  // the results are in it
  stack_max_ += stack_.capacity();
  enter(*call.instance);
  more.aside.pop_back();
  suspended_ = false;
  state = State::runnable;
  arm();
}

std::optional<FunctionTarget> Process::find_function(u64 reference) {
  const u64 instance = (reference >> 32) - 1;  // of null beyond every instance
  const u32 function = static_cast<u32>(reference);
  if (instance >= instance_count_) return std::nullopt;
  Instance& found = this->instance(static_cast<u32>(instance));
  if (function >= found.program->functions().size()) return std::nullopt;
  return found.resolve(function);
}

void Process::preempt() {
  preempt_.store(true);
  if (Worker* const at = worker_.load()) at->limit.store(nullptr);
}

// The limit is written before the flag is read, and preempt() does it the other way round, so
// that no request is lost whichever comes first; one to a process that is just taken up likewise.
void Process::rearm() {
  preempt_.store(false);
  worker()->preempt.store(false);
  arm();
}

bool Process::is_ready(const CompletionPort& port) { return port.ready(); }
bool Process::is_in_job() const {
  const CompletionPort* const port = open_port();
  return port != nullptr && port->has_job();
}
void Process::on_ready(std::function<void()> wake) { port().on_ready(std::move(wake)); }

void Process::add_fuel(u64 amount) {
  const u64 room = no_fuel_limit - static_cast<u64>(std::max<i64>(fuel_, 0));
  fuel_ += static_cast<i64>(std::min(amount, room));
}

void Process::drop_spare() {
  if (extra_ == nullptr) return;
  const u64 held = charged_stack(stack_.capacity());
  extra_->spare = Slots();
  if (account_ != nullptr) account_->memory.give(held - charged_stack(stack_.capacity()));
}

bool Process::ensure_stack(u64 needed) {
  if (needed > stack_max_) return false;
  if (needed > stack_.capacity()) {
    drop_spare();
    u64 roomy = std::max(needed, u64{stack_.capacity()} + stack_.capacity() / 2);
    if (needed <= paid_stack_slots) roomy = paid_stack_slots;
    if (needed <= first_stack_slots) roomy = first_stack_slots;
    roomy = std::min<u64>(roomy, stack_max_);
    if (!move_stack(roomy) && (roomy == needed || !move_stack(needed))) return false;
  }
  arm();
  return true;
}

// To a larger one. False: there is no memory for it, and nothing changed.
bool Process::move_stack(u64 capacity) {
  cap::Charge charge(memory_meter(), charged_stack(capacity) - charged_stack(stack_.capacity()));
  if (!charge) return false;
  Slots larger(capacity);
  if (larger.capacity() == 0) return false;
  Slot* const behind = std::copy(stack_.get(), stack_.end(), larger.get());
  // What a guest leaves undefined goes into snapshots: nothing of the host's must be there.
  std::fill(behind, larger.end(), Slot{0});
  stack_ = std::move(larger);
  charge.keep();
  return true;
}

// Exceptions of host functions end here. Inline: 8 % of a host call.
template <class Function>
[[gnu::always_inline]] inline HostResult Process::guarded_call(HostContext& context,
                                                               const Function& function) {
  suspended_ = false;
  try {
    const HostResult result = function(context);
    const bool is_pending = result.status == HostResult::Status::pending;
    if (is_pending == suspended_) [[likely]]
      return result;
    return mismatch(result);
  } catch (const std::bad_alloc&) {
    return mismatch(HostResult::trapped(Trap::out_of_memory));
  } catch (...) {
    return mismatch(HostResult::trapped(Trap::host_error));
  }
}

// A ticket that was opened but not used is void, and there is no waiting without one.
HostResult Process::mismatch(HostResult result) {
  if (result.status == HostResult::Status::pending) return HostResult::trapped(Trap::host_error);
  if (suspended_) port().abandon();
  return result;
}

HostResult Process::call_host(const FunctionTarget& target, Slot* window) {
  const HostFunction& function = *target.host;
  host_caller = target.instance != nullptr ? target.instance : current_;
  HostContext context(*this, window);
  const HostResult result = function.takes_handle ? call_with_handle(function, context)
                                                  : guarded_call(context, function.call);
  switch (result.status) {
    case HostResult::Status::waiting:
      parked_in = &function;
      ends = Ends::again;
      break;
    case HostResult::Status::pending:
      parked_in = &function;
      ends = Ends::completion;
      break;
    default:
      break;
  }
  return result;
}

// As the function would: an errno in its first result. One that has no room for that, traps.
HostResult Process::cancel(Slot* window) const {
  const auto& results = parked_in->type.results;
  std::fill_n(window, parked_in->type.result_slots(), 0);
  if (results.empty()) return HostResult::value();
  const i64 error = static_cast<i64>(cap::Errno::canceled);
  const i64 value = parked_in->errors == ErrorSign::positive ? error : -error;
  if (results[0] == mod::ValType::i32) {
    window[0] = static_cast<u32>(value);
  } else if (results[0] == mod::ValType::i64) {
    window[0] = static_cast<u64>(value);
  } else {
    return HostResult::trapped(Trap::host_error);
  }
  return HostResult::value();
}

HostResult Process::call_with_handle(const HostFunction& function, HostContext& context,
                                     bool is_counted) {
  const cap::Handle handle = context.arg_u32(function.handle_index);
  const auto found = handles().find(handle, function.kind, function.rights);
  if (const auto* error = std::get_if<cap::Errno>(&found)) {
    return gate_error(function, context, *error, handles().find(handle) != nullptr);
  }
  if (function.is_io && !is_counted) {
    const IoTurn turn = take_io_operation();
    if (!turn.is_allowed) return gate_error(function, context, cap::Errno::dquot, true);
    if (turn.at != 0) return wait_for_turn(function, context, turn.at);
  }
  // A copy: the function may close the handle.
  const cap::Capability capability = *std::get<cap::Capability*>(found);
  context.capability_ = &capability;
  return guarded_call(context, function.call);
}

// The operation is counted. The gate looks at the handle again when its turn has come.
HostResult Process::wait_for_turn(const HostFunction& function, HostContext& context, u64 at) {
  if (worker()->wait_until == nullptr) return call_with_handle(function, context, true);
  const u64 now = base::monotonic_ns();
  std::optional<u64> timeout;
  if (function.timeout_index && context.arg_i64(*function.timeout_index) >= 0) {
    timeout = context.arg_u64(*function.timeout_index);
  }
  const bool is_late = timeout && at > now && at - now > *timeout;
  const auto finish = [this, &function, now, timeout, is_late](HostContext& later) {
    if (is_late) {
      give_io_operation();
      return gate_error(function, later, cap::Errno::timedout, true);
    }
    if (timeout) {
      const u64 waited = base::monotonic_ns() - now;
      later.slots()[*function.timeout_index] = *timeout - std::min(*timeout, waited);
    }
    return call_with_handle(function, later, true);
  };
  return guarded_call(context, [&](HostContext& here) {
    is_unbegun = true;
    return worker()->wait_until(here, is_late ? now + *timeout : at, finish,
                                [this] { give_io_operation(); });
  });
}

HostResult Process::complete(Slot* window) {
  switch (std::exchange(ends, Ends::completion)) {
    case Ends::completion:
      break;
    case Ends::again:
      return call_host({parked_in, host_caller, 0}, window);
    case Ends::canceled:
      return cancel(window);
  }
  std::optional<Finish> finish = port().take();
  if (!finish) return HostResult::pending();
  is_unbegun = false;
  HostContext context(*this, window);
  const HostResult result = guarded_call(context, *finish);
  if (result.status == HostResult::Status::waiting) ends = Ends::again;
  return result;
}

i64 Process::grow_memory(Memory& memory, u64 delta_pages) {
  u64 others = 0;
  for (const auto& each : memories_) {
    if (each.get() != &memory) others += each->size();
  }
  const u64 allowed = (memory_limit_ - others) >> memory.page_shift();
  if (delta_pages > allowed || memory.pages() > allowed - delta_pages) return -1;
  cap::Charge charge(memory_meter(), delta_pages << memory.page_shift());
  if (!charge) return -1;
  const i64 old_pages = memory.grow(delta_pages);
  if (old_pages >= 0) charge.keep();
  return old_pages;
}

bool Process::reserve_table(Table& table, u64 delta) {
  u64 total = 0;
  for (const auto& each : extra_->tables) total += each->elements.size();
  const u64 old_size = table.elements.size();
  const u64 maximum = table.type.size.max.value_or(std::numeric_limits<u32>::max());
  if (delta > table_limit_ - std::min<u64>(total, table_limit_)) return false;
  if (old_size > maximum || delta > maximum - old_size) return false;
  // Room ahead, if there is room for that.
  for (const u64 capacity : {table.elements.capacity_for(delta), old_size + delta}) {
    const u64 more =
        std::max(capacity * sizeof(u64), table.elements.bytes()) - table.elements.bytes();
    cap::Charge charge(memory_meter(), more);
    if (!charge) continue;
    const bool done = table.elements.make_room(capacity);
    if (done) charge.keep();
    return done;
  }
  return false;
}

Outcome Process::stop(Trap why) {
  if (CompletionPort* const port = open_port()) port->abandon();
  ends = Ends::completion;
  state = State::done;
  return {Outcome::Kind::trapped, why, 0};
}

bool Process::release_more(u64 bytes) {
  u64 given = 0;
  const auto release = [&](auto& from, const auto& size) {
    const u64 held = size();
    const bool is_all = from.release(bytes);
    given += held - size();
    return is_all;
  };
  bool is_all = true;
  for (const auto& memory : memories_) {
    is_all = is_all && release(*memory, [&] { return memory->size(); });
  }
  if (extra_ != nullptr) {
    for (const auto& table : extra_->tables) {
      is_all = is_all && release(table->elements, [&] { return table->elements.bytes(); });
    }
  }
  if (account_ != nullptr) account_->memory.give(given);
  return is_all;
}

Process::Usage Process::usage() const {
  Usage usage;
  usage.stack_bytes = u64{stack_.capacity()} * sizeof(Slot);
  for (const auto& memory : memories_) usage.memory_bytes += memory->size();
  if (extra_ == nullptr) return usage;
  for (const auto& table : extra_->tables) usage.table_elements += table->elements.size();
  usage.stack_bytes += u64{extra_->spare.capacity()} * sizeof(Slot);
  for (const Aside& call : extra_->aside) {
    usage.stack_bytes += u64{call.stack.capacity()} * sizeof(Slot);
  }
  return usage;
}

std::vector<ProcessParts::Call> ProcessParts::calls(const Process& process, usize most) {
  std::vector<Call> inner;
  std::vector<Call> outer;  // a ring of the last ones
  if (process.state == Process::State::idle || process.stack_.capacity() == 0) return inner;
  const Instance* instance = process.current_;
  const Slot* stack = process.stack_.get();
  usize waiting = process.extra_ == nullptr ? 0 : process.extra_->aside.size();
  const usize outer_max = most / 2;
  const usize inner_max = most - outer_max;
  u64 fp = process.saved.fp;
  // A parked call's address is the one after it, like a caller's.
  u32 pc = process.saved.pc - (process.parked == Process::Parked::no ? 0 : 1);
  usize count = 0;
  while (true) {
    const Call call{count, instance, pc};
    if (inner.size() < inner_max) {
      inner.push_back(call);
    } else if (outer.size() < outer_max) {
      outer.push_back(call);
    } else if (outer_max != 0) {
      outer[(count - inner_max) % outer_max] = call;
    }
    ++count;
    Slot header = stack[fp - 1];
    if (header_kind(header) == FrameKind::instance) {
      fp -= marker_slots;
      instance = &process.instance(static_cast<u32>(stack[fp]));
      header = stack[fp - 1];
    }
    if (header_kind(header) == FrameKind::entry) {
      // The host function that called it was called by a guest.
      if (waiting == 0) break;
      const Process::Aside& aside = process.extra_->aside[--waiting];
      instance = aside.instance;
      stack = aside.stack.get();
      fp = aside.saved.fp;
      pc = aside.saved.pc;
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
  return inner;
}

std::vector<TraceFrame> Process::trace(usize max_frames) const {
  std::vector<TraceFrame> frames;
  for (const ProcessParts::Call& call : ProcessParts::calls(*this, max_frames)) {
    const Program& code = *call.instance->program;
    TraceFrame& frame = frames.emplace_back();
    frame.depth = call.depth;
    frame.instance = call.instance->index;
    frame.function = code.function_at(call.pc);
    // The word before the next instruction may be an extension word.
    frame.pc = code.instruction_at(call.pc);
    frame.name = code.function_name(frame.function);
    const mod::Line* line = code.module().line_at(frame.pc);
    const mod::Function& function =
        code.module().functions[frame.function - code.imported_functions()];
    if (line == nullptr || line->pc < function.code_begin) continue;
    frame.location = code.module().files[line->file] + ":" + std::to_string(line->line);
    if (line->column != 0) frame.location += ":" + std::to_string(line->column);
  }
  return frames;
}

cap::HandleTable& HostContext::handles() const { return process_.handles(); }

Completion HostContext::suspend(std::function<void()> cancel, bool is_job) const {
  process_.suspended_ = true;
  return process_.port().open(std::move(cancel), is_job);
}

}  // namespace atollvm::runtime
