#include "atoll/embed/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "atoll/embed/impl.hpp"
#include "scheduler/machine/config.hpp"
#include "scheduler/policy/policy.hpp"

namespace atollvm::tools {

double Distribution::sample(Random& random, u64 turn) const {
  switch (kind) {
    case Kind::constant:
      return low;
    case Kind::exponential:
      return -std::log1p(-random.uniform()) * low;
    case Kind::uniform:
      return low + random.uniform() * (high - low);
    case Kind::bimodal:
      return random.uniform() < chance ? high : low;
    case Kind::list:
      return values[turn % values.size()];
  }
  return 0;
}

double Distribution::mean() const {
  switch (kind) {
    case Kind::constant:
    case Kind::exponential:
      return low;
    case Kind::uniform:
      return (low + high) / 2;
    case Kind::bimodal:
      return low + (high - low) * chance;
    case Kind::list: {
      double sum = 0;
      for (const double value : values) sum += value;
      return sum / static_cast<double>(values.size());
    }
  }
  return 0;
}

double Distribution::second_moment() const {
  switch (kind) {
    case Kind::constant:
      return low * low;
    case Kind::exponential:
      return 2 * low * low;
    case Kind::uniform:
      return (low * low + low * high + high * high) / 3;
    case Kind::bimodal:
      return low * low + (high * high - low * low) * chance;
    case Kind::list: {
      double sum = 0;
      for (const double value : values) sum += value * value;
      return sum / static_cast<double>(values.size());
    }
  }
  return 0;
}

namespace {

constexpr usize max_text = 4 << 20;
constexpr u64 max_bursts = 10'000'000;
constexpr u64 max_slices = 200'000'000;

using base::ErrorCode;
using machine::Node;

class WorkloadReader {
 public:
  WorkloadReader(std::string_view name, const machine::Document& document) : reader_(document) {
    data_.name = name;
    read_workload(document.root());
  }
  Result<Workload> result() {
    if (!reader_.ok()) return to_public(*reader_.error());
    return Workload(std::make_shared<const WorkloadData>(std::move(data_)));
  }

 private:
  std::vector<double> times(const Node& node, std::string_view what) {
    std::vector<double> result;
    const machine::List* const list = node.list();
    if (list == nullptr || list->empty()) {
      reader_.fail(node, fmt::format("{} must be a list of times", what));
      return {0, 0};
    }
    for (const Node& each : *list) result.push_back(reader_.time(each, what));
    return result;
  }

  Distribution distribution(const Node& node, std::string_view what) {
    using Kind = Distribution::Kind;
    Distribution result;
    if (node.table() == nullptr) {
      result.low = reader_.time(node, fmt::format("`{}`", what));
      return result;
    }
    reader_.known(node, fmt::format("`{}`", what),
                  {"constant", "exponential", "uniform", "bimodal", "chance", "list"});
    usize kinds = 0;
    const auto chosen = [&](const char* key, Kind kind) -> const Node* {
      const Node* const found = node.find(key);
      if (found != nullptr) {
        ++kinds;
        result.kind = kind;
      }
      return found;
    };
    if (const auto* at = chosen("constant", Kind::constant))
      result.low = reader_.time(*at, "`constant`");
    if (const auto* at = chosen("exponential", Kind::exponential)) {
      result.low = reader_.time(*at, "`exponential`, the mean,");
    }
    const Node* range = chosen("uniform", Kind::uniform);
    if (const auto* at = chosen("bimodal", Kind::bimodal)) range = at;
    if (range != nullptr) {
      const std::vector<double> ends = times(*range, "each end");
      if (ends.size() != 2 || ends[0] > ends[1]) {
        reader_.fail(*range, "must be two times, the shorter one first");
      } else {
        result.low = ends[0];
        result.high = ends[1];
      }
    }
    if (const auto* at = chosen("list", Kind::list)) result.values = times(*at, "each in `list`");
    if (kinds != 1) {
      reader_.fail(node,
                   fmt::format("`{}` must be a time or one of constant, exponential, uniform, "
                               "bimodal, list",
                               what));
    }
    const Node* const chance = node.find("chance");
    if (result.kind == Kind::bimodal) {
      result.chance = chance != nullptr ? chance->number().value_or(-1) : -1;
      if (!(result.chance >= 0 && result.chance <= 1)) {
        reader_.fail(chance != nullptr ? *chance : node,
                     "bimodal needs `chance`, that of the longer time, from 0 to 1");
      }
    } else if (chance != nullptr) {
      reader_.fail(*chance, "`chance` belongs to bimodal");
    }
    return result;
  }

  void read_workload(const Node& root) {
    reader_.known(root, "a workload",
                  {"seed", "cores", "duration", "slice", "switch", "group", "task"});
    data_.seed = reader_.integer(root, "seed", 0, INT64_MAX, 1);
    data_.cores = static_cast<u32>(reader_.integer(root, "cores", 1, 256, 1));
    data_.duration = reader_.time(root, "duration", 0, 0);
    data_.slice = reader_.time(root, "slice", 100, policy::default_slice);
    data_.switch_cost = reader_.time(root, "switch", 0, 0);
    if (const Node* node = root.find("duration"); node != nullptr && data_.duration == 0) {
      reader_.fail(*node, "`duration` must be more than 0");
    }
    reader_.each_table(root, "group", 10'000, [&](const Node& table) { read_group(table); });
    if (data_.groups.empty()) data_.groups.push_back({"main", policy::default_weight});
    reader_.each_table(root, "task", 10'000, [&](const Node& table) { read_task(table); });
    if (!reader_.ok()) return;
    if (data_.tasks.empty()) return reader_.fail(root, "there is no [[task]]");
    check_size(root);
  }

  void read_group(const Node& table) {
    reader_.known(table, "a group", {"name", "weight"});
    GroupData group;
    group.name = reader_.text(table, "name", "");
    if (group.name.empty()) reader_.fail(table, "a group needs a `name`");
    if (find_group(group.name)) reader_.fail(table, "there is a group of this name already");
    group.weight = static_cast<u32>(reader_.integer(table, "weight", policy::min_weight,
                                                    policy::max_weight, policy::default_weight));
    data_.groups.push_back(std::move(group));
  }

  std::optional<u32> find_group(std::string_view name) const {
    for (usize i = 0; i < data_.groups.size(); ++i) {
      if (data_.groups[i].name == name) return static_cast<u32>(i);
    }
    return std::nullopt;
  }

  void read_task(const Node& table) {
    reader_.known(
        table, "a task",
        {"name", "group", "arrivals", "service", "count", "weight", "priority", "length"});
    TaskData task;
    task.name = reader_.text(table, "name", fmt::format("task{}", data_.tasks.size() + 1));
    const std::string group = reader_.text(table, "group", data_.groups[0].name);
    if (const auto found = find_group(group)) {
      task.group = *found;
    } else {
      reader_.fail(*table.find("group"), fmt::format("there is no [[group]] called `{}`", group));
    }
    task.weight = static_cast<u32>(reader_.integer(table, "weight", policy::min_weight,
                                                   policy::max_weight, policy::default_weight));
    task.priority = static_cast<u8>(
        reader_.integer(table, "priority", 0, policy::max_priority, policy::default_priority));
    task.count = reader_.integer(table, "count", 1, max_bursts, 0);
    if (const Node* length = table.find("length")) {
      task.length_is_exact = length->text() != nullptr && *length->text() == "exact";
      if (!task.length_is_exact) {
        task.length = static_cast<u64>(reader_.time(*length, "`length`, if not \"exact\","));
      }
    }
    const Node* const service = table.find("service");
    if (service == nullptr)
      return reader_.fail(table, "a task needs `service`, for example \"1ms\"");
    task.service = distribution(*service, "service");
    if (reader_.ok() && !(task.service.mean() > 0))
      reader_.fail(*service, "`service` must be more than 0");
    read_arrivals(table, task);
    data_.tasks.push_back(std::move(task));
  }

  void read_arrivals(const Node& owner, TaskData& task) {
    const Node* const node = owner.find("arrivals");
    const std::string_view need =
        "a task needs `arrivals`: one of { poisson = 100.0 } (a second), { periodic = \"10ms\" }, "
        "{ at = [\"0s\"] }, { closed = 4, think = \"5ms\" }";
    if (node == nullptr || node->table() == nullptr)
      return reader_.fail(node != nullptr ? *node : owner, std::string(need));
    reader_.known(*node, "`arrivals`", {"poisson", "periodic", "at", "closed", "think"});
    usize kinds = 0;
    if (const Node* rate = node->find("poisson")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::poisson;
      task.rate = rate->number().value_or(0);
      if (!(task.rate > 0 && task.rate <= 1e9)) {
        reader_.fail(*rate, "`poisson` must be arrivals a second, above 0 and at most 1e9");
      }
    }
    if (node->find("periodic") != nullptr) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::periodic;
      task.period = reader_.time(*node, "periodic", 1, 0);
    }
    if (const Node* at = node->find("at")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::at;
      for (const double each : times(*at, "each in `at`")) {
        task.times.push_back(static_cast<u64>(each));
      }
      std::ranges::sort(task.times);
      if (task.count == 0 || task.count > task.times.size()) task.count = task.times.size();
    }
    if (node->find("closed") != nullptr) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::closed;
      task.processes = static_cast<u32>(reader_.integer(*node, "closed", 1, 1'000'000, 1));
      if (const Node* think = node->find("think")) {
        task.think = distribution(*think, "think");
      }
    } else if (const Node* think = node->find("think")) {
      reader_.fail(*think, "`think` belongs to closed");
    }
    if (kinds != 1) reader_.fail(*node, std::string(need));
  }

  // Refuses what has no end, or would take too long.
  void check_size(const Node& root) {
    const double seconds = static_cast<double>(data_.duration) / 1e9;
    double bursts = 0;
    double work = 0;
    for (const TaskData& task : data_.tasks) {
      if (task.count == 0 && data_.duration == 0) {
        return reader_.fail(root,
                            fmt::format("`{}` has no end: give it a `count`, or the workload a "
                                        "`duration`",
                                        task.name));
      }
      const double service = task.service.mean() / 1e9;
      double own = static_cast<double>(task.count);
      if (task.arrivals == TaskData::Arrivals::closed) {
        const double cycle = service + task.think.mean() / 1e9;
        const double most = task.think.mean() > 0 ? seconds / cycle * task.processes
                                                  : seconds / service * data_.cores;
        own = task.count != 0 ? own * task.processes : most + task.processes;
        if (task.count != 0 && data_.duration != 0) own = std::min(own, most + task.processes);
      } else if (data_.duration != 0) {
        const double most = task.arrivals == TaskData::Arrivals::poisson ? seconds * task.rate
                            : task.arrivals == TaskData::Arrivals::periodic
                                ? seconds * 1e9 / static_cast<double>(task.period)
                                : own;
        own = task.count == 0 ? most : std::min(own, most);
      }
      bursts += own;
      work += own * service;
    }
    if (data_.duration != 0) work = std::min(work, seconds * data_.cores);
    const double slices = work * 1e9 / static_cast<double>(data_.slice);
    if (bursts > static_cast<double>(max_bursts) || slices > static_cast<double>(max_slices)) {
      reader_.fail(
          root,
          fmt::format("too large: about {:.3g} bursts in {:.3g} slices; at most {} bursts and {} "
                      "slices can be replayed: lower the rates, counts or `duration`",
                      bursts, slices, max_bursts, max_slices),
          ErrorCode::limit);
    }
  }

  machine::Reader reader_;
  WorkloadData data_;
};

}  // namespace

Result<Workload> read_workload(std::string_view name, std::string_view text) {
  const auto document = machine::Document::toml(name, text, max_text);
  if (!document) return to_public(document.error());
  return WorkloadReader(name, *document).result();
}

// Sources: Kleinrock, Queueing Systems, volumes 1 (M/M/1, M/M/m, M/G/1) and 2 (processor sharing).
Prediction predict(const WorkloadData& workload, std::string_view policy) {
  double rate = 0;    // arrivals a second
  double first = 0;   // rate * mean service, in seconds
  double second = 0;  // rate * mean square of the service
  bool is_exponential = true;
  for (const TaskData& task : workload.tasks) {
    if (task.arrivals != TaskData::Arrivals::poisson || task.count != 0) return {};
    if (task.service.kind == Distribution::Kind::list) return {};
    rate += task.rate;
    first += task.rate * task.service.mean() / 1e9;
    second += task.rate * task.service.second_moment() / 1e18;
    is_exponential = is_exponential && task.service.kind == Distribution::Kind::exponential &&
                     task.service.low == workload.tasks[0].service.low;
  }
  const double cores = workload.cores;
  const double load = first / cores;
  if (load >= 1 || workload.switch_cost != 0) return {};
  const double service = first / rate;
  if (policy == "rr" && workload.cores == 1) {
    return {is_exponential ? "M/M/1-PS" : "M/G/1-PS", service / (1 - load)};
  }
  if (policy != "fcfs") return {};
  if (workload.cores == 1) {
    return {is_exponential ? "M/M/1" : "M/G/1", service + second / (2 * (1 - load))};
  }
  if (!is_exponential) return {};
  // Erlang's B by recursion over the cores, and C from it.
  double blocking = 1;
  for (u32 n = 1; n <= workload.cores; ++n) blocking = first * blocking / (n + first * blocking);
  const double waits = blocking / (1 - load * (1 - blocking));
  return {fmt::format("M/M/{}", workload.cores), service + waits * service / (cores * (1 - load))};
}

}  // namespace atollvm::tools
