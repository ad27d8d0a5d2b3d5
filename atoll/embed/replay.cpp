// The simulation: one run queue, which all cores share.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atoll/sched.hpp>
#include <cmath>
#include <deque>
#include <functional>
#include <memory>
#include <queue>

#include "atoll/embed/workload.hpp"
#include "scheduler/policy/policy.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm::tools {

namespace {

constexpr u32 part_count = 50;
constexpr u32 cdf_points = 200;

struct Job : policy::Entry {
  const TaskData* task = nullptr;
  u64 arrival = 0;
  u64 service = 0;
  u64 left = 0;
  u64 bursts = 0;  // done
};

struct Event {
  u64 at = 0;
  u64 order = 0;  // ties in order of their making
  enum class Kind : u8 { arrival, wake, core } kind = Kind::arrival;
  u32 index = 0;       // of the task or core
  u64 generation = 0;  // core: events of an older one are void
  Job* job = nullptr;

  bool operator>(const Event& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

struct Core {
  Job* running = nullptr;
  const Job* last = nullptr;
  u64 start = 0;  // of its work, after the switch
  u64 planned = 0;
  u64 generation = 0;
};

class Simulation {
 public:
  Simulation(const WorkloadData& workload, const policy::Row& row)
      : workload_(workload), policy_(row.make()), cores_(workload.cores) {
    policy_->set_time_slice(workload.slice);
    for (u32 i = 0; i < workload.groups.size(); ++i) {
      groups_.emplace_back(i, workload.groups[i].weight);
      policy_->add_group(groups_.back());
    }
    used_.resize(groups_.size());
    parts_.resize(groups_.size());
    turns_.resize(workload.tasks.size());
    result_.policy = row.name;
    // Streams of their own, so that all policies see the same arrivals and lengths.
    for (u64 i = 0; i < workload.tasks.size(); ++i) {
      Random mixed(workload.seed * 0x2545f4914f6cdd1d + i);
      randoms_.emplace_back(mixed.next());
      service_randoms_.emplace_back(mixed.next());
    }
  }

  Replay run() {
    part_length_ = std::max<u64>(expected_end() / part_count, 1);
    for (u32 i = 0; i < workload_.tasks.size(); ++i) begin(i);
    const u64 end = workload_.duration != 0 ? workload_.duration : ~u64{0};
    while (!events_.empty() && events_.top().at <= end) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      handle(event);
    }
    if (workload_.duration != 0) now_ = workload_.duration;
    for (Core& core : cores_) {
      if (core.running != nullptr && now_ > core.start) {
        use(*core.running, core.start, std::min(now_ - core.start, core.planned));
      }
    }
    finish();
    return std::move(result_);
  }

 private:
  u64 expected_end() const {
    if (workload_.duration != 0) return workload_.duration;
    double work = 0;
    double last = 0;
    for (const TaskData& task : workload_.tasks) {
      const double count = static_cast<double>(task.count);
      work += task.service.mean() * count * std::max<u32>(task.processes, 1);
      if (task.arrivals == TaskData::Arrivals::poisson)
        last = std::max(last, count / task.rate * 1e9);
      if (task.arrivals == TaskData::Arrivals::periodic) {
        last = std::max(last, count * static_cast<double>(task.period));
      }
      if (task.arrivals == TaskData::Arrivals::at) {
        last = std::max(last, static_cast<double>(task.times.back()));
      }
      if (task.arrivals == TaskData::Arrivals::closed) {
        last = std::max(last, count * task.think.mean());
      }
    }
    return static_cast<u64>(std::max(last, work / workload_.cores));
  }

  void post(Event event) {
    event.order = order_++;
    events_.push(event);
  }

  // --- Arrivals ---

  void begin(u32 index) {
    const TaskData& task = workload_.tasks[index];
    if (task.arrivals != TaskData::Arrivals::closed) {
      next_arrival(index, 0);
      return;
    }
    for (u32 i = 0; i < task.processes; ++i) {
      Job& job = new_job(index);
      post({think(index, i), 0, Event::Kind::wake, index, 0, &job});
    }
  }

  u64 think(u32 index, u64 turn) {
    return now_ + static_cast<u64>(workload_.tasks[index].think.sample(randoms_[index], turn));
  }

  void next_arrival(u32 index, u64 number) {
    const TaskData& task = workload_.tasks[index];
    if (task.count != 0 && number >= task.count) return;
    u64 at = now_;
    if (task.arrivals == TaskData::Arrivals::poisson) {
      at += static_cast<u64>(-std::log1p(-randoms_[index].uniform()) / task.rate * 1e9);
    } else if (task.arrivals == TaskData::Arrivals::periodic) {
      at = number * task.period;
    } else {
      at = task.times[number];
    }
    post({at, 0, Event::Kind::arrival, index, number, nullptr});
  }

  Job& new_job(u32 index) {
    Job* job = nullptr;
    if (!free_.empty()) {
      job = free_.back();
      free_.pop_back();
      *job = Job();
    } else {
      job = &jobs_.emplace_back();
    }
    const TaskData& task = workload_.tasks[index];
    job->task = &task;
    job->group = &groups_[task.group];
    job->set_weight(task.weight);
    job->priority = task.priority;
    return *job;
  }

  void arrive(Job& job, u32 index, policy::Wake wake) {
    const TaskData& task = *job.task;
    job.arrival = now_;
    const double service = task.service.sample(service_randoms_[index], turns_[index]++);
    job.service = job.left = std::max<u64>(static_cast<u64>(service), 1);
    policy_->admit(job);
    job.set_length(task.length_is_exact ? job.service : task.length);
    ++result_.arrived;
    policy_->ready(job, now_, wake);
    for (Core& core : cores_) {
      if (core.running == nullptr) return dispatch(core);
    }
    for (Core& core : cores_) {
      if (policy_->urgent(*core.running)) return cut(core);
    }
  }

  // --- Cores ---

  void dispatch(Core& core) {
    auto* const job = static_cast<Job*>(policy_->pick(now_));
    core.running = job;
    if (job == nullptr) return;
    core.start = now_ + (core.last == job ? 0 : workload_.switch_cost);
    core.last = job;
    core.planned = std::min(job->left, policy_->slice(*job));
    post({core.start + core.planned, 0, Event::Kind::core, static_cast<u32>(&core - cores_.data()),
          ++core.generation, nullptr});
  }

  void cut(Core& core) {
    if (now_ <= core.start || now_ - core.start >= core.planned) return;
    stop(core, now_ - core.start);
  }

  void stop(Core& core, u64 ran) {
    Job& job = *core.running;
    ++core.generation;
    use(job, core.start, ran);
    job.left -= ran;
    core.running = nullptr;
    if (job.left != 0) {
      policy_->account(job, ran, policy::Stop::preempted, now_);
    } else {
      complete(job, ran);
    }
    dispatch(core);
  }

  void complete(Job& job, u64 ran) {
    const double response = static_cast<double>(now_ - job.arrival);
    const double service = static_cast<double>(job.service);
    responses_.push_back(response);
    waits_.push_back(response - service);
    const TaskData& task = *job.task;
    const u32 index = static_cast<u32>(&task - workload_.tasks.data());
    ++job.bursts;
    if (task.arrivals == TaskData::Arrivals::closed && job.bursts != task.count) {
      policy_->account(job, ran, policy::Stop::waits, now_);
      post({think(index, job.bursts), 0, Event::Kind::wake, index, 0, &job});
      return;
    }
    policy_->account(job, ran, policy::Stop::ended, now_);
    for (Core& core : cores_) {
      if (core.last == &job) core.last = nullptr;
    }
    free_.push_back(&job);
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case Event::Kind::arrival:
        arrive(new_job(event.index), event.index, policy::Wake::started);
        return next_arrival(event.index, event.generation + 1);
      case Event::Kind::wake:
        return arrive(*event.job, event.index,
                      event.job->bursts == 0 ? policy::Wake::started : policy::Wake::woken);
      case Event::Kind::core: {
        Core& core = cores_[event.index];
        if (core.generation == event.generation) stop(core, core.planned);
      }
    }
  }

  // --- Results ---

  void use(const Job& job, u64 start, u64 ran) {
    const u32 group = job.group->index;
    used_[group] += static_cast<double>(ran);
    while (ran > 0) {
      const u64 part = std::min<u64>(start / part_length_, part_count - 1);
      const u64 left = part + 1 < part_count ? (part + 1) * part_length_ - start : ran;
      const u64 piece = std::min(ran, left);
      parts_[group][part] += static_cast<double>(piece);
      start += piece;
      ran -= piece;
    }
  }

  // The least value that at least `share` of the sorted values don't exceed.
  static double quantile(const std::vector<double>& sorted, double share) {
    if (sorted.empty()) return 0;
    const double rank = std::ceil(share * static_cast<double>(sorted.size()));
    return sorted[std::min(sorted.size(), static_cast<usize>(std::max(rank, 1.0))) - 1] / 1e9;
  }
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size()) / 1e9;
  }

  void finish() {
    const double elapsed = static_cast<double>(now_);
    double used = 0;
    for (const double each : used_) used += each;
    result_.completed = responses_.size();
    result_.elapsed = elapsed / 1e9;
    if (now_ > 0) {
      result_.throughput = static_cast<double>(responses_.size()) / result_.elapsed;
      result_.utilisation = used / elapsed / workload_.cores;
    }
    double sum = 0;
    double squares = 0;
    for (usize i = 0; i < responses_.size(); ++i) {
      const double speed = (responses_[i] - waits_[i]) / responses_[i];
      sum += speed;
      squares += speed * speed;
    }
    if (squares > 0) {
      result_.fairness = sum * sum / (static_cast<double>(responses_.size()) * squares);
    }
    result_.mean_response = mean(responses_);
    result_.mean_waiting = mean(waits_);
    std::ranges::sort(responses_);
    std::ranges::sort(waits_);
    result_.p99_response = quantile(responses_, 0.99);
    result_.p99_waiting = quantile(waits_, 0.99);
    for (u32 i = 0; i <= cdf_points && !responses_.empty(); ++i) {
      result_.response_cdf.push_back(quantile(responses_, static_cast<double>(i) / cdf_points));
    }
    for (usize g = 0; g < groups_.size(); ++g) {
      GroupShare share{workload_.groups[g].name, groups_[g].weight, 0, {}};
      if (used > 0) share.share = used_[g] / used;
      for (u32 part = 0; part < part_count; ++part) {
        double all = 0;
        for (const auto& each : parts_) all += each[part];
        share.parts.push_back(all > 0 ? parts_[g][part] / all : 0);
      }
      result_.groups.push_back(std::move(share));
    }
    const Prediction prediction = predict(workload_, result_.policy);
    result_.theory = prediction.model;
    result_.predicted_response = prediction.response;
  }

  const WorkloadData& workload_;
  std::unique_ptr<policy::Policy> policy_;
  std::deque<policy::Group> groups_;
  std::deque<Job> jobs_;
  std::vector<Job*> free_;
  std::vector<Core> cores_;
  std::vector<Random> randoms_;
  std::vector<Random> service_randoms_;
  std::vector<u64> turns_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  u64 order_ = 0;
  u64 now_ = 0;
  u64 part_length_ = 1;
  std::vector<double> used_;
  std::vector<std::array<double, part_count>> parts_;
  std::vector<double> responses_;
  std::vector<double> waits_;
  Replay result_;
};

}  // namespace

std::vector<PolicyInfo> scheduling_policies() {
  std::vector<PolicyInfo> result;
  for (const policy::Row& row : policy::all()) {
    result.push_back({std::string(row.name), std::string(row.summary)});
  }
  return result;
}

Result<Replay> replay(const Workload& workload, std::string_view policy) {
  const policy::Row* const row = policy::find(policy);
  if (row == nullptr) {
    std::string names;
    for (const policy::Row& each : policy::all()) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
    }
    return Error{
        ErrorCode::not_found, "",
        fmt::format("there is no policy `{}`; there are {}", base::printable(policy), names)};
  }
  return Simulation(workload.data(), *row).run();
}

}  // namespace atollvm::tools
