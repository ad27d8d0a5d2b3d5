#include "vm/jit/code.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "vm/jit/background.hpp"
#include "vm/jit/faults.hpp"
#include "vm/jit/gdb.hpp"
#include "vm/jit/jit.hpp"
#include "vm/jit/jitdump.hpp"
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

namespace {

// Of all pools.
std::atomic<u64> limits{0};

}  // namespace

std::mutex& Host::mutex() {
  static std::mutex mutex;
  return mutex;
}

void Host::add_limit(u64 bytes) { limits += bytes; }

std::optional<CodeMemory::Block> Host::take(usize bytes) const {
  const u64 within = limits + CodeMemory::step;  // and the routines
  auto block = memory_->take(bytes, std::min<u64>(within, CodeMemory::largest_limit));
  if (!block) return std::nullopt;
  return *block;
}

Host* Host::get() {
  static Host* const host = []() -> Host* {
    std::unique_ptr<Host> made(new Host);
    return made->make() ? made.release() : nullptr;
  }();
  return host;
}

namespace {

// Whether memory 0 ends where its pages do, so that its guard begins there.
bool has_whole_pages(const mod::Module& module) {
  for (const mod::Import& import : module.imports) {
    if (import.kind == mod::ExternKind::memory) return import.memory.page_shift == 16;
  }
  return !module.memories.empty() && module.memories[0].page_shift == 16;
}

// A program's code in all variants.
struct Codes final : runtime::NativeCode {
  explicit Codes(const runtime::Program& program)
      : can_be_guarded(has_whole_pages(program.module())) {}
  ~Codes() override {
    for (const auto& each : all) delete each.load();
  }
  std::atomic<Code*>& of(Variant variant) {
    return all[(variant.hardened ? 4 : 0) + (variant.guarded ? 2 : 0) +
               (variant.counts_fuel ? 1 : 0)];
  }

  const bool can_be_guarded;
  std::array<std::atomic<Code*>, 8> all{};
};

}  // namespace

base::Result<std::vector<Listed>> list(const runtime::Program& program, u32 function,
                                       Variant variant) {
  std::vector<Listed> listing;
  variant.guarded &= has_whole_pages(program.module());
  Emitter emitter(program, function, variant);
  emitter.list(listing);
  if (const auto emitted = emitter.emit(); !emitted) return emitted.error();
  return listing;
}

std::shared_ptr<runtime::NativePool> make_pool(const PoolOptions& options) {
  return std::make_shared<Pool>(options);
}

CompiledStats compiled(const runtime::Program& program) {
  CompiledStats sum;
  if (const runtime::NativeCode* const native = program.native()) {
    for (const auto& each : static_cast<const Codes&>(*native).all) {
      const Code* const code = each.load(std::memory_order_acquire);
      if (code == nullptr) continue;
      const CompiledStats stats = code->stats();
      sum.functions += stats.functions;
      sum.code_bytes += stats.code_bytes;
      sum.nanoseconds += stats.nanoseconds;
      sum.discarded += stats.discarded;
    }
  }
  return sum;
}

Code* Code::of(runtime::Process& process) {
  const runtime::Program& program = *process.current().program;
  runtime::NativeCode* native = program.native();
  const Host* const host = Host::get();
  if (host == nullptr) return nullptr;
  if (native == nullptr) native = &program.set_native(std::make_unique<Codes>(program));
  Codes& codes = static_cast<Codes&>(*native);
  Variant variant;
  variant.guarded = process.memory_strategy() == runtime::MemoryStrategy::guarded &&
                    codes.can_be_guarded && catches_faults();
  variant.counts_fuel = process.counts_fuel();
  variant.hardened = process.worker()->native.hardened;
  std::atomic<Code*>& place = codes.of(variant);
  if (Code* const there = place.load(std::memory_order_acquire)) return there;
  Pool& pool = Pool::of(*process.worker());
  std::unique_ptr<Code> code(new Code(program, *host, pool.shared_from_this(), variant));
  Code* there = nullptr;
  return place.compare_exchange_strong(there, code.get()) ? code.release() : there;
}

namespace {

// Larger functions, in words, are left to the thread for that: they would hold a worker for longer
// than others should wait (0.1 to 0.8 us a word). On an embedder's own thread nobody waits, but for
// those who want to stop it.
constexpr u32 most_words_at_once = 1 << 10;
constexpr u32 most_words_alone = 64 << 10;
// Larger ones are never compiled: it takes up to 400 bytes a word.
constexpr u32 most_words = 256 << 10;
// What was refused for lack of room has to be met with so often before it is tried again.
constexpr u32 crowded_warm_up = 16;
// About what code takes, for room to be made before it is there.
constexpr u64 bytes_of_word = 24;
// What it takes to compile a word, about.
constexpr u64 nanoseconds_of_word = 300;

// Whose code a program's is: what the guests of one machine load belongs together.
const void* holder_of(const runtime::Program& program) {
  if (const cap::Account* const account = program.charged_to()) return account;
  return &program;
}

// Bytes that are counted before there is code for them.
class Reservation {
 public:
  Reservation(Pool& pool, Holder& holder) : pool_(pool), holder_(holder) {}
  ~Reservation() { set(0); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  // False: there is no room, and nothing has changed. Throws std::bad_alloc.
  bool set(u64 bytes) {
    if (bytes == bytes_) return true;
    const std::lock_guard lock(Host::mutex());
    if (bytes > bytes_ && !pool_.reserve(holder_, bytes - bytes_)) return false;
    if (bytes < bytes_) pool_.give_back(holder_, bytes_ - bytes);
    bytes_ = bytes;
    return true;
  }
  // It is the code's from now on.
  void keep() { bytes_ = 0; }

 private:
  Pool& pool_;
  Holder& holder_;
  u64 bytes_ = 0;
};

}  // namespace

Compiled::~Compiled() {
  if (block.size == 0) return;
  gdb::remove(code_block());
  Host::get()->memory().give(block);
}

Code::Code(const runtime::Program& program, const Host& host, std::shared_ptr<Pool> pool,
           Variant variant)
    : program_(program),
      host_(host),
      pool_(std::move(pool)),
      holder_([&]() -> Holder& {
        const std::lock_guard lock(Host::mutex());
        return pool_->join(holder_of(program));
      }()),
      variant_(variant),
      entries_(new std::atomic<const void*>[program.functions().size()]),
      own_(new Own[program.functions().size() - program.imported_functions()]) {
  const void* const compile = host.routines()[static_cast<usize>(Routine::compile)];
  for (usize i = 0; i < program.functions().size(); ++i) entries_[i].store(compile);
}

Code::~Code() {
  const usize count = program_.functions().size() - program_.imported_functions();
  for (usize i = 0; i < count;) {
    // The memory is given back without the lock, and others get it in between.
    std::array<std::unique_ptr<Compiled>, 64> gone;
    const std::lock_guard lock(Host::mutex());
    for (usize found = 0; i < count && found < gone.size(); ++i) {
      Compiled* const each = own_[i].compiled.load();
      if (!is_code(each)) continue;
      pool_->remove(holder_, *each);
      gone[found++].reset(each);
    }
  }
  const std::lock_guard lock(Host::mutex());
  pool_->leave(holder_of(program_));
}

const void* const* Code::entries() const {
  static_assert(sizeof(std::atomic<const void*>) == sizeof(const void*));
  return reinterpret_cast<const void* const*>(entries_.get());
}

Compiled Code::refused_;
Compiled Code::pending_;
Compiled Code::crowded_;

bool Code::is_refused_at(u32 pc) const {
  return own(program_.function_at(pc)).compiled.load() == &refused_;
}

void Code::open(Compiled& compiled) {
  entries_[compiled.function].store(compiled.begin(), std::memory_order_release);
  compiled.used.store(true);
}
void Code::close(Compiled& compiled) {
  entries_[compiled.function].store(host_.routines()[static_cast<usize>(Routine::compile)]);
}
void Code::forget(Compiled& compiled) {
  close(compiled);
  own(compiled.function).compiled.store(nullptr);
  ++stats_.discarded;
}

Compiled* Code::find(runtime::Worker& worker, u32 function, u32 warm_up) {
  Own& place = own(function);
  Compiled* found = place.compiled.load();
  if (is_code(found)) [[likely]] {
    if (!found->used.load(std::memory_order_relaxed)) {
      const std::lock_guard lock(Host::mutex());
      if (place.compiled.load() == found) open(*found);
    }
    return found;
  }
  if (warm_up == never || found == &refused_ || found == &pending_) return nullptr;
  if (found == &crowded_) warm_up = std::max(warm_up, crowded_warm_up);
  const u32 words = program_.module().functions[function - program_.imported_functions()].code_size;
  const u64 cost = words * nanoseconds_of_word;
  const bool is_due = worker.native.spent >= cost && found != &crowded_;
  if (place.met.fetch_add(1, std::memory_order_relaxed) < warm_up && !is_due) return nullptr;
  if (!place.compiled.compare_exchange_strong(found, &pending_)) return nullptr;
  place.met.store(0, std::memory_order_relaxed);
  if (words > most_words) {
    place.compiled.store(&refused_);
    return nullptr;
  }
  if (words <= (worker.core == nullptr ? most_words_alone : most_words_at_once)) {
    return make(function);
  }
  try {
    if (Background::add(worker.instance->linked->program, *this, function)) {
      worker.owed += cost;
      return nullptr;
    }
  } catch (const std::bad_alloc&) {
    // Later, perhaps.
  }
  place.compiled.store(nullptr);
  return nullptr;
}

void Code::compile(u32 function) {
  Compiled* found = own(function).compiled.load();
  if (found != nullptr && found != &crowded_) return;
  if (own(function).compiled.compare_exchange_strong(found, &pending_)) make(function);
}

Compiled* Code::make(u32 function) {
  Compiled* made = &crowded_;
  const u64 begin = now();
  try {
    made = emit(function, begin);
  } catch (const std::bad_alloc&) {
    // The interpreter needs less.
  }
  if (!is_code(made)) {
    const std::lock_guard lock(Host::mutex());
    stats_.nanoseconds += now() - begin;
    own(function).compiled.store(made);
    return nullptr;
  }
  return made;
}

// What stands for the function from now on; code is found already.
Compiled* Code::emit(u32 function, u64 begin) {
  const u32 words = program_.module().functions[function - program_.imported_functions()].code_size;
  Reservation reserved(*pool_, holder_);
  if (!reserved.set(sizeof(Compiled) + Compiled::header + words * bytes_of_word)) return &crowded_;
  base::Result<Emitted> emitted = Emitter(program_, function, variant_).emit();
  if (!emitted) return &refused_;
  auto made = std::make_unique<Compiled>();
  made->function = function;
  made->code = this;
  made->resumes.reserve(emitted->resumes.size());
  made->faults.reserve(emitted->faults.size());
  for (const Resume& each : emitted->resumes) made->resumes.push_back({each.pc, each.offset});
  for (const Resume& each : emitted->faults) made->faults.push_back({each.pc, each.offset});
  if (auto block = host_.take(Compiled::header + emitted->code.size())) {
    made->block = *block;
  } else {
    // The room that there is lies in pieces.
    const std::lock_guard lock(Host::mutex());
    pool_->make_room(holder_, emitted->code.size());
    return &crowded_;
  }
  if (!reserved.set(made->bytes())) return &crowded_;
  const Compiled* const address = made.get();
  std::memset(made->block.writable, 0, Compiled::header);
  std::memcpy(made->block.writable, &address, sizeof address);
  std::memcpy(made->block.writable + Compiled::header, emitted->code.data(), emitted->code.size());
  host_.memory().finish(made->block);
  const CodeMemory::Block code = made->code_block();
  const std::string name = program_.function_name(function);
  jitdump::add(code, name);
  const gdb::Part whole{0, static_cast<u32>(code.size), gdb::Unwind::function};
  gdb::add(code, name, {&whole, 1});
  const std::lock_guard lock(Host::mutex());
  made->nanoseconds = now() - begin;
  pool_->add(holder_, *made);
  reserved.keep();
  ++stats_.functions;
  stats_.code_bytes += code.size;
  stats_.nanoseconds += made->nanoseconds;
  open(*made);
  own(function).compiled.store(made.get());
  return made.release();
}

CompiledStats Code::stats() const {
  const std::lock_guard lock(Host::mutex());
  return stats_;
}

const void* Code::function(runtime::Worker& worker, u32 function, u32 warm_up) {
  const Compiled* const code = find(worker, function, warm_up);
  return code == nullptr ? nullptr : code->begin();
}

const void* Code::resume(runtime::Worker& worker, u32 pc, u32 warm_up) {
  Resident& resident = Resident::of(worker);
  Resident::Found& last = resident.found[pc % resident.found.size()];
  const u64 mark = resident.mark();
  if (last.code == this && last.pc == pc && last.mark == mark) return last.at;
  const Compiled* const code = find(worker, program_.function_at(pc), warm_up);
  if (code == nullptr) return nullptr;
  const auto at =
      std::lower_bound(code->resumes.begin(), code->resumes.end(), pc,
                       [](const Compiled::Point& point, u32 to) { return point.pc < to; });
  if (at == code->resumes.end() || at->pc != pc) return nullptr;
  last = {this, code->begin() + at->offset, mark, pc};
  return last.at;
}

std::optional<u32> Code::accessing(const u8* at) {
  const u8* const block = Host::get()->memory().block_of(at);
  if (block == nullptr) return std::nullopt;
  const Compiled* code = nullptr;
  std::memcpy(&code, block, sizeof code);
  // Not one of the routines, or what lies behind the code.
  if (code == nullptr || at < code->begin() || at >= block + code->block.size) return std::nullopt;
  const u32 offset = static_cast<u32>(at - code->begin());
  const auto next = std::upper_bound(
      code->faults.begin(), code->faults.end(), offset,
      [](u32 sought, const Compiled::Point& point) { return sought < point.offset; });
  if (next == code->faults.begin() || std::prev(next)->pc == no_access) return std::nullopt;
  return std::prev(next)->pc;
}

std::optional<std::vector<u32>> interpreted(const runtime::Program& program, u32 function) {
  base::Result<Emitted> emitted = Emitter(program, function, {}).emit();
  if (!emitted) return {};
  return std::move(emitted->fallback_pcs);
}

}  // namespace atollvm::jit
