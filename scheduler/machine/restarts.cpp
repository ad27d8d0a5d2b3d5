#include "scheduler/machine/restarts.hpp"

#include <algorithm>

namespace atollvm::machine {

Restarts::Verdict Restarts::ended(sched::ExitKind why, u64 now) {
  const bool is_wanted =
      rule_.when == RestartRule::When::always ||
      (rule_.when == RestartRule::When::on_failure && why != sched::ExitKind::normal);
  if (!is_wanted) return Verdict::stays;
  while (!times_.empty() && now >= times_.front() && now - times_.front() >= rule_.within) {
    times_.pop_front();
  }
  if (times_.size() >= rule_.intensity) return Verdict::failed;
  pause_ = std::min(rule_.backoff, rule_.max_backoff);
  for (usize i = 0; i < times_.size() && pause_ < rule_.max_backoff; ++i) {
    pause_ = std::min(pause_ * 2, rule_.max_backoff);
    if (pause_ == 0) break;
  }
  times_.push_back(now + pause_);
  return Verdict::restarts;
}

std::vector<u64> Restarts::ages(u64 now) const {
  std::vector<u64> ages;
  for (const u64 time : times_) ages.push_back(now > time ? now - time : 0);
  return ages;
}

void Restarts::go_on(const std::vector<u64>& ages, u64 now) {
  times_.clear();
  for (const u64 age : ages) times_.push_back(now > age ? now - age : 0);
}

}  // namespace atollvm::machine
