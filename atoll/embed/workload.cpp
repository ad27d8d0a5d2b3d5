#include "atoll/embed/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <sstream>

#include "atoll/embed/toml.hpp"
#include "scheduler/policy/policy.hpp"
#include "vm/base/utf8.hpp"

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
constexpr double max_seconds = 1e6;
constexpr u64 max_bursts = 10'000'000;
constexpr u64 max_slices = 200'000'000;

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) { data_.name = name; }

  Result<Workload> read(std::string_view text) {
    if (text.size() > max_text) {
      return Error{ErrorCode::limit, std::string(name_), "a workload is at most 4 MiB"};
    }
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
      const auto& at = parsed.error().source().begin;
      return Error{ErrorCode::malformed, place(at),
                   base::printable(parsed.error().description(), 200)};
    }
    read_workload(parsed.table());
    if (error_) return *std::move(error_);
    return Workload(std::make_shared<const WorkloadData>(std::move(data_)));
  }

 private:
  std::string place(const toml::source_position& at) const {
    return fmt::format("{}:{}:{}", name_, at.line, at.column);
  }
  // The first mistake counts.
  void fail(const toml::node& node, std::string message, ErrorCode code = ErrorCode::invalid) {
    if (!error_) error_ = Error{code, place(node.source().begin), std::move(message)};
  }

  // Refuses keys that mean nothing here.
  void known(const toml::table& table, std::string_view what,
             std::initializer_list<std::string_view> keys) {
    for (const auto& [key, value] : table) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      fail(value, fmt::format("{} has no `{}`; it may have {}", what, base::printable(key.str()),
                              fmt::join(keys, ", ")));
    }
  }

  u64 integer(const toml::table& table, std::string_view key, u64 low, u64 high, u64 otherwise) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) return otherwise;
    const auto value = node->is_integer() ? node->value<std::int64_t>() : std::nullopt;
    if (!value || *value < 0 || static_cast<u64>(*value) < low || static_cast<u64>(*value) > high) {
      fail(*node, fmt::format("`{}` must be an integer from {} to {}", key, low, high));
      return otherwise;
    }
    return static_cast<u64>(*value);
  }

  // A time such as "1.5ms", in nanoseconds.
  double time(const toml::node& node, std::string_view what) {
    const auto text = node.value<std::string_view>();
    double number = -1;
    double unit = 0;
    if (text) {
      const char* const end = text->data() + text->size();
      const auto [rest, bad] = std::from_chars(text->data(), end, number);
      const std::string_view name(rest, static_cast<usize>(end - rest));
      if (bad == std::errc()) {
        unit = name == "ns"   ? 1
               : name == "us" ? 1e3
               : name == "ms" ? 1e6
               : name == "s"  ? 1e9
               : name == "m"  ? 6e10
               : name == "h"  ? 3.6e12
                              : 0;
      }
    }
    const double value = number * unit;
    if (unit == 0 || !(value >= 0 && value <= max_seconds * 1e9)) {
      fail(node, fmt::format("{} must be a time such as \"1.5ms\" (ns, us, ms, s, m, h), from 0 to "
                             "1000000s",
                             what));
      return 0;
    }
    return value;
  }
  u64 time_at(const toml::table& table, std::string_view key, u64 otherwise) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) return otherwise;
    return static_cast<u64>(std::llround(time(*node, fmt::format("`{}`", key))));
  }
  std::vector<double> times(const toml::node& node, std::string_view what) {
    std::vector<double> result;
    const toml::array* const array = node.as_array();
    if (array == nullptr || array->empty()) {
      fail(node, fmt::format("{} must be a list of times", what));
      return {0, 0};
    }
    for (const toml::node& each : *array) result.push_back(time(each, what));
    return result;
  }

  std::string text(const toml::table& table, std::string_view key, std::string otherwise) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) return otherwise;
    const auto value = node->value<std::string>();
    if (!value || value->empty() || value->size() > 64 || base::printable(*value) != *value) {
      fail(*node, fmt::format("`{}` must be a text of 1 to 64 bytes", key));
      return otherwise;
    }
    return *value;
  }

  Distribution distribution(const toml::node& node, std::string_view what) {
    using Kind = Distribution::Kind;
    Distribution result;
    const toml::table* const table = node.as_table();
    if (table == nullptr) {
      result.low = time(node, fmt::format("`{}`", what));
      return result;
    }
    known(*table, fmt::format("`{}`", what),
          {"constant", "exponential", "uniform", "bimodal", "chance", "list"});
    usize kinds = 0;
    const auto chosen = [&](const char* key, Kind kind) -> const toml::node* {
      const toml::node* const found = table->get(key);
      if (found != nullptr) {
        ++kinds;
        result.kind = kind;
      }
      return found;
    };
    if (const auto* at = chosen("constant", Kind::constant)) result.low = time(*at, "`constant`");
    if (const auto* at = chosen("exponential", Kind::exponential)) {
      result.low = time(*at, "`exponential`, the mean,");
    }
    const toml::node* range = chosen("uniform", Kind::uniform);
    if (const auto* at = chosen("bimodal", Kind::bimodal)) range = at;
    if (range != nullptr) {
      const std::vector<double> ends = times(*range, "each end");
      if (ends.size() != 2 || ends[0] > ends[1]) {
        fail(*range, "must be two times, the shorter one first");
      } else {
        result.low = ends[0];
        result.high = ends[1];
      }
    }
    if (const auto* at = chosen("list", Kind::list)) result.values = times(*at, "each in `list`");
    if (kinds != 1) {
      fail(node, fmt::format("`{}` must be a time or one of constant, exponential, uniform, "
                             "bimodal, list",
                             what));
    }
    const toml::node* const chance = table->get("chance");
    if (result.kind == Kind::bimodal) {
      result.chance = chance != nullptr ? chance->value<double>().value_or(-1) : -1;
      if (!(result.chance >= 0 && result.chance <= 1)) {
        fail(chance != nullptr ? *chance : node,
             "bimodal needs `chance`, that of the longer time, from 0 to 1");
      }
    } else if (chance != nullptr) {
      fail(*chance, "`chance` belongs to bimodal");
    }
    return result;
  }

  void read_workload(const toml::table& root) {
    known(root, "a workload", {"seed", "cores", "duration", "slice", "switch", "group", "task"});
    data_.seed = integer(root, "seed", 0, INT64_MAX, 1);
    data_.cores = static_cast<u32>(integer(root, "cores", 1, 256, 1));
    data_.duration = time_at(root, "duration", 0);
    data_.slice = time_at(root, "slice", policy::default_slice);
    data_.switch_cost = time_at(root, "switch", 0);
    if (data_.slice < 100) fail(*root.get("slice"), "`slice` must be at least 100ns");
    if (const toml::node* node = root.get("duration"); node != nullptr && data_.duration == 0) {
      fail(*node, "`duration` must be more than 0");
    }
    each_table(root, "group", 10'000, [&](const toml::table& table) { read_group(table); });
    if (data_.groups.empty()) data_.groups.push_back({"main", policy::default_weight});
    each_table(root, "task", 10'000, [&](const toml::table& table) { read_task(table); });
    if (error_) return;
    if (data_.tasks.empty()) return fail(root, "there is no [[task]]");
    check_size(root);
  }

  template <class Read>
  void each_table(const toml::table& root, std::string_view key, usize limit, Read read) {
    const toml::node* const node = root.get(key);
    if (node == nullptr) return;
    const toml::array* const array = node->as_array();
    if (array == nullptr) return fail(*node, fmt::format("write it as [[{}]]", key));
    if (array->size() > limit) return fail(*node, fmt::format("more than {} [[{}]]", limit, key));
    for (const toml::node& each : *array) {
      const toml::table* const table = each.as_table();
      if (table == nullptr) return fail(each, fmt::format("write it as [[{}]]", key));
      read(*table);
    }
  }

  void read_group(const toml::table& table) {
    known(table, "a group", {"name", "weight"});
    GroupData group;
    group.name = text(table, "name", "");
    if (group.name.empty()) fail(table, "a group needs a `name`");
    if (find_group(group.name)) fail(table, "there is a group of this name already");
    group.weight = static_cast<u32>(
        integer(table, "weight", policy::min_weight, policy::max_weight, policy::default_weight));
    data_.groups.push_back(std::move(group));
  }

  std::optional<u32> find_group(std::string_view name) const {
    for (usize i = 0; i < data_.groups.size(); ++i) {
      if (data_.groups[i].name == name) return static_cast<u32>(i);
    }
    return std::nullopt;
  }

  void read_task(const toml::table& table) {
    known(table, "a task",
          {"name", "group", "arrivals", "service", "count", "weight", "priority", "length"});
    TaskData task;
    task.name = text(table, "name", fmt::format("task{}", data_.tasks.size() + 1));
    const std::string group = text(table, "group", data_.groups[0].name);
    if (const auto found = find_group(group)) {
      task.group = *found;
    } else {
      fail(*table.get("group"), fmt::format("there is no [[group]] called `{}`", group));
    }
    task.weight = static_cast<u32>(
        integer(table, "weight", policy::min_weight, policy::max_weight, policy::default_weight));
    task.priority = static_cast<u8>(
        integer(table, "priority", 0, policy::max_priority, policy::default_priority));
    task.count = integer(table, "count", 1, max_bursts, 0);
    if (const toml::node* length = table.get("length")) {
      task.length_is_exact = length->value<std::string_view>() == "exact";
      if (!task.length_is_exact) {
        task.length = static_cast<u64>(time(*length, "`length`, if not \"exact\","));
      }
    }
    const toml::node* const service = table.get("service");
    if (service == nullptr) return fail(table, "a task needs `service`, for example \"1ms\"");
    task.service = distribution(*service, "service");
    if (!error_ && !(task.service.mean() > 0)) fail(*service, "`service` must be more than 0");
    read_arrivals(table, task);
    data_.tasks.push_back(std::move(task));
  }

  void read_arrivals(const toml::table& owner, TaskData& task) {
    const toml::node* const node = owner.get("arrivals");
    const toml::table* const table = node != nullptr ? node->as_table() : nullptr;
    const std::string_view need =
        "a task needs `arrivals`: one of { poisson = 100.0 } (a second), { periodic = \"10ms\" }, "
        "{ at = [\"0s\"] }, { closed = 4, think = \"5ms\" }";
    if (table == nullptr) return fail(node != nullptr ? *node : owner, std::string(need));
    known(*table, "`arrivals`", {"poisson", "periodic", "at", "closed", "think"});
    usize kinds = 0;
    if (const toml::node* rate = table->get("poisson")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::poisson;
      task.rate = rate->value<double>().value_or(0);
      if (!(task.rate > 0 && task.rate <= 1e9)) {
        fail(*rate, "`poisson` must be arrivals a second, above 0 and at most 1e9");
      }
    }
    if (const toml::node* period = table->get("periodic")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::periodic;
      task.period = time_at(*table, "periodic", 0);
      if (task.period == 0) fail(*period, "`periodic` must be at least 1ns");
    }
    if (const toml::node* at = table->get("at")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::at;
      for (const double each : times(*at, "each in `at`")) {
        task.times.push_back(static_cast<u64>(each));
      }
      std::ranges::sort(task.times);
      if (task.count == 0 || task.count > task.times.size()) task.count = task.times.size();
    }
    if (table->contains("closed")) {
      ++kinds;
      task.arrivals = TaskData::Arrivals::closed;
      task.processes = static_cast<u32>(integer(*table, "closed", 1, 1'000'000, 1));
      if (const toml::node* think = table->get("think")) {
        task.think = distribution(*think, "think");
      }
    } else if (const toml::node* think = table->get("think")) {
      fail(*think, "`think` belongs to closed");
    }
    if (kinds != 1) fail(*node, std::string(need));
  }

  // Refuses what has no end, or would take too long.
  void check_size(const toml::table& root) {
    const double seconds = static_cast<double>(data_.duration) / 1e9;
    double bursts = 0;
    double work = 0;
    for (const TaskData& task : data_.tasks) {
      if (task.count == 0 && data_.duration == 0) {
        return fail(root, fmt::format("`{}` has no end: give it a `count`, or the workload a "
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
      fail(root,
           fmt::format("too large: about {:.3g} bursts in {:.3g} slices; at most {} bursts and {} "
                       "slices can be replayed: lower the rates, counts or `duration`",
                       bursts, slices, max_bursts, max_slices),
           ErrorCode::limit);
    }
  }

  std::string_view name_;
  WorkloadData data_;
  std::optional<Error> error_;
};

}  // namespace

Result<Workload> read_workload(std::string_view name, std::string_view text) {
  return Reader(name).read(text);
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
