// Replays of workloads under the scheduling policies, in simulated time.
// Threads: any, at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm::tools {

struct PolicyInfo {
  std::string name;
  std::string summary;  // one line
};
std::vector<PolicyInfo> scheduling_policies();

struct WorkloadData;

// What arrives when and needs how much CPU time; docs/scheduling.md describes the file format.
class Workload {
 public:
  explicit Workload(std::shared_ptr<const WorkloadData> data) : data_(std::move(data)) {}
  [[nodiscard]] const WorkloadData& data() const { return *data_; }

 private:
  std::shared_ptr<const WorkloadData> data_;
};

// Reads a workload file's text; `name` is for messages. Errors: malformed (no TOML) and invalid,
// with "name:line:column" as place; limit, for one that is too large to be replayed.
Result<Workload> read_workload(std::string_view name, std::string_view text);

struct GroupShare {
  std::string name;
  std::uint32_t weight = 0;
  double share = 0;           // of all CPU time that was used, 0 to 1
  std::vector<double> parts;  // the same in each 1/50 of the time
};

// Times are in seconds.
struct Replay {
  std::string policy;
  std::uint64_t arrived = 0;
  std::uint64_t completed = 0;
  double elapsed = 0;
  double throughput = 0;     // completed bursts a second
  double utilisation = 0;    // of all cores, by work alone: 0 to 1
  double mean_response = 0;  // from arrival to completion
  double p99_response = 0;
  double mean_waiting = 0;  // response less the service
  double p99_waiting = 0;
  double fairness =
      0;               // Jain's index of the speeds (service / response) of the completed; 1: equal
  std::string theory;  // the name of the model that predicts the response; empty: there is none
  double predicted_response = 0;
  std::vector<double> response_cdf;  // at 0, 1/200, 2/200, ... 1 of the completed; empty: none
  std::vector<GroupShare> groups;
};

// Replays under one policy. The same workload gives the same result each time. Errors: not_found,
// there is no such policy.
Result<Replay> replay(const Workload& workload, std::string_view policy);

}  // namespace atollvm::tools
#pragma GCC visibility pop
