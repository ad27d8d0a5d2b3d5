#include "scheduler/machine/spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "vm/base/utf8.hpp"

namespace atollvm::machine {

using base::Error;
using base::ErrorCode;

namespace {

constexpr u64 max_size = u64{1} << 46;
constexpr u64 max_count = u64{1} << 62;
constexpr usize max_guest_name = 255;  // of a registered process
constexpr usize max_names = 64;
constexpr usize max_variables = 4096;
constexpr usize max_rules = 64 << 10;    // bytes of a network's
constexpr usize max_directories = 1000;  // and as many mounts

enum class Quantity : u8 { bytes, bytes_a_second, time, count };

// One limit: its key, its unit, its range, its field.
template <class Limits>
struct Row {
  std::string_view key;
  Quantity unit;
  u64 low;
  u64 high;
  u64 Limits::* field;
};

constexpr Row<MachineLimits> machine_rows[] = {
    {"memory", Quantity::bytes, 1, max_size, &MachineLimits::memory},
    {"fuel", Quantity::count, 1, max_count, &MachineLimits::fuel},
    {"cpu_time", Quantity::time, 1, 0, &MachineLimits::cpu_time},
    {"processes", Quantity::count, 1, UINT32_MAX, &MachineLimits::processes},
    {"handles", Quantity::count, 0, max_count, &MachineLimits::handles},
    {"io_bytes", Quantity::bytes, 0, max_count, &MachineLimits::io_bytes},
    {"io_operations", Quantity::count, 0, max_count, &MachineLimits::io_operations},
    {"io_bytes_rate", Quantity::bytes_a_second, 1, max_size, &MachineLimits::io_bytes_rate},
    {"io_operations_rate", Quantity::count, 1, max_size, &MachineLimits::io_operations_rate},
};

constexpr Row<ProcessLimits> process_rows[] = {
    {"memory", Quantity::bytes, 0, max_size, &ProcessLimits::memory},
    {"stack", Quantity::bytes, 1, max_size, &ProcessLimits::stack},
    {"table_elements", Quantity::count, 0, UINT32_MAX, &ProcessLimits::table_elements},
    {"fuel", Quantity::count, 1, max_count, &ProcessLimits::fuel},
    {"cpu_time", Quantity::time, 1, 0, &ProcessLimits::cpu_time},
    {"handles", Quantity::count, 0, UINT32_MAX, &ProcessLimits::handles},
    {"mailbox_messages", Quantity::count, 1, UINT32_MAX, &ProcessLimits::mailbox_messages},
    {"mailbox_bytes", Quantity::bytes, 1, max_size, &ProcessLimits::mailbox_bytes},
    {"io_bytes", Quantity::bytes, 0, max_count, &ProcessLimits::io_bytes},
    {"io_operations", Quantity::count, 0, max_count, &ProcessLimits::io_operations},
    {"io_bytes_rate", Quantity::bytes_a_second, 1, max_size, &ProcessLimits::io_bytes_rate},
    {"io_operations_rate", Quantity::count, 1, max_size, &ProcessLimits::io_operations_rate},
};

constexpr std::string_view overflow_words[] = {"refuse", "newest", "oldest", "kill", "wait"};
constexpr std::string_view access_words[] = {"ro", "rw"};
constexpr std::string_view mount_words[] = {"dir",   "memory", "overlay", "archive",
                                            "image", "volume", "dev",     "proc"};
constexpr std::pair<const char*, bool Mount::*> mount_flags[] = {
    {"append", &Mount::append_only},
    {"nodelete", &Mount::no_delete},
    {"nomodules", &Mount::no_modules},
    {"hidden", &Mount::hidden},
};
constexpr std::string_view restart_words[] = {"never", "on-failure", "always"};

class SpecReader {
 public:
  SpecReader(Reader& reader, const Node& node, std::string_view folder)
      : reader_(reader), node_(node), folder_(folder) {}

  MachineSpec read() {
    reader_.known(
        node_, "a machine",
        {"name",   "module", "grants",    "verify", "arguments", "environment", "directories",
         "mounts", "net",    "listeners", "nics",   "routes",    "names",       "stdin",
         "stdout", "stderr", "log",       "weight", "limits",    "process",     "restart"});
    read_name();
    spec_.module = path(node_, "module");
    if (spec_.module.empty()) {
      reader_.fail(node_, "a machine needs a `module`: the path of what its root process runs");
    }
    read_grants();
    spec_.verify = path(node_, "verify");
    spec_.arguments = texts("arguments");
    read_environment();
    read_directories();
    read_mounts();
    spec_.network = reader_.text(node_, "net", "", max_rules);
    spec_.listeners = texts("listeners");
    spec_.nics = read_nics(reader_, node_, false);
    spec_.routes = read_routes(reader_, node_);
    if (spec_.nics.empty() && !spec_.routes.empty()) {
      reader_.fail(*node_.find("routes"), "a machine without `nics` has no routes");
    }
    read_names();
    spec_.input = path(node_, "stdin");
    spec_.output = path(node_, "stdout");
    spec_.error = path(node_, "stderr");
    spec_.log = path(node_, "log");
    spec_.weight = static_cast<u32>(reader_.integer(node_, "weight", policy::min_weight,
                                                    policy::max_weight, policy::default_weight));
    if (const Node* node = node_.find("limits")) {
      reader_.known(*node, "`limits`", keys_of(machine_rows));
      read_limits(*node, machine_rows, spec_.limits);
    }
    if (const Node* node = node_.find("process")) {
      std::vector<std::string_view> keys = keys_of(process_rows);
      keys.emplace_back("overflow");
      reader_.known(*node, "`process`", keys);
      read_limits(*node, process_rows, spec_.process);
      spec_.process.overflow =
          static_cast<sched::Overflow>(reader_.word(*node, "overflow", overflow_words, 0));
    }
    read_restart();
    return std::move(spec_);
  }

 private:
  void read_name() {
    const Node* const node = node_.find("name");
    if (node == nullptr) return reader_.fail(node_, "a machine needs a `name`");
    if (node->text() == nullptr || !is_machine_name(*node->text())) {
      return reader_.fail(*node,
                          "`name` must be 1 to 64 letters, digits, `.`, `_` or `-`, the first a "
                          "letter or digit");
    }
    spec_.name = *node->text();
  }

  // Empty: there is none.
  std::string path(const Node& table, std::string_view key) {
    std::string text = reader_.text(table, key, "", max_path);
    if (text.empty() || text[0] == '/') return text;
    if (folder_.empty()) {
      reader_.fail(*table.find(key), fmt::format("`{}` must be an absolute path", key));
    }
    return fmt::format("{}{}{}", folder_, folder_.ends_with('/') ? "" : "/", text);
  }

  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> result;
    const Node* const node = node_.find(key);
    if (node == nullptr) return result;
    if (node->list() == nullptr) {
      reader_.fail(*node,
                   fmt::format("`{}` must be a list of texts, for example [\"a\", \"b\"]", key));
      return result;
    }
    for (const Node& each : *node->list()) {
      if (each.text() == nullptr || each.text()->find('\0') != std::string::npos) {
        reader_.fail(each,
                     fmt::format("each in `{}` must be a text in quotes, without a NUL", key));
        return result;
      }
      result.push_back(*each.text());
    }
    return result;
  }

  void read_environment() {
    const Node* const node = node_.find("environment");
    if (node == nullptr) return;
    if (node->table() == nullptr) {
      return reader_.fail(*node, "`environment` must be a table, for example { HOME = \"/\" }");
    }
    if (node->table()->size() > max_variables) {
      return reader_.fail(*node, fmt::format("more than {} variables", max_variables));
    }
    for (const Member& member : *node->table()) {
      const std::string shown = base::printable(member.key);
      if (member.key.empty() ||
          member.key.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
        return reader_.fail(member, fmt::format("a variable can't be called `{}`", shown));
      }
      const std::string* const value = member.node.text();
      if (value == nullptr || value->find('\0') != std::string::npos) {
        return reader_.fail(
            member.node,
            fmt::format("the variable `{}` must be a text in quotes, without a NUL", shown));
      }
      spec_.environment.emplace_back(member.key, *value);
    }
    std::ranges::sort(spec_.environment);  // JSON's objects have no order of their own
  }

  void read_mounts() {
    reader_.each_table(node_, "mounts", max_directories, [&](const Node& node) {
      reader_.known(node, "a mount",
                    {"type", "source", "guest", "access", "size", "inodes", "upper", "append",
                     "nodelete", "nomodules", "hidden"});
      Mount mount;
      if (node.find("type") == nullptr) {
        reader_.fail(node, fmt::format("a mount needs `type`: {}", words_text(mount_words)));
      }
      mount.type = mount_words[reader_.word(node, "type", mount_words, 0)];
      mount.source = path(node, "source");
      mount.upper = path(node, "upper");
      mount.guest = reader_.text(node, "guest", "", max_path);
      if (mount.guest.empty()) {
        reader_.fail(node, "a mount needs `guest`: the path by which the guest names it");
      } else if (!guests_.insert(mount.guest).second) {
        reader_.fail(*node.find("guest"), "another mount or directory has this guest path");
      }
      mount.writable = reader_.word(node, "access", access_words, 1) == 1;
      for (const auto& [key, field] : mount_flags) {
        mount.*field = reader_.boolean(node, key, false);
      }
      if (node.find("size") != nullptr) mount.bytes = reader_.size(node, "size", 0, max_size, 0);
      if (node.find("inodes") != nullptr) {
        mount.inodes = reader_.integer(node, "inodes", 0, max_count, 0);
      }
      check_mount(node, mount);
      spec_.mounts.push_back(std::move(mount));
    });
  }

  // What goes with which type.
  void check_mount(const Node& node, const Mount& mount) {
    const bool is_memory = mount.type == "memory";
    const bool is_of_processes = mount.type == "proc";
    const bool has_nothing = mount.type == "dev" || is_of_processes;
    const auto refuse = [&](const char* key) {
      const Node* const own = node.find(key);
      if (own != nullptr) {
        reader_.fail(*own, fmt::format("a mount of the type {} has no `{}`", mount.type, key));
      }
    };
    if (is_memory || has_nothing) refuse("source");
    if (mount.type != "overlay") refuse("upper");
    if (mount.type == "dir" || has_nothing || !mount.upper.empty()) {
      refuse("size");
      refuse("inodes");
    }
    const bool is_archive = mount.type == "archive";
    if (!is_memory && !has_nothing && mount.source.empty()) {
      reader_.fail(node, fmt::format("a mount of the type {} needs `source`: {} of the host",
                                     mount.type, is_archive ? "an archive" : "a directory"));
    }
    const bool only_reads = is_archive || is_of_processes;
    if (only_reads && mount.writable && node.find("access") != nullptr) {
      reader_.fail(*node.find("access"),
                   fmt::format("a mount of the type {} can only be read", mount.type));
    }
    if (mount.append_only && (only_reads || !mount.writable || mount.type == "image")) {
      reader_.fail(*node.find("append"), "a mount that can only be read has no `append`");
    }
  }

  void read_directories() {
    reader_.each_table(node_, "directories", max_directories, [&](const Node& node) {
      reader_.known(node, "a directory", {"host", "guest", "access"});
      Directory directory;
      directory.host = path(node, "host");
      if (directory.host.empty()) reader_.fail(node, "a directory needs `host`: its path there");
      directory.guest = reader_.text(node, "guest", "", max_path);
      if (directory.guest.empty()) {
        reader_.fail(node, "a directory needs `guest`: the path by which the guest names it");
      } else if (!guests_.insert(directory.guest).second) {
        reader_.fail(*node.find("guest"), "another directory has this guest path");
      }
      directory.writable = reader_.word(node, "access", access_words, 0) == 1;
      spec_.directories.push_back(std::move(directory));
    });
  }

  void read_grants() {
    std::set<std::string> guests;
    reader_.each_table(node_, "grants", max_directories, [&](const Node& node) {
      reader_.known(node, "a grant", {"guest", "source", "access"});
      ImageGrant grant;
      grant.guest = reader_.text(node, "guest", "", max_path);
      if (grant.guest.empty()) {
        reader_.fail(node, "a grant needs `guest`: the path that the image asks for");
      } else if (!guests.insert(grant.guest).second) {
        reader_.fail(*node.find("guest"), "this guest path has a grant already");
      }
      grant.source = path(node, "source");
      grant.writable = reader_.word(node, "access", access_words, 1) == 1;
      spec_.grants.push_back(std::move(grant));
    });
  }

  void read_names() {
    spec_.names = texts("names");
    if (spec_.names.size() > max_names) {
      reader_.fail(*node_.find("names"), fmt::format("more than {} names", max_names));
    }
    std::set<std::string_view> seen;
    for (usize i = 0; i < spec_.names.size() && reader_.ok(); ++i) {
      const Node& node = (*node_.find("names")->list())[i];
      if (spec_.names[i].empty() || spec_.names[i].size() > max_guest_name) {
        reader_.fail(node, fmt::format("a name must have 1 to {} bytes", max_guest_name));
      } else if (!seen.insert(spec_.names[i]).second) {
        reader_.fail(node, "this name is there already");
      }
    }
  }

  template <class Limits, usize n>
  static std::vector<std::string_view> keys_of(const Row<Limits> (&rows)[n]) {
    std::vector<std::string_view> keys;
    for (const Row<Limits>& row : rows) keys.push_back(row.key);
    return keys;
  }

  template <class Limits, usize n>
  void read_limits(const Node& node, const Row<Limits> (&rows)[n], Limits& limits) {
    for (const Row<Limits>& row : rows) {
      u64& field = limits.*row.field;
      switch (row.unit) {
        case Quantity::bytes:
        case Quantity::bytes_a_second:
          field = reader_.size(node, row.key, row.low, row.high, field,
                               row.unit == Quantity::bytes_a_second);
          break;
        case Quantity::time:
          field = reader_.time(node, row.key, row.low, field);
          break;
        case Quantity::count:
          field = reader_.integer(node, row.key, row.low, row.high, field);
          break;
      }
    }
  }

  void read_restart() {
    const Node* node = node_.find("restart");
    if (node == nullptr) return;
    RestartRule& rule = spec_.restart;
    if (node->table() == nullptr) {
      rule.when = static_cast<RestartRule::When>(reader_.word(node_, "restart", restart_words, 0));
      return;
    }
    reader_.known(*node, "`restart`", {"when", "intensity", "within", "backoff", "max_backoff"});
    if (node->find("when") == nullptr) {
      reader_.fail(*node, fmt::format("`restart` needs `when`: {}", words_text(restart_words)));
    }
    rule.when = static_cast<RestartRule::When>(reader_.word(*node, "when", restart_words, 0));
    rule.intensity =
        static_cast<u32>(reader_.integer(*node, "intensity", 0, 1'000'000, rule.intensity));
    rule.within = reader_.time(*node, "within", 1, rule.within);
    rule.backoff = reader_.time(*node, "backoff", 0, rule.backoff);
    rule.max_backoff =
        reader_.time(*node, "max_backoff", rule.backoff, std::max(rule.max_backoff, rule.backoff));
  }

  Reader& reader_;
  const Node& node_;
  std::string_view folder_;
  std::set<std::string> guests_;  // paths of directories and mounts
  MachineSpec spec_;
};

template <class Limits, usize n>
nlohmann::ordered_json limits_json(const Limits& limits, const Row<Limits> (&rows)[n]) {
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  for (const Row<Limits>& row : rows) {
    const u64 value = limits.*row.field;
    if (value == unlimited) continue;
    if (row.unit == Quantity::time) {
      result[std::string(row.key)] = time_text(value);
    } else {
      result[std::string(row.key)] = value;
    }
  }
  return result;
}

void check_policy(Reader& reader, const Node& root, MachineFile& file) {
  std::string names;
  for (const policy::Row& row : policy::all()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  }
  file.policy = reader.text(root, "policy", std::string(policy::all().front().name));
  if (policy::find(file.policy) == nullptr) {
    reader.fail(*root.find("policy"),
                fmt::format("there is no policy `{}`; there are {}", file.policy, names));
  }
}

}  // namespace

bool is_machine_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 64 && is_alphanumeric(name[0]) &&
         std::ranges::all_of(
             name, [&](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

MachineSpec read_machine(Reader& reader, const Node& node, std::string_view folder) {
  return SpecReader(reader, node, folder).read();
}

base::Result<MachineFile> read_machine_file(std::string_view name, std::string_view text,
                                            std::string_view folder) {
  const auto document = Document::toml(name, text, max_machine_file);
  if (!document) return document.error();
  const Node& root = document->root();
  Reader reader(*document);
  MachineFile file;
  reader.known(root, "a machine file",
               {"policy", "workers", "machine", "network", "switch", "router"});
  check_policy(reader, root, file);
  file.workers = static_cast<u32>(reader.integer(root, "workers", 1, 256, 0));
  file.topology = read_topology(reader, root);
  std::unordered_map<std::string, u32> lines;
  reader.each_table(root, "machine", max_machines, [&](const Node& node) {
    if (!reader.ok()) return;
    MachineSpec spec = read_machine(reader, node, folder);
    if (const Node* const own = node.find("name"); own != nullptr && reader.ok()) {
      const auto [other, is_new] = lines.emplace(spec.name, own->line);
      if (!is_new) {
        reader.fail(*own, fmt::format("the machine in line {} is called `{}` too", other->second,
                                      spec.name));
      }
    }
    file.machines.push_back(std::move(spec));
  });
  if (file.machines.empty()) reader.fail(root, "there is no [[machine]]");
  if (!reader.ok()) return *reader.error();
  return file;
}

nlohmann::ordered_json to_json(const MachineSpec& spec) {
  nlohmann::ordered_json result = {{"name", spec.name}, {"module", spec.module}};
  for (const ImageGrant& each : spec.grants) {
    nlohmann::ordered_json grant = {{"guest", each.guest}};
    if (!each.source.empty()) grant["source"] = each.source;
    grant["access"] = access_words[each.writable ? 1 : 0];
    result["grants"].push_back(std::move(grant));
  }
  if (!spec.verify.empty()) result["verify"] = spec.verify;
  result["arguments"] = spec.arguments;
  result["environment"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : spec.environment) result["environment"][name] = value;
  result["directories"] = nlohmann::ordered_json::array();
  for (const Directory& each : spec.directories) {
    result["directories"].push_back({{"host", each.host},
                                     {"guest", each.guest},
                                     {"access", access_words[each.writable ? 1 : 0]}});
  }
  result["mounts"] = nlohmann::ordered_json::array();
  for (const Mount& each : spec.mounts) {
    nlohmann::ordered_json mount = {{"type", each.type}, {"guest", each.guest}};
    if (!each.source.empty()) mount["source"] = each.source;
    if (!each.upper.empty()) mount["upper"] = each.upper;
    mount["access"] = access_words[each.writable ? 1 : 0];
    if (each.bytes) mount["size"] = *each.bytes;
    if (each.inodes) mount["inodes"] = *each.inodes;
    for (const auto& [key, field] : mount_flags) {
      if (each.*field) mount[key] = true;
    }
    result["mounts"].push_back(std::move(mount));
  }
  if (!spec.network.empty()) result["net"] = spec.network;
  if (!spec.listeners.empty()) result["listeners"] = spec.listeners;
  for (const NicSpec& each : spec.nics) result["nics"].push_back(to_json(each));
  for (const RouteSpec& each : spec.routes) result["routes"].push_back(to_json(each));
  result["names"] = spec.names;
  const std::pair<const char*, const std::string&> paths[] = {
      {"stdin", spec.input}, {"stdout", spec.output}, {"stderr", spec.error}, {"log", spec.log}};
  for (const auto& [key, path] : paths) {
    if (!path.empty()) result[key] = path;
  }
  result["weight"] = spec.weight;
  result["limits"] = limits_json(spec.limits, machine_rows);
  result["process"] = limits_json(spec.process, process_rows);
  result["process"]["overflow"] = overflow_words[static_cast<u8>(spec.process.overflow)];
  const RestartRule& rule = spec.restart;
  result["restart"] = {{"when", restart_words[static_cast<u8>(rule.when)]},
                       {"intensity", rule.intensity},
                       {"within", time_text(rule.within)},
                       {"backoff", time_text(rule.backoff)},
                       {"max_backoff", time_text(rule.max_backoff)}};
  return result;
}

}  // namespace atollvm::machine
