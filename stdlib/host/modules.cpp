// Modules that guests make of bytes, to start processes from.
#include <string.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "scheduler/core/scheduler.hpp"
#include "stdlib/host/support.hpp"
#include "vm/runtime/module_object.hpp"

namespace atollvm::host {

namespace {

constexpr u32 max_module_bytes = 16 << 20;
// What making a module of them may take for each byte, and at least: charged before. The worst are
// an element of WebAssembly, 56 bytes for one, and blocks in blocks, 30 for one.
constexpr u64 bytes_for_each = 64;
constexpr u64 least_bytes = 16 << 10;

using Program = std::shared_ptr<const runtime::Program>;

u64 thread_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

// What a job in the pool has come to.
struct Loaded {
  Program program;  // null: there is none
  Errno error = Errno::success;
  std::string why;
  u64 cpu = 0;    // ns
  Share share{};  // of a file that may be read,
  u32 read = 0;   // and bytes that were
};

// What a job needs: the machine may be gone when it runs.
struct Job {
  // Of a file of which a share may be read.
  Job(const Environment& environment, std::shared_ptr<cap::Account> machine,
      std::shared_ptr<vfs::File> from, Share most)
      : load(environment.load),
        account(std::move(machine)),
        file(std::move(from)),
        share(std::move(most)) {}
  Job(const Environment& environment, std::shared_ptr<cap::Account> machine,
      std::span<const u8> from)
      : load(environment.load),
        account(std::move(machine)),
        charge(std::in_place, account, from.size() * bytes_for_each + least_bytes) {
    if (*charge) bytes.assign(reinterpret_cast<const char*>(from.data()), from.size());
  }

  std::function<base::Result<verify::VerifiedModule>(std::string_view)> load;
  std::shared_ptr<cap::Account> account;
  std::optional<cap::LastingCharge> charge;  // while it is under way
  std::string bytes;
  std::shared_ptr<vfs::File> file{};  // null: the bytes are there
  Share share{};
  bool is_cut = false;  // more may not be read
};

// The bytes of its file, into the job.
Errno read_file(Job& job, u32& read) {
  const vfs::Outcome<vfs::Stat> status = job.file->stat(vfs::Wait::allowed);
  if (const Errno* error = error_of(status)) return *error;
  u64 size = std::get<vfs::Stat>(status).size;
  if (size > max_module_bytes) return Errno::fbig;
  if (size > job.share.size() && job.is_cut) return Errno::dquot;
  size = std::min<u64>(size, job.share.size());  // it may have grown
  job.charge.emplace(job.account, size * bytes_for_each + least_bytes);
  if (!*job.charge) return Errno::nomem;
  job.bytes.resize(size);
  while (read < size) {
    const std::span<u8> to(reinterpret_cast<u8*>(job.bytes.data()) + read, size - read);
    const vfs::Outcome<u32> some = job.file->read(to, read, vfs::Wait::allowed);
    if (const Errno* error = error_of(some)) return *error;
    if (std::get<u32>(some) == 0) break;
    read += std::get<u32>(some);
  }
  job.bytes.resize(read);
  return Errno::success;
}

void make_program(const Job& job, Loaded& loaded) {
  auto verified = job.load(job.bytes);
  if (!verified) {
    loaded.error = Errno::noexec;
    loaded.why = verified.error().text();
    return;
  }
  cap::LastingCharge charge(job.account, runtime::footprint(**verified));
  if (!charge) {
    loaded.error = Errno::nomem;
    return;
  }
  loaded.program = runtime::Program::make(*std::move(verified), std::move(charge));
}

Loaded run(Job& job) {
  const u64 begin = thread_time();
  Loaded loaded;
  loaded.share = job.share;
  try {
    if (job.file != nullptr) loaded.error = read_file(job, loaded.read);
    if (loaded.error == Errno::success) make_program(job, loaded);
  } catch (const std::bad_alloc&) {
    loaded.program = nullptr;
    loaded.error = Errno::nomem;
  }
  job.bytes = {};
  job.file = nullptr;
  job.charge.reset();
  loaded.cpu = thread_time() - begin;
  return loaded;
}

// `words`: the parameter with the address for what is wrong.
HostResult finish(HostContext& context, const Loaded& loaded, u32 words) {
  if (loaded.share.size() != 0) settle_io(context, loaded.share, loaded.read);
  auto& task = static_cast<sched::Task&>(context.process());
  // The time of other threads is its own as well.
  task.cpu += loaded.cpu;
  task.machine->charge(loaded.cpu);
  const auto refuse = [&context, words](const std::string& why) {
    const auto to = context.memory(context.arg_u32(words), context.arg_u32(words + 1));
    const usize size = std::min(to->size(), why.size());
    if (size != 0) memcpy(to->data(), why.data(), size);
    if (size < to->size()) (*to)[size] = 0;
    return context.error32(Errno::noexec);
  };
  if (loaded.error == Errno::noexec) return refuse(loaded.why);
  if (loaded.error != Errno::success) return context.error32(loaded.error);
  const sched::Machine::Options& machine = task.machine->options();
  auto module = runtime::ModuleObject::make(loaded.program, machine.host, machine.more_host);
  if (!module) return refuse(module.error().text());
  const auto handle = context.handles().insert({*std::move(module), cap::right_read});
  if (const Errno* error = error_of(handle)) return context.error32(*error);
  return context.result_i32(static_cast<i32>(std::get<cap::Handle>(handle)));
}

HostResult make_in_pool(HostContext& context, const std::shared_ptr<Job>& job, u32 words) {
  return loop::of(context).work(context, [job, words]() -> runtime::Finish {
    return [loaded = std::make_shared<const Loaded>(run(*job)), words](HostContext& later) {
      return finish(later, *loaded, words);
    };
  });
}

}  // namespace

HostResult call_module_load(Environment& environment, HostContext& context) {
  if (!is_scheduled(context) || !environment.load) return context.error32(Errno::nosys);
  const u32 size = context.arg_u32(1);
  const auto bytes = context.memory(context.arg_u32(0), size);
  if (!bytes || !context.memory(context.arg_u32(2), context.arg_u32(3))) {
    return context.error32(Errno::fault);
  }
  if (size > max_module_bytes) return context.error32(Errno::fbig);
  const auto job = std::make_shared<Job>(environment, account_of(context), *bytes);
  if (!*job->charge) return context.error32(Errno::nomem);
  return make_in_pool(context, job, 2);
}

HostResult call_module_open(Environment& environment, HostContext& context) {
  if (!is_scheduled(context) || !environment.load) return context.error32(Errno::nosys);
  if (!context.memory(context.arg_u32(1), context.arg_u32(2))) {
    return context.error32(Errno::fault);
  }
  auto file = std::static_pointer_cast<vfs::File>(context.capability().object);
  const vfs::Outcome<vfs::Stat> status = file->stat(vfs::Wait::never);
  const auto* const known = std::get_if<vfs::Stat>(&status);
  const u64 wanted = known == nullptr ? max_module_bytes : known->size;
  if (wanted > max_module_bytes) return context.error32(Errno::fbig);
  const Share taken = take_io(context, wanted, nullptr, /*is_whole=*/true);
  if (taken.size() == 0 && wanted != 0) return context.error32(Errno::dquot);
  const auto job = std::make_shared<Job>(environment, account_of(context), std::move(file), taken);
  job->is_cut = taken.size() < wanted;
  return with_share(context, taken,
                    [job](HostContext& now, const Share&) { return make_in_pool(now, job, 1); });
}

HostResult call_module_entry(Environment&, HostContext& context) {
  const auto& module = static_cast<const runtime::ModuleObject&>(*context.capability().object);
  return find_entry(context, *module.program(), context.arg_u32(1), context.arg_u32(2));
}

}  // namespace atollvm::host
