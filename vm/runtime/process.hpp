// A process: one isolated guest. Plain data at every safepoint (see "canonical frames").
//
// VM stack layout, from low to high: for each frame a header slot, then the frame's slots; a
// callee's frame starts inside its caller's (the call window). The header of the frame at fp is
// fp[-1] = {pc:32, window:16, kind:16} from the low end: where the frame below goes on, as a word
// index in Module::code, and how many slots below its frame starts (the call's window operand).
//
// A call into another instance pushes a marker between the caller's header and the callee's frame:
// one slot that holds the caller's instance index, then a header of kind `instance`, whose pc is
// the number of result slots and whose window is marker_slots. Returning moves the results down
// over the marker, goes back to that instance, and on through the header below, which is a guest's.
// A tail call into another instance leaves what is under its frame, unless that is a guest's
// header: then it pushes a marker. So the stack has at most one marker for each frame that is not a
// tail call's.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vm/base/few.hpp"
#include "vm/base/result.hpp"
#include "vm/cap/account.hpp"
#include "vm/cap/handle_table.hpp"
#include "vm/runtime/elements.hpp"
#include "vm/runtime/host.hpp"
#include "vm/runtime/memory.hpp"
#include "vm/runtime/program.hpp"
#include "vm/runtime/slots.hpp"

namespace atollvm::runtime {

// What a frame header's kind says.
enum class FrameKind : u16 {
  guest = 0,     // the frame below is a guest's, in the same instance
  entry = 1,     // called from outside: returning ends the call; its pc is the number of results
  instance = 2,  // of a marker: the frame below is another instance's
};
inline constexpr u16 marker_slots = 2;
// What a process charges its account at the least: its record, and the first part of its stack and
// of its mailbox.
inline constexpr u64 process_bytes = 1024;
// So much of the stack.
inline constexpr u64 paid_stack_slots = 32;
// And for a linear memory of its own,
inline u64 least_bytes(const mod::MemoryType& type) {
  return std::min(type.size.min, u64{1} << 32 >> type.page_shift) << type.page_shift;
}
// and for the globals of an instance, beyond the first 16.
constexpr u64 globals_bytes(usize count) { return count <= 16 ? 0 : u64{count - 16} * 16; }
// How many calls of one process may wait for another one's end.
inline constexpr usize most_aside = 64;

constexpr Slot frame_header(u32 pc, u16 window, FrameKind kind) {
  return Slot{pc} | Slot{window} << 32 | Slot{static_cast<u16>(kind)} << 48;
}
constexpr u32 header_pc(Slot header) { return static_cast<u32>(header); }
constexpr u16 header_window(Slot header) { return static_cast<u16>(header >> 32); }
constexpr FrameKind header_kind(Slot header) { return static_cast<FrameKind>(header >> 48); }

// Limits of one process. Reaching one is the guest's error, never the host's.
struct Limits {
  u64 memory_bytes = u64{1} << 32;  // all linear memories together
  u64 stack_bytes = 1 << 20;        // VM stack
  u64 table_elements = 10'000'000;  // all tables together
  u32 handles = 1024;
  std::optional<u64> fuel;  // exact; nothing: not counted
};

// Reading and writing by host calls on handles.
struct IoAmount {
  u64 bytes = cap::Meter::unlimited;
  u64 operations = cap::Meter::unlimited;  // calls
};

// When an operation may be made.
struct IoTurn {
  bool is_allowed = false;  // false: its quota is used up
  u64 at = 0;               // monotonic ns; 0: now
};
// Bytes that a call may move.
struct IoShare {
  u64 bytes = 0;  // 0: its quota is used up
  u64 paced = 0;  // so many of them the rates were asked for
  u64 at = 0;     // from when on, monotonic ns; 0: now
};

constexpr bool is_limited(const IoAmount& io) {
  return io.bytes != cap::Meter::unlimited || io.operations != cap::Meter::unlimited;
}

struct Options {
  Limits limits;
  IoAmount io;       // at most
  IoAmount io_rate;  // at most in a second
  MemoryStrategy memory = MemoryStrategy::checked;
  // Functions that imports may name; those of `more_host` are looked up first. Must outlive the
  // process.
  std::span<const HostFunction> host;
  std::span<const HostFunction> more_host;
  // What is charged with all that the process takes, or null. It must outlive the process. Whoever
  // creates the process has charged `process_bytes` of memory, which go back with it.
  cap::Account* account = nullptr;
};

// One function on a process's stack.
struct TraceFrame {
  u64 depth = 0;         // 0: the innermost; a gap in the numbers is a gap in the trace
  u32 instance = 0;      // index in the process
  u32 function = 0;      // index in the instance's module
  u32 pc = 0;            // word in its Module::code: of the failing instruction, or of the call
  std::string name;      // function name
  std::string location;  // "file:line:column", or empty
};

// How a run ended.
struct Outcome {
  enum class Kind : u8 {
    finished,     // the called function returned; results() holds its results
    exited,       // the guest ended itself with exit_code
    trapped,      // trap says why; the process can't go on
    out_of_fuel,  // at a safepoint, can go on after add_fuel
    preempted,    // at a safepoint, can go on
    rested,       // the same, by its own wish
    pending,      // parked in a host call; can go on once ready()
    waiting,      // parked in a host call that is called anew when the process goes on
  };
  Kind kind = Kind::finished;
  Trap trap = Trap::unreachable;
  u32 exit_code = 0;
};

struct Instance;

struct GlobalCell {
  Slot low = 0;
  Slot high = 0;  // upper half of a v128
};
static_assert(globals_bytes(17) == sizeof(GlobalCell));

// Elements are function references ((instance + 1) << 32 | function) or host references; 0 null.
struct Table {
  mod::TableType type;
  Elements elements;
};

// What a function reference is in a slot.
constexpr u64 function_reference(u32 instance, u32 function) {
  return (u64{instance} + 1) << 32 | function;
}

// What an index of the function index space means once imports are resolved: a function of the
// host, imported by `instance` (null: by the one that has this import) under number `function`, or
// function `function` of `instance`'s own code.
struct FunctionTarget {
  const HostFunction* host = nullptr;
  Instance* instance = nullptr;
  u32 function = 0;

  bool operator==(const FunctionTarget&) const = default;
};

// A program and what its functions import, by function index.
struct LinkedProgram : std::enable_shared_from_this<LinkedProgram> {
  explicit LinkedProgram(std::shared_ptr<const Program> of);

  const u64 number;  // no other one has had it

  std::shared_ptr<const Program> program;
  std::unique_ptr<FunctionTarget[]> imports;
  // For who has a lock around the making and the end of processes, which then need no count of
  // their own: how many use it, and while some do, itself.
  u64 users = 0;
  std::shared_ptr<LinkedProgram> held;
  // Whether that is who asks: the first one who does.
  bool is_counted_by(const void* who) {
    const void* one = counted_by_.load(std::memory_order_relaxed);
    return one == who || (one == nullptr && counted_by_.compare_exchange_strong(one, who));
  }

 private:
  std::atomic<const void*> counted_by_{nullptr};
};

// What is done for an instance before it is added.
struct Ahead {
  bool is_charged = false;  // its program's instance_bytes(); given back if there is no instance
  bool is_counted = false;  // its process, among the `users` of what it shares with `like`
};

// One module instantiated in a process. Its address is stable, and it lives as long as the process.
struct Instance {
  u32 index = 0;
  u32 imported_global_count = 0;
  const Program* program = nullptr;                 // what is linked
  const FunctionTarget* imports = nullptr;          // of that
  base::Few<GlobalCell> globals;                    // own ones
  std::unique_ptr<GlobalCell*[]> imported_globals;  // cells of other instances
  base::Few<Memory*> memories;                      // by memory index; owned by the process
  base::Few<Table*> tables;                         // by table index; owned by the process
  // Where all imports are functions of the host's, instances of one program share it. Owns nothing
  // (its use_count() is 0) where the process is one of its `users`.
  std::shared_ptr<LinkedProgram> linked;
  bool shares_imports = false;
  base::Flags dropped;  // element segments, then data segments

  // Of any function of the index space.
  [[nodiscard]] FunctionTarget resolve(u32 function_index) {
    if (function_index >= program->imported_functions()) return {nullptr, this, function_index};
    FunctionTarget target = imports[function_index];
    if (target.instance == nullptr) target.instance = this;
    return target;
  }
  // Where the state of a segment is in `dropped`.
  [[nodiscard]] usize elem_segment(u32 segment) const { return segment; }
  [[nodiscard]] usize data_segment(u32 segment) const {
    return program->module().elems.size() + segment;
  }
  // The cell of any global of the index space.
  [[nodiscard]] GlobalCell* global(u32 global_index) {
    const u32 imported = imported_global_count;
    return global_index < imported ? imported_globals[global_index]
                                   : &globals[global_index - imported];
  }
};

// The value of a verified constant expression.
Slot evaluate(const mod::ConstExpr& expression, const Instance& instance);

// What compiled code and what enters it leave for each other. The thread that runs the process.
struct Native {
  // Host stack to leave to; null: no compiled code runs.
  void* stack = nullptr;
  // Of the current instance's functions, by their index; null: it has none.
  const void* const* entries = nullptr;
  // So many slots of the guest's stack may be in use before the host's must be begun anew.
  u64 ceiling = 0;
  Slot* fp = nullptr;
  u8* memory = nullptr;  // of memory 0, and its bytes
  u64 memory_size = 0;
  i64 fuel = 0;                  // where it is counted
  const void* target = nullptr;  // code to go on with
  u64 arguments[4] = {};         // the first ones of a call, while registers are used otherwise
  Outcome outcome;               // that it was left with
  i32 turns = 0;                 // that the interpreter may still make; see interp::run_counted
  i32 turns_unasked = 0;         // until it is asked again what to compile, over all processes
  u64 spent = 0;                 // ns, on the last turns that the interpreter made
  u32 warm_up = 0;               // what a function must have been met with before it is compiled
  bool hardened = false;         // the code that is entered
  // Code that all functions use, by number; see vm/jit.
  const void* const* routines = nullptr;
};

// How much compiled code there may be, and what is compiled when; vm/jit has it.
class NativePool {
 public:
  NativePool() = default;
  NativePool(const NativePool&) = delete;
  NativePool& operator=(const NativePool&) = delete;
  virtual ~NativePool() = default;
};
// What vm/jit knows of a worker that has run compiled code.
class NativeResident {
 public:
  NativeResident() = default;
  NativeResident(const NativeResident&) = delete;
  NativeResident& operator=(const NativeResident&) = delete;
  virtual ~NativeResident() = default;
};

// What the code that runs a process needs at hand: one for each thread that runs processes. Its
// address is stable, and it outlives the processes that ran on it. Only `limit` and `preempt` may
// be touched by other threads.
struct Worker {
  std::atomic<Slot*> limit{nullptr};  // end of the stack in use; null makes every check fail
  const isa::Word* code = nullptr;    // of the current instance
  const FuncInfo* functions = nullptr;
  Instance* instance = nullptr;
  Process* process = nullptr;
  std::atomic<bool> preempt{false};
  Native native;
  NativePool* pool = nullptr;                // null: the usual one; outlives the worker
  std::unique_ptr<NativeResident> resident;  // null: no compiled code has run
  // What other threads do for the process that runs, to be added to its CPU time; ns.
  u64 owed = 0;
  void* loop = nullptr;  // for scheduler/loop
  // Parks a host call until a time, monotonic ns, as HostContext::suspend: `finish` is run then,
  // `cancel` if the process ends first. Null: nothing can be waited for.
  HostResult (*wait_until)(HostContext& context, u64 at, Finish finish,
                           std::function<void()> cancel) = nullptr;
  void* core = nullptr;  // for scheduler/core; null on an embedder's own thread

  // Goes over to an instance of its process.
  void enter(Instance& of_process);
};

class Process {
 public:
  // A process with one instance, of `program`, and a worker of its own. Errors: those of
  // add_instance.
  static base::Result<std::unique_ptr<Process>> create(
      const std::shared_ptr<const Program>& program, const Options& options);
  // For owners that keep the process in a record of theirs: no instance yet, add_instance comes
  // next; no worker yet, attach() comes before running.
  explicit Process(const Options& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Instantiates a further program in the process: resolves imports (WebAssembly, section 4.5.4),
  // allocates memories, tables and globals, applies active segments. Its start function is left to
  // the caller. Gives the instance's index. An import is looked up among the exports of the
  // instance that has the import's module name, then among the host's functions. Only while no call
  // is under way. Errors, with nothing changed: usage (call under way), not_found ("unknown import:
  // ..."), invalid ("incompatible import type: ...", with what was wanted and found), limit. An
  // active segment that does not fit is a trap: invalid with a message that begins with the trap's
  // text. Then the segments before it have been applied, and the instance stays, as others may hold
  // its functions by then, but has no name and is not the caller's to use.
  // `like` is an instance of the same program in another process with the same host functions, or
  // null: what they can share, they do. `ahead`: what has been done for it.
  base::Result<u32> add_instance(const std::shared_ptr<const Program>& program,
                                 const Instance* like, const Ahead& ahead);
  base::Result<u32> add_instance(const std::shared_ptr<const Program>& program,
                                 const Instance* like = nullptr) {
    return add_instance(program, like, {});
  }
  // Whether it is worth keeping once it has ended, to be begun again. It was added with
  // `is_counted`, and what it shares is still there.
  [[nodiscard]] bool can_begin_again() const {
    if (extra_ != nullptr || instance_count_ != 1 || stack_.capacity() > paid_stack_slots) {
      return false;
    }
    return first_.shares_imports && first_.linked.use_count() == 0 &&
           memories_.size() == first_.program->module().memories.size() &&
           (memories_.empty() || (memories_.size() == 1 && memories_.front()->is_small()));
  }
  // Of such a one: gives back what it has charged and lets go of what it has from others.
  void end_for_now();
  // Whether it can be begun again with these options. If so begin_again() makes it what it is when
  // it is made anew with them and with an instance that is charged and counted and shares what it
  // shared before. Errors: as add_instance. Throws std::bad_alloc.
  [[nodiscard]] bool fits(const Options& options) const {
    return options.memory == strategy_ && options.more_host.empty() && !is_limited(options.io) &&
           !is_limited(options.io_rate) &&
           options.limits.stack_bytes >= paid_stack_slots * sizeof(Slot) &&
           options.limits.memory_bytes >= Memory::largest_block;
  }
  base::Status begin_again(const Options& options);
  // Makes an instance's exports available to the imports of instances that come later. A name that
  // is there already goes over to this instance. Throws std::bad_alloc.
  void name_instance(std::string name, u32 instance);

  [[nodiscard]] cap::HandleTable& handles();
  [[nodiscard]] u32 open_handles() const {
    return holdings_ == nullptr ? 0 : holdings_->handles.open_count();
  }
  [[nodiscard]] IoAmount io_limit() const {
    return holdings_ == nullptr ? IoAmount{} : holdings_->io_limit;
  }
  [[nodiscard]] IoAmount io_used() const {
    return holdings_ == nullptr ? IoAmount{0, 0} : holdings_->io_used;
  }
  [[nodiscard]] IoAmount io_rate() const;
  // Counts an operation, unless the process or its machine may have no more.
  IoTurn take_io_operation();
  void give_io_operation();
  // Counts bytes to be read or written: as many of them as the process and its machine may, and as
  // their rates, and that of the `link` that they go through (or null), give in one turn. If they
  // can't be less, `is_whole`, the rates are charged for the rest afterwards. Then so many of them
  // were moved.
  IoShare take_io_bytes(u64 wanted, bool is_whole, cap::Rate* link);
  void settle_io_bytes(const IoShare& share, u64 moved, cap::Rate* link);
  // For whoever created the process, and its host functions.
  void* owner = nullptr;
  // `index` as add_instance gave it; 0 is the one that the process was created with.
  [[nodiscard]] Instance& instance(u32 index = 0) {
    return index == 0 ? first_ : *extra_->instances[index - 1];
  }
  [[nodiscard]] const Instance& instance(u32 index = 0) const {
    return index == 0 ? first_ : *extra_->instances[index - 1];
  }
  [[nodiscard]] u32 instance_count() const { return instance_count_; }
  [[nodiscard]] const Program& program() const { return *first_.program; }
  // As given; of fuel, what is left.
  [[nodiscard]] Limits limits() const;
  [[nodiscard]] MemoryStrategy memory_strategy() const { return strategy_; }
  // Whether any instance's code works on floating-point numbers.
  [[nodiscard]] bool uses_floats() const { return uses_floats_; }

  // Prepares the call of an instance's function by its index; arguments are slots. `interp::run`
  // runs it. The function may be one that the instance imports from another. Only while no call is
  // under way. Errors: usage (no such function or instance, a function of the host, argument count,
  // call under way), limit (stack).
  base::Status prepare(u32 function, std::span<const Slot> arguments, u32 instance = 0);
  // The same, for a function of the callee's own code, between calls, with as many arguments as it
  // takes. False: its frame is larger than the stack limit.
  bool begin(Instance& callee, const FuncInfo& function, const Slot* arguments);
  // From inside a host function: puts the call under way aside, so that another one can be prepared
  // and run, on a stack of its own within the same limit; and takes it up again, with the results
  // of the other one. put_aside is false where `most_aside` calls are, and where the host function
  // has asked for a ticket. Throws std::bad_alloc.
  bool put_aside();
  void take_up();
  // Results of the call that finished last; valid until the next is prepared.
  [[nodiscard]] std::span<const Slot> results() const { return {results_, result_count_}; }

  // Where the process runs from now on, until detach(). Only while it is not running; on the
  // thread that runs it. A worker has one process at a time.
  void attach(Worker& worker);
  void detach();
  // Null: none.
  [[nodiscard]] Worker* worker() const { return worker_.load(std::memory_order_relaxed); }

  // Asks the process to stop at its next safepoint. Any thread, async-signal-safe.
  void preempt();
  // Whether a parked call can go on. Thread-safe.
  [[nodiscard]] bool ready() const;
  // Whether a parked call is being carried out by the host, or its result is there. Thread-safe
  // while the process does not run.
  [[nodiscard]] bool is_in_job() const;
  // Called, on any thread, when a parked call has become ready. Set before running.
  void on_ready(std::function<void()> wake);

  // Fuel left; negative after stopping for lack of it: what is missing to go on.
  [[nodiscard]] i64 fuel() const { return fuel_; }
  [[nodiscard]] bool counts_fuel() const { return counts_fuel_; }
  void add_fuel(u64 amount);

  // Ends a call under way with a trap from outside (time limit, interrupt). The trace stays.
  Outcome stop(Trap why);
  // Null: nothing is counted.
  [[nodiscard]] cap::Account* account() const { return account_; }
  // Of one that was made without: what it takes from now on is charged, and goes back. What it
  // holds already, in memory and handles, the caller has charged.
  void charge_to(cap::Account& account);
  // What it has charged to the memory of its account.
  [[nodiscard]] u64 charged() const;
  // The stack, innermost first, at most `max_frames` (then the outermost follow after a gap).
  [[nodiscard]] std::vector<TraceFrame> trace(usize max_frames = 64) const;

  // Of a process that will not run again: gives bytes of its memories and tables back, about so
  // many. False: there are more.
  bool release_memory(u64 bytes) {
    const bool is_small = extra_ == nullptr && (memories_.empty() || memories_.back()->is_small());
    return (is_small && memories_.size() <= 1) || release_more(bytes);
  }

  // Bytes of linear memory, VM stack and tables now.
  struct Usage {
    u64 memory_bytes = 0;
    u64 stack_bytes = 0;
    u64 table_elements = 0;
  };
  [[nodiscard]] Usage usage() const;

  // --- For tiers. ---
  enum class State : u8 { idle, runnable, pending, done };

  struct Saved {        // where a stopped process goes on, in current()
    u64 fp = 0;         // slot index of the frame in the stack
    u64 bulk = 0;       // elements or bytes done of the bulk operation at pc
    u32 pc = 0;         // word in that instance's code
    bool paid = false;  // whether its fuel was taken
  };
  Saved saved;
  State state = State::idle;
  // Whether saved.pc is the address after a host call under way, and if that was a tail call (its
  // window is the frame, and completing it returns from the frame).
  enum class Parked : u8 { no, call, tail_call };
  Parked parked = Parked::no;
  // What ends a parked call: its completion; being made anew; or at once, the error `canceled`.
  enum class Ends : u8 { completion, again, canceled };
  Ends ends = Ends::completion;
  // Whether it stopped last by its own wish, or to wait. For the tier that runs it.
  bool has_rested = false;
  // Whether the parked call has done nothing yet: a restored snapshot makes it anew.
  bool is_unbegun = false;

 private:  // (Here, so that they take no room.)
  bool counts_fuel_ = false;
  MemoryStrategy strategy_ = MemoryStrategy::checked;
  std::atomic<bool> preempt_{false};
  bool uses_floats_ = false;
  bool suspended_ = false;  // the host call under way asked for a ticket

 public:
  // Of a parked call: the function.
  const HostFunction* parked_in = nullptr;
  // The instance whose import the last host call was: its memory 0 is what the host function sees.
  Instance* host_caller = nullptr;

  [[nodiscard]] Slot* stack() { return stack_.get(); }
  [[nodiscard]] u64 stack_slots() const { return stack_.capacity(); }
  // Makes room up to `needed` slots (counted from the stack's start); false at the limit. The
  // stack may move. Sets the worker's limit.
  [[gnu::cold, gnu::noinline]] bool ensure_stack(u64 needed);
  // Sets the worker's limit.
  void arm();
  // The same after a preemption was taken.
  void rearm();
  void set_fuel(i64 fuel) { fuel_ = fuel; }  // may go below zero
  // The call ends with its results, which stay in the stack.
  void finish(const Slot* results, u32 count) {
    results_ = results;
    result_count_ = count;
    state = State::idle;
  }
  // Goes over to another instance of the process (the one whose code runs).
  void enter(Instance& instance);
  // The instance whose code runs.
  [[nodiscard]] Instance& current() { return *current_; }
  // What a function reference names; nothing for one that no instance has (0 included).
  [[nodiscard]] std::optional<FunctionTarget> find_function(u64 reference);
  // Runs the gate, then the host's function, with its window at `window`.
  HostResult call_host(const FunctionTarget& target, Slot* window);
  // For a parked process that is ready: ends the call as `ends` says.
  HostResult complete(Slot* window);
  i64 grow_memory(Memory& memory, u64 delta_pages);
  // Room for `delta` more elements, within the table's maximum and the limits; false if refused.
  bool reserve_table(Table& table, u64 delta);

 private:
  friend class HostContext;
  friend class ProcessParts;
  class Linker;
  HostResult call_with_handle(const HostFunction& function, HostContext& context,
                              bool is_counted = false);
  [[gnu::cold]] HostResult wait_for_turn(const HostFunction& function, HostContext& context,
                                         u64 at);
  HostResult cancel(Slot* window) const;
  template <class Function>
  HostResult guarded_call(HostContext& context, const Function& function);
  [[gnu::cold]] HostResult mismatch(HostResult result);
  void take(const Options& options);
  void arm(Worker& worker);
  void drop_spare();
  bool release_more(u64 bytes);
  bool move_stack(u64 capacity);
  [[nodiscard]] cap::Meter* memory_meter() const {
    return account_ == nullptr ? nullptr : &account_->memory;
  }
  [[nodiscard]] u64 charged_stack(u64 capacity) const;
  base::Result<u32> add(const std::shared_ptr<const Program>& program, const Instance* like,
                        bool fills, const Ahead& ahead);
  // The parts of add: what can be undone, and what can't.
  base::Status link(Instance& instance, const std::shared_ptr<const Program>& program,
                    const Instance* like, const Ahead& ahead);
  base::Status allocate(Instance& instance, const Ahead& ahead);
  static void begin_globals(Instance& instance);
  base::Status fill(Instance& instance);
  [[nodiscard]] CompletionPort& port();
  [[nodiscard]] static bool is_ready(const CompletionPort& port);

  // What those processes have that can reach something: without a handle there is no I/O.
  struct Holdings {
    Holdings(u32 limit, cap::Meter* machine, IoAmount io) : handles(limit, machine), io_limit(io) {}
    cap::HandleTable handles;
    IoAmount io_limit;
    IoAmount io_used{0, 0};
    struct Rates {
      explicit Rates(IoAmount most) : bytes(most.bytes), operations(most.operations) {}
      cap::Rate bytes;
      cap::Rate operations;
    };
    std::unique_ptr<Rates> rates;  // null: none
  };
  Holdings& hold(IoAmount io);
  struct ByteRates;
  [[nodiscard]] ByteRates byte_rates(cap::Rate* link) const;
  struct Aside {
    Saved saved;
    Parked parked = Parked::no;
    Instance* instance = nullptr;
    Instance* host_caller = nullptr;
    Slots stack;
  };
  // What few processes have, so that the others are small.
  struct Extra {
    std::shared_ptr<CompletionPort> port;  // null: none yet
    std::span<const HostFunction> more_host;
    std::vector<Aside> aside;
    Slots spare;  // of the call that ended for another one to be taken up
    std::vector<std::unique_ptr<Instance>> instances;  // after the first
    std::unordered_map<std::string, u32> names;        // of instances
    std::vector<std::unique_ptr<Table>> tables;
    std::unique_ptr<Worker> worker;  // its own
  };
  Extra& extra();
  [[nodiscard]] std::span<const HostFunction> host() const { return {host_, host_count_}; }
  [[nodiscard]] std::span<const HostFunction> more_host() const {
    return extra_ == nullptr ? std::span<const HostFunction>() : extra_->more_host;
  }
  // Null: none yet.
  [[nodiscard]] CompletionPort* open_port() const {
    return extra_ == nullptr ? nullptr : extra_->port.get();
  }

  std::atomic<Worker*> worker_{nullptr};
  Instance* current_ = nullptr;
  Slots stack_;
  i64 fuel_ = 0;
  const Slot* results_ = nullptr;
  u64 memory_limit_ = 0;
  cap::Account* account_ = nullptr;
  const HostFunction* host_ = nullptr;  // Options::host
  std::unique_ptr<Holdings> holdings_;  // null: none yet
  std::unique_ptr<Extra> extra_;        // null: none yet
  base::Few<std::unique_ptr<Memory>> memories_;
  u32 stack_max_ = 0;    // slots
  u32 table_limit_ = 0;  // elements
  u32 host_count_ = 0;
  u32 result_count_ = 0;
  u32 handle_limit_ = 0;
  u32 instance_count_ = 0;
  Instance first_;
};

// --- Short and often called ---

inline void Worker::enter(Instance& of_process) {
  code = of_process.program->code();
  functions = of_process.program->functions().data();
  instance = &of_process;
}

inline void Process::enter(Instance& instance) {
  current_ = &instance;
  if (Worker* const at = worker()) at->enter(instance);
}

inline void Process::attach(Worker& worker) {
  worker.process = this;
  worker_.store(&worker, std::memory_order_release);
  if (current_ != nullptr) worker.enter(*current_);
  arm(worker);
}

inline void Process::detach() { worker_.store(nullptr, std::memory_order_release); }

inline void Process::arm(Worker& worker) {
  worker.limit.store(stack_.end());
  if (worker.native.stack != nullptr && worker.native.ceiling < stack_.capacity()) {
    worker.limit.store(stack_.get() + worker.native.ceiling);
  }
  if (preempt_.load() || worker.preempt.load()) [[unlikely]]
    worker.limit.store(nullptr);
}

inline void Process::arm() {
  if (Worker* const at = worker()) arm(*at);
}

inline bool Process::ready() const {
  if (ends != Ends::completion) return true;
  const CompletionPort* const port = open_port();
  return port != nullptr && is_ready(*port);
}

inline std::optional<std::span<u8>> HostContext::memory(u32 address, u32 length) const {
  Instance& instance = *process_.host_caller;
  if (instance.memories.empty()) return std::nullopt;
  Memory& memory = *instance.memories.front();
  if (u64{address} + length > memory.size()) return std::nullopt;
  return std::span<u8>(memory.base() + address, length);
}

}  // namespace atollvm::runtime
