#include "scheduler/policy/policy.hpp"

#include <algorithm>

#include "scheduler/policy/wheel.hpp"

namespace atollvm::policy {

namespace {

constexpr Row rows[] = {
    {"fair", "shares by weight, of machines and then of their processes", make_fair},
    {"rr", "round robin: each in turn for one slice", make_rr},
    {"fcfs", "first come first served: each runs until it waits", make_fcfs},
    {"sjf", "shortest job first: declared length, or the average of its bursts", make_sjf},
    {"priority", "the highest priority first; who waits rises", make_priority},
};

}  // namespace

void Entry::set_weight(u32 value) noexcept {
  weight = std::clamp(value, min_weight, max_weight);
  // A division is what starting a process can do without.
  constexpr u64 usual = inverse_of(default_weight);
  inverse = weight == default_weight ? usual : inverse_of(weight);
}

std::span<const Row> all() noexcept { return rows; }

const Row* find(std::string_view name) noexcept {
  const auto found = std::ranges::find(rows, name, &Row::name);
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace atollvm::policy
