// Any text gives a mistake with a place, or a workload; short ones are replayed.
#include <atoll/sched.hpp>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "atoll/embed/workload.hpp"

using namespace atollvm;

namespace {

// Whether a replay takes milliseconds.
bool is_short(const tools::WorkloadData& data) {
  if (data.duration == 0 || data.duration > 1'000'000'000 || data.slice < 100'000) return false;
  double bursts = 0;  // a second
  for (const tools::TaskData& task : data.tasks) {
    bursts += task.rate + 1e9 * (task.processes + 1) / (task.service.mean() + task.think.mean());
    if (task.period != 0) bursts += 1e9 / static_cast<double>(task.period);
    if (task.processes > 1000 || data.cores > 16) return false;
  }
  return bursts < 1e5;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto workload = tools::read_workload("fuzz.toml", text);
  if (!workload.ok()) {
    if (!workload.error().place.starts_with("fuzz.toml")) std::abort();
    return 0;
  }
  if (!is_short(workload->data())) return 0;
  for (const auto& policy : tools::scheduling_policies()) {
    const auto replay = tools::replay(*workload, policy.name);
    if (!replay.ok() || replay->completed > replay->arrived) std::abort();
    if (!(replay->utilisation >= 0 && replay->utilisation <= 1.000001)) std::abort();
    if (!std::isfinite(replay->mean_response) || replay->mean_waiting < 0) std::abort();
  }
  return 0;
}
