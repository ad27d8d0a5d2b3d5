#include "tests/conformance/script.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "assembler/wasm/wasm.hpp"
#include "tests/conformance/spectest.hpp"
#include "tests/conformance/values.hpp"
#include "vm/interp/interp.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::conformance {

namespace {

using base::Error;
using base::ErrorCode;
using mod::ExternKind;
using nlohmann::json;
using runtime::Outcome;
using runtime::Process;
namespace fs = std::filesystem;

const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::limit:
      return "beyond a limit";
    default:
      return "refused";
  }
}

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The specification's texts are prefixes of what an implementation says; a few also name an index.
bool says(std::string_view actual, const std::string& expected) {
  return actual.starts_with(expected) || (!actual.empty() && expected.starts_with(actual));
}

// Stops the process that runs now when the alarm goes off.
std::atomic<Process*> running{nullptr};
std::atomic<bool> is_late{false};
void on_alarm(int) {
  is_late.store(true);
  if (Process* process = running.load()) process->preempt();
}

// What an action or an instantiation led to.
struct Ending {
  enum class Kind : u8 { values, trapped, refused };
  Kind kind = Kind::refused;
  std::vector<u64> values;
  std::vector<std::string> types;  // of the values
  std::string text;                // the trap's, or why it was refused

  [[nodiscard]] std::string describe() const {
    if (kind == Kind::trapped) return "trap: " + text;
    if (kind == Kind::refused) return text;
    if (values.empty()) return "no value";
    std::string all;
    for (usize i = 0; i < values.size(); ++i) {
      all += (i == 0 ? "" : ", ") + text_of(types[i], values[i]);
    }
    return all;
  }
};

Ending trapped(std::string_view text) { return {Ending::Kind::trapped, {}, {}, std::string(text)}; }
Ending refused(std::string text) { return {Ending::Kind::refused, {}, {}, std::move(text)}; }

std::string type_name(mod::ValType type) {
  switch (type) {
    case mod::ValType::i32:
      return "i32";
    case mod::ValType::i64:
      return "i64";
    case mod::ValType::f32:
      return "f32";
    case mod::ValType::f64:
      return "f64";
    case mod::ValType::funcref:
      return "funcref";
    default:
      return "externref";
  }
}

class Runner {
 public:
  Runner(std::unique_ptr<Process> process, fs::path folder, const RunOptions& options)
      : process_(std::move(process)), folder_(std::move(folder)), options_(options) {
    process_->name_instance("spectest", 0);
  }

  void run(const json& command) {
    line_ = 0;
    kind_ = "unreadable";
    try {
      line_ = command.at("line");
      kind_ = command.at("type");
      if (kind_ == "module") return module(command);
      if (kind_ == "register") return name_module(command);
      if (kind_ == "action") return action(command);
      if (kind_ == "assert_return") return assert_return(command);
      if (kind_ == "assert_trap" && command.contains("action")) return assert_trap(command);
      if (kind_ == "assert_exhaustion") return assert_trap(command);
      if (kind_ == "assert_invalid") return assert_refused(command, ErrorCode::invalid);
      if (kind_ == "assert_malformed") return assert_refused(command, ErrorCode::malformed);
      if (kind_ == "assert_unlinkable") return assert_unlinkable(command);
      if (kind_ == "assert_uninstantiable" || kind_ == "assert_trap") {
        return assert_uninstantiable(command);
      }
      report.leave_out(kind_, "a directive that this program does not know");
    } catch (const std::exception& error) {
      report.fail(line_, kind_, error.what());
    }
  }

  Report report;

 private:
  // --- Directives -----------------------------------------------------------------------------

  void module(const json& command) {
    current_.reset();
    const std::string name = command.value("name", "");
    if (!name.empty()) names_.erase(name);
    const auto program = load(command);
    if (!program) return fail(program.error().text());
    u32 instance = 0;
    const Ending ending = instantiate(*program, instance);
    if (ending.kind != Ending::Kind::values) return fail(ending.describe());
    current_ = instance;
    if (!name.empty()) names_[name] = instance;
    pass();
  }

  void name_module(const json& command) {
    const std::optional<u32> instance = find_instance(command, "name");
    if (!instance) return fail("no such module");
    process_->name_instance(command.at("as"), *instance);
    pass();
  }

  void action(const json& command) {
    const Ending ending = act(command.at("action"));
    if (ending.kind != Ending::Kind::values) return fail(ending.describe());
    pass();
  }

  void assert_return(const json& command) {
    const Ending ending = act(command.at("action"));
    const json& expected = command.at("expected");
    bool same = ending.kind == Ending::Kind::values && ending.values.size() == expected.size();
    std::string wanted;
    for (usize i = 0; i < expected.size(); ++i) {
      same = same && expected[i].at("type") == ending.types[i] &&
             matches(expected[i], ending.values[i]);
      wanted += (i == 0 ? "" : ", ") + text_of(expected[i]);
    }
    if (wanted.empty()) wanted = "no value";
    if (!same) return fail("expected " + wanted + ", got " + ending.describe());
    pass();
  }

  void assert_trap(const json& command) { check_trap(command, act(command.at("action"))); }

  // The module must not get past validation, for the right kind of reason.
  void assert_refused(const json& command, ErrorCode wanted) {
    if (is_text(command)) return;
    const auto bytes = read_module(command);
    if (!bytes) return fail(bytes.error().text());
    const auto translated = translate(*bytes);
    const std::string text = command.at("text");
    if (translated.ok()) return fail("accepted, expected \"" + text + "\"");
    const Error& error = translated.error();
    if (error.code != wanted || error.message.empty()) {
      return fail(fmt::format("expected {} (\"{}\"), but it is {}: {}", name_of(wanted), text,
                              name_of(error.code), error.text()));
    }
    pass();
  }

  void assert_unlinkable(const json& command) {
    if (is_text(command)) return;
    const auto program = load(command);
    if (!program) return fail(program.error().text());
    const u32 before = process_->instance_count();
    const auto added = process_->add_instance(*program);
    const std::string text = command.at("text");
    if (added.ok()) return fail("instantiated, expected \"" + text + "\"");
    if (!says(added.error().message, text) || process_->instance_count() != before) {
      return fail("expected \"" + text + "\", got " + added.error().text());
    }
    pass();
  }

  void assert_uninstantiable(const json& command) {
    if (is_text(command)) return;
    const auto program = load(command);
    if (!program) return fail(program.error().text());
    u32 instance = 0;
    check_trap(command, instantiate(*program, instance));
  }

  void check_trap(const json& command, const Ending& ending) {
    const std::string text = command.at("text");
    if (ending.kind != Ending::Kind::trapped || !says(ending.text, text)) {
      return fail("expected trap: " + text + ", got " + ending.describe());
    }
    pass();
  }

  // --- Their parts ------------------------------------------------------------------------------

  void pass() { report.pass(kind_); }
  void fail(std::string what) { report.fail(line_, kind_, std::move(what)); }

  // Modules given as text are about the text format, which is wabt's to read.
  bool is_text(const json& command) {
    if (command.at("module_type") != "text") return false;
    report.leave_out(kind_, "a module in the text format");
    return true;
  }

  base::Result<std::string> read_module(const json& command) {
    const std::string name = command.at("filename");
    auto bytes = read_file(folder_ / name);
    if (!bytes) return Error{ErrorCode::io, name, "cannot be read"};
    return *std::move(bytes);
  }

  static base::Result<mod::Module> translate(const std::string& bytes) {
    return wasm::translate({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
  }

  base::Result<std::shared_ptr<const runtime::Program>> load(const json& command) {
    auto bytes = read_module(command);
    if (!bytes) return std::move(bytes).error();
    auto translated = translate(*bytes);
    if (!translated) return std::move(translated).error();
    auto verified = verify::verify(*std::move(translated));
    if (!verified) {
      Error error = std::move(verified).error();
      error.message = "the verifier refuses what the translator made: " + error.message;
      return error;
    }
    return runtime::Program::make(*std::move(verified));
  }

  // Instantiates and runs the start function.
  Ending instantiate(const std::shared_ptr<const runtime::Program>& program, u32& instance) {
    const u32 before = process_->instance_count();
    const auto added = process_->add_instance(program);
    if (process_->instance_count() > before) note_strategy(process_->instance(before));
    if (!added) {
      // What is left behind was instantiated up to a segment that traps.
      const bool is_trap = process_->instance_count() > before;
      return is_trap ? trapped(added.error().message) : refused(added.error().text());
    }
    instance = *added;
    if (!program->module().start) return {Ending::Kind::values, {}, {}, {}};
    return call(instance, *program->module().start, {});
  }

  void note_strategy(const runtime::Instance& instance) {
    if (instance.memories.empty()) return report.strategies["without memory"].push_back(line_);
    const bool guarded = instance.memories[0]->strategy() == runtime::MemoryStrategy::guarded;
    report.strategies[guarded ? "guarded" : "checked"].push_back(line_);
    if (instance.memories[0]->strategy() != options_.memory) {
      report.fail(line_, kind_, "its memory is not of the strategy that was asked for");
    }
  }

  std::optional<u32> find_instance(const json& object, const char* key) const {
    if (!object.contains(key)) return current_;
    const auto found = names_.find(object.at(key));
    return found == names_.end() ? std::nullopt : std::optional(found->second);
  }

  Ending act(const json& action) {
    const std::optional<u32> instance = find_instance(action, "module");
    if (!instance) return refused("no module to act on");
    const runtime::Program& program = *process_->instance(*instance).program;
    const std::string field = action.at("field");
    if (action.at("type") == "get") {
      const auto global = program.find_export(field, ExternKind::global);
      if (!global) return refused("no exported global \"" + field + "\"");
      return {Ending::Kind::values,
              {process_->instance(*instance).global(*global)->low},
              {type_name(program.global_type(*global).type)},
              {}};
    }
    if (action.at("type") != "invoke") return refused("an unknown action");
    const auto function = program.find_export(field, ExternKind::function);
    if (!function) return refused("no exported function \"" + field + "\"");
    std::vector<u64> arguments;
    for (const json& argument : action.at("args")) arguments.push_back(slot_of(argument));
    return call(*instance, *function, arguments);
  }

  Ending call(u32 instance, u32 function, const std::vector<u64>& arguments) {
    const runtime::Program& program = *process_->instance(instance).program;
    base::Status prepared = process_->prepare(function, arguments, instance);
    if (!prepared) return refused(prepared.error().text());
    is_late.store(false);
    running.store(process_.get());
    alarm(options_.seconds);
    const Outcome outcome = options_.stress == nullptr
                                ? options_.tier(*process_)
                                : options_.stress->run(*process_, [] { return is_late.load(); });
    alarm(0);
    running.store(nullptr);
    switch (outcome.kind) {
      case Outcome::Kind::finished: {
        Ending ending{Ending::Kind::values, {}, {}, {}};
        ending.values.assign(process_->results().begin(), process_->results().end());
        for (const mod::ValType type : program.module().types[program.type_of(function)].results) {
          ending.types.push_back(type_name(type));
        }
        return ending;
      }
      case Outcome::Kind::trapped:
        return trapped(runtime::text(outcome.trap));
      case Outcome::Kind::preempted:
        process_->stop(runtime::Trap::time_limit);
        return refused(fmt::format("still running after {} seconds", options_.seconds));
      default:
        return refused("it stopped in a way that no guest of a script can");
    }
  }

  std::unique_ptr<Process> process_;
  fs::path folder_;
  RunOptions options_;
  std::optional<u32> current_;        // the last module's instance
  std::map<std::string, u32> names_;  // of modules in the script, "$M"
  u64 line_ = 0;
  std::string kind_;
};

}  // namespace

base::Result<Report> run_script(const fs::path& file, const RunOptions& how) {
  struct sigaction action{};
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, nullptr);

  const auto text = read_file(file);
  if (!text) return Error{ErrorCode::io, file.string(), "cannot be read"};
  const json script = json::parse(*text, nullptr, false);
  if (!script.is_object() || !script.contains("commands")) {
    return Error{ErrorCode::malformed, file.string(), "is not what wast2json makes of a script"};
  }
  // All modules of a script live to its end.
  runtime::Options options;
  options.memory = how.memory;
  options.limits.memory_bytes = u64{1} << 40;
  options.limits.table_elements = 100'000'000;
  if (how.counts_fuel) options.limits.fuel = u64{1} << 60;
  auto process = Process::create(make_spectest(), options);
  if (!process) return std::move(process).error();
  Runner runner(*std::move(process), file.parent_path(), how);
  for (const json& command : script.at("commands")) runner.run(command);
  return std::move(runner.report);
}

}  // namespace atollvm::conformance
