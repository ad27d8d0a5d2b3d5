#include "rules.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace {

constexpr std::size_t most_reason = 60;          // bytes
constexpr std::uintmax_t most_source = 1 << 20;  // bytes
constexpr std::int32_t missing = -44;

// A record as one call of a rule sees it. A rule may keep a handle, but not what it stands for.
struct Record : atollvm::HostObject {
  explicit Record(const Fields& all) : fields(&all) {}
  const Fields* fields;  // null when the call is over
};

// A field's value; null: there is none.
atollvm::Result<const std::string*> find(const std::shared_ptr<Record>& record,
                                         std::string_view name) {
  if (record->fields == nullptr) {
    return atollvm::Error{atollvm::ErrorCode::denied, "record", "it was of a call before"};
  }
  const auto found = record->fields->find(name);
  return found == record->fields->end() ? nullptr : &found->second;
}

std::int64_t number_of(const std::string& text) {
  const auto value = atollvm::parse_value(atollvm::ValueType::i64, text);
  return value ? static_cast<std::int64_t>(value->bits) : 0;
}

// Of a file; another file or other contents give another one.
using Stamp = std::array<std::int64_t, 5>;
std::optional<Stamp> stamp_of(const std::filesystem::path& file) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return Stamp{static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size),
               status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_nsec};
}

std::optional<std::string> contents(const std::filesystem::path& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(input), {}};
  return input.bad() ? std::nullopt : std::optional(std::move(text));
}

}  // namespace

// Whether something happened to the files of a directory.
class Rules::Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { end(); }

  // Something may have changed since the last time: the first time, and always where the system
  // does not tell.
  bool changed(const std::filesystem::path& directory) {
    if (descriptor_ < 0) {
      descriptor_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
      constexpr std::uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
      if (inotify_add_watch(descriptor_, directory.c_str(), events) < 0) end();
      return true;
    }
    bool any = false;
    bool gone = false;
    alignas(inotify_event) char buffer[4096];
    for (ssize_t size = 0; (size = read(descriptor_, buffer, sizeof buffer)) > 0; any = true) {
      inotify_event event;
      for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(sizeof event + event.len)) {
        std::memcpy(&event, buffer + at, sizeof event);
        gone = gone || (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
      }
    }
    if (gone) end();  // another of that name may come
    return any;
  }

 private:
  void end() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
  }
  int descriptor_ = -1;
};

// One version of a rule: a module, and the process that it runs in.
class Rules::Script {
 public:
  // Errors: what is wrong with the script, in lines for its author.
  static std::variant<std::shared_ptr<Script>, std::string> make(const atollvm::Engine& engine,
                                                                 const std::string& name,
                                                                 std::string text,
                                                                 const RuleLimits& limits) {
    std::vector<atollvm::Diagnostic> mistakes;
    auto module = atollvm::Module::assemble(engine, {name, std::move(text)},
                                            atollvm::no_source_files, &mistakes);
    if (!module) {
      if (mistakes.empty()) return module.error().text() + '\n';
      std::string all;
      for (std::size_t i = 0; i < std::min<std::size_t>(mistakes.size(), 3); ++i) {
        all += to_text(mistakes[i], false);
      }
      return all;
    }
    std::shared_ptr<Script> script(new Script(engine, std::move(*module), limits));
    if (auto started = script->start(); !started)
      return name + ": " + started.error().text() + '\n';
    return script;
  }

  // Errors: as Function's; the next call begins anew, with nothing of what the rule had kept.
  atollvm::Result<Verdict> judge(const Fields& fields) {
    if (!process_) {
      if (auto started = start(); !started) return started.error();
    }
    // As much for each call, whatever those before have left.
    process_->add_fuel(process_->stats().fuel_used.value_or(0) - fuel_refilled_);
    fuel_refilled_ = process_->stats().fuel_used.value_or(0);
    reason_.clear();
    const auto record = std::make_shared<Record>(fields);
    const auto handle = process_->insert(record);
    if (!handle) return handle.error();
    const auto points = (*judge_)(*handle);
    record->fields = nullptr;
    if (!points) {
      judge_.reset();
      process_.reset();
      return points.error();
    }
    process_->close(*handle);
    return Verdict{"", *points, reason_};
  }

 private:
  using Judge = std::int32_t(std::uint32_t);

  Script(const atollvm::Engine& engine, atollvm::Module module, const RuleLimits& limits)
      : engine_(engine), module_(std::move(module)) {
    options_.limits.fuel = limits.fuel;
    options_.limits.time = limits.time;
    options_.limits.memory_bytes = limits.memory_bytes;
    options_.limits.stack_bytes = 64 << 10;
    options_.limits.handles = 8;
    options_.imports
        .define("record", "has",
                [](const std::shared_ptr<Record>& record,
                   std::string_view name) -> atollvm::Result<bool> {
                  const auto found = find(record, name);
                  if (!found) return found.error();
                  return *found != nullptr;
                })
        .define("record", "number",
                [](const std::shared_ptr<Record>& record,
                   std::string_view name) -> atollvm::Result<std::int64_t> {
                  const auto found = find(record, name);
                  if (!found) return found.error();
                  return *found == nullptr ? 0 : number_of(**found);
                })
        .define("record", "text",
                [](const std::shared_ptr<Record>& record, std::string_view name,
                   std::span<std::uint8_t> into) -> atollvm::Result<std::int32_t> {
                  const auto found = find(record, name);
                  if (!found) return found.error();
                  if (*found == nullptr) return missing;
                  const std::string& text = **found;
                  std::copy_n(text.begin(), std::min(text.size(), into.size()), into.begin());
                  return static_cast<std::int32_t>(text.size());
                })
        .define("verdict", "say", [this](std::string_view text) {
          if (!reason_.empty()) reason_ += ", ";
          for (const char each : text) {  // what a guest says may be anything
            if (reason_.size() == most_reason) return;
            reason_ += each >= ' ' && each <= '~' ? each : '?';
          }
        });
  }

  atollvm::Result<std::monostate> start() {
    auto process = atollvm::Process::create(engine_, module_, options_);
    if (!process) return process.error();
    const auto judge = process->function<Judge>("judge");
    if (!judge) return judge.error();
    process_.emplace(std::move(*process));
    judge_ = *judge;
    fuel_refilled_ = 0;
    return std::monostate();
  }

  atollvm::Engine engine_;
  atollvm::Module module_;
  atollvm::ProcessOptions options_;
  std::string reason_;
  std::optional<atollvm::Process> process_;  // none after it was stopped
  std::optional<atollvm::Function<Judge>> judge_;
  std::uint64_t fuel_refilled_ = 0;
};

struct Rules::Rule {
  Stamp stamp{};
  std::shared_ptr<Script> script;  // null: there was none yet that can be used
  int failures = 0;                // of this script
};

Rules::Rules(std::filesystem::path directory, const RuleLimits& limits,
             std::function<void(const std::string&)> tell)
    : directory_(std::move(directory)),
      limits_(limits),
      tell_(std::move(tell)),
      watch_(std::make_unique<Watch>()) {}
Rules::~Rules() = default;

void Rules::refresh(bool all) {
  if (!watch_->changed(directory_) && !all) return;
  std::error_code error;
  std::map<std::string, Stamp> files;
  for (auto entry = std::filesystem::directory_iterator(directory_, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() != ".atoll") continue;
    if (const auto stamp = stamp_of(entry->path())) files[entry->path().filename()] = *stamp;
  }
  if (error) {
    tell_(directory_.string() + ": " + error.message() + "; the rules stay as they are\n");
    return;
  }
  for (auto rule = rules_.begin(); rule != rules_.end();) {
    if (files.contains(rule->first)) {
      ++rule;
      continue;
    }
    tell_(rule->first + ": gone\n");
    rule = rules_.erase(rule);
  }
  for (const auto& [name, stamp] : files) {
    const auto [rule, is_new] = rules_.try_emplace(name);
    if (!is_new && !all && rule->second.stamp == stamp) continue;
    rule->second.stamp = stamp;
    const bool had_one = rule->second.script != nullptr;
    const auto text = stamp[1] <= static_cast<std::int64_t>(most_source)
                          ? contents(directory_ / name)
                          : std::nullopt;
    auto made = text ? Script::make(engine_, name, *text, limits_)
                     : std::variant<std::shared_ptr<Script>, std::string>(
                           name + ": can't be read, or is too large\n");
    if (auto* script = std::get_if<0>(&made)) {
      rule->second.script = std::move(*script);
      rule->second.failures = 0;
      tell_(name + (had_one ? ": changed\n" : ": loaded\n"));
    } else {
      tell_(std::get<1>(made) + name + (had_one ? ": the version before stays\n" : ": not used\n"));
    }
  }
}

std::vector<Verdict> Rules::judge(const Fields& record) {
  std::vector<Verdict> verdicts;
  for (auto& [name, rule] : rules_) {
    if (rule.script == nullptr || rule.failures >= limits_.failures) continue;
    const std::shared_ptr<Script> script = rule.script;  // however long the call takes
    auto verdict = script->judge(record);
    if (!verdict) {
      ++rule.failures;
      tell_(name + ": stopped: " + verdict.error().text() +
            (rule.failures < limits_.failures ? "\n" : "; switched off until it changes\n"));
      continue;
    }
    if (verdict->points == 0) continue;
    verdict->rule = name.substr(0, name.rfind('.'));
    verdicts.push_back(std::move(*verdict));
  }
  return verdicts;
}
