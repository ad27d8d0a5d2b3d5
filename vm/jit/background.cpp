#include "vm/jit/background.hpp"

#include <sys/resource.h>

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace atollvm::jit {

namespace {

// Beside workers that have much to do the thread gets a tenth of a CPU.
constexpr int niceness = 10;

}  // namespace

// It lives as long as its thread, which is never waited for: it can be in a long function when the
// program ends.
Background& Background::get() {
  static auto* const background = new Background;
  return *background;
}

bool Background::add(std::shared_ptr<const runtime::Program> program, Code& code, u32 function) {
  Background& background = get();
  const std::lock_guard lock(background.mutex_);
  if (code.holder_.is_queueing.exchange(true)) return false;
  try {
    if (!background.has_thread_) {
      std::thread([&background] { background.work(); }).detach();
      background.has_thread_ = true;
    }
    background.jobs_.push_back({std::move(program), &code, function});
  } catch (const std::system_error&) {
    code.holder_.is_queueing = false;
    return false;
  } catch (...) {
    code.holder_.is_queueing = false;
    throw;
  }
  background.added_.notify_one();
  return true;
}

void Background::work() {
  // The host's signals are for its other threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  setpriority(PRIO_PROCESS, 0, niceness);  // on Linux, of this thread
  while (true) {
    std::unique_lock lock(mutex_);
    added_.wait(lock, [&] { return !jobs_.empty(); });
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.code->make(job.function);
    job.code->holder_.is_queueing = false;
  }
}

}  // namespace atollvm::jit
