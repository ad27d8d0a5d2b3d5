#include "vm/runtime/completion.hpp"

#include <utility>

namespace atollvm::runtime {

Completion CompletionPort::open(std::function<void()> cancel, bool is_job) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  open_ = true;
  is_job_ = is_job;
  arrived_.reset();
  cancel_ = std::move(cancel);
  Completion ticket;
  ticket.port_ = weak_from_this();
  ticket.generation_ = generation_;
  return ticket;
}

void CompletionPort::finish(u64 generation, Finish finish) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    if (!open_ || generation != generation_ || arrived_) return;
    arrived_ = std::move(finish);
    wake = wake_;
  }
  if (wake) wake();
}

bool CompletionPort::ready() const {
  const std::lock_guard lock(mutex_);
  return arrived_.has_value();
}

bool CompletionPort::has_job() const {
  const std::lock_guard lock(mutex_);
  return open_ && is_job_;
}

std::optional<Finish> CompletionPort::take() {
  const std::lock_guard lock(mutex_);
  if (!arrived_) return std::nullopt;
  open_ = false;
  cancel_ = nullptr;
  return std::exchange(arrived_, std::nullopt);
}

void CompletionPort::abandon() {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    open_ = false;
    arrived_.reset();
    cancel = std::exchange(cancel_, nullptr);
  }
  if (cancel) cancel();
}

void CompletionPort::on_ready(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void Completion::finish(Finish finish) const {
  if (const std::shared_ptr<CompletionPort> port = port_.lock()) {
    port->finish(generation_, std::move(finish));
  }
}

}  // namespace atollvm::runtime
