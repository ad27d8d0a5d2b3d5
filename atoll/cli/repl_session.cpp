#include "cli/repl_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

// What every line's module exports about its layout: the end of the data, and the first address
// after it that a heap may have.
constexpr std::string_view end_global = "global repl__end";
constexpr std::string_view heap_global = "global repl__heap";

std::uint64_t address(const Process& process, std::string_view global) {
  const Result<Value> value = process.global(global);
  return value ? static_cast<std::uint32_t>(value->bits) : 0;
}

std::atomic<Process*> running_line{nullptr};

std::string shown(const Value& value) {
  const bool is_integer = value.type == ValueType::i32 || value.type == ValueType::i64;
  std::string text = to_text(value);
  if (is_integer && value.bits > 9) text += fmt::format(" ({:#x})", value.bits);
  return text;
}

std::string shown(const Variable& variable) {
  return fmt::format("{}: {} = {}\n", variable.name, to_text(variable.type),
                     shown(Value{variable.type, variable.bits}));
}

void print(std::string_view text) { write_all(1, text); }

// A name in the quotes of the language.
std::string quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

bool has_bytes(const Memory& memory, std::uint64_t from) {
  if (from >= memory.size()) return false;
  const auto bytes = memory.bytes(from, memory.size() - from);
  return std::any_of(bytes->begin(), bytes->end(), [](std::uint8_t byte) { return byte != 0; });
}

bool copy(const Memory& from, const Memory& to, std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return true;
  const auto bytes = from.text(begin, end - begin);
  return bytes && to.write(begin, *bytes);
}

// Makes memory 0 of a new process at least `size` bytes large, by its function.
bool grow(Process& process, std::uint64_t size) {
  const auto by = [&process](std::uint64_t units) {
    const Value argument{ValueType::i32, static_cast<std::uint32_t>(units)};
    const Result<Outcome> outcome = process.call("repl grow", std::span(&argument, 1));
    return outcome && outcome->kind == Outcome::Kind::returned;
  };
  const std::uint64_t before = process.memory().size();
  if (before >= size) return true;
  if (!by(1)) return false;
  const std::uint64_t unit = process.memory().size() - before;
  if (unit == 0) return false;
  const std::uint64_t now = process.memory().size();
  return now >= size || (by((size - now + unit - 1) / unit) && process.memory().size() >= size);
}

}  // namespace

bool interrupt_line() noexcept {
  Process* const process = running_line.load();
  if (process != nullptr) process->interrupt();
  return process != nullptr;
}

// --- Sources ---

ReplSession::Line ReplSession::make_line(const std::string& text, std::uint32_t number,
                                         const Form& form) const {
  Line line;
  line.name = fmt::format("<{}>", number);
  line.input_lines = 1 + static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
  line.shows = form.shows;
  const std::vector<Variable> declared = form.shows ? std::vector<Variable>() : declared_in(text);
  // In a block, an input may be a loop without end; but what it declares would end there.
  line.takes_one = declared.empty() && !form.shows;
  const auto is_declared = [&declared](const Variable& variable) {
    return std::any_of(declared.begin(), declared.end(),
                       [&](const Variable& each) { return each.name == variable.name; });
  };
  std::string parameters = line.takes_one ? "repl__one: i32" : "";
  for (const Variable& each : variables_) {
    if (is_declared(each)) continue;
    parameters +=
        fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", each.name, to_text(each.type));
    line.variables.push_back(each);
  }
  line.variables.insert(line.variables.end(), declared.begin(), declared.end());
  std::string types;
  std::string values;
  const auto add_result = [&](std::string_view name, ValueType type) {
    types += fmt::format("{} {}", types.empty() ? " ->" : ",", to_text(type));
    values += fmt::format("{} {}", values.empty() ? "" : ",", name);
  };
  for (const Variable& each : line.variables) add_result(each.name, each.type);
  if (form.shows) add_result("repl__value", *form.shows);
  line.text = fmt::format("export \"repl line\" func repl__line({}){} {{\n", parameters, types);
  std::string after = "\n";
  if (form.shows) {
    line.text += fmt::format("var repl__value: {}\nmov repl__value, {}\n", to_text(*form.shows),
                             form.in_parentheses ? "(" : "");
    if (form.in_parentheses) after = "\n)\n";
  } else if (line.takes_one) {
    line.text += "if repl__one {\n";
    after = "\n}\n";
  }
  line.lines_before =
      static_cast<std::uint32_t>(std::count(line.text.begin(), line.text.end(), '\n'));
  line.text += text + after + "ret" + values + "\n}\n";
  for (const Chunk& chunk : chunks_) line.text += "use " + quote(chunk.source) + "\n";
  if (!has_memory_) line.text += "memory 65536\n";
  line.text +=
      "reserve repl__after 0 align 1\n"
      "global repl__end: i32 = repl__after\n"
      "global repl__heap: i32 = heap_base\n"
      "export \"repl grow\" func repl__grow(n: i32) -> i32 { ret (memory.grow n) }\n";
  return line;
}

tools::Assembly ReplSession::assemble_source(const std::string& name, const std::string& text,
                                             bool line_table) const {
  tools::AssembleOptions options;
  options.open = true;
  options.line_table = line_table;
  options.reader = [this, &name](std::string_view from,
                                 std::string_view wanted) -> std::optional<Source> {
    const auto is_chunk = [this](std::string_view source) {
      return std::find_if(chunks_.begin(), chunks_.end(),
                          [&](const Chunk& chunk) { return chunk.source == source; });
    };
    if (const auto chunk = is_chunk(wanted); from == name && chunk != chunks_.end()) {
      return Source{chunk->source, chunk->text};
    }
    if (is_chunk(from) != chunks_.end()) from = {};
    const std::string key = std::string(from) + '\n' + std::string(wanted);
    if (const auto known = files_.find(key); known != files_.end()) return known->second;
    std::optional<Source> read = read_source_file(from, wanted);
    if (read) files_.emplace(key, *read);
    return read;
  };
  return tools::assemble({name, text}, options);
}

ReplSession::Attempt ReplSession::assemble(const std::string& text, std::uint32_t number,
                                           const Form& form) const {
  Attempt attempt{make_line(text, number, form), {}};
  attempt.assembly = assemble_source(attempt.line.name, attempt.line.text, true);
  for (Diagnostic& each : attempt.assembly.diagnostics) {
    if (each.file != attempt.line.name) continue;
    each.line -= std::min(each.line, attempt.line.lines_before);
    each.line = std::clamp(each.line, 1u, attempt.line.input_lines);
  }
  return attempt;
}

// The attempt that is right, or the one that was right for longest.
ReplSession::Attempt ReplSession::assemble_value(const std::string& text, std::uint32_t number,
                                                 std::span<const ValueType> types) const {
  std::optional<Attempt> best;
  const auto place = [](const Attempt& attempt) {
    const Diagnostic& first = attempt.assembly.diagnostics.front();
    return std::pair(first.line, first.column);
  };
  for (const ValueType type : types) {
    for (const bool in_parentheses : {false, true}) {
      Attempt attempt = assemble(text, number, {type, in_parentheses});
      if (attempt.assembly.ok()) return attempt;
      if (!best || place(attempt) > place(*best)) best = std::move(attempt);
    }
  }
  return *std::move(best);
}

ReplSession::Attempt ReplSession::assemble_any(const std::string& text,
                                               std::uint32_t number) const {
  constexpr std::array numbers = {ValueType::i32, ValueType::i64, ValueType::f64, ValueType::f32};
  if (!declared_in(text).empty()) return assemble(text, number, {});
  Attempt value = assemble_value(text, number, numbers);
  if (value.assembly.ok()) return value;
  Attempt statement = assemble(text, number, {});
  if (statement.assembly.ok()) return statement;
  const Diagnostic& x = statement.assembly.diagnostics.front();
  const Diagnostic& y = value.assembly.diagnostics.front();
  return std::pair(y.line, y.column) > std::pair(x.line, x.column) ? value : statement;
}

void ReplSession::complain_about(Attempt attempt) {
  std::string text;
  for (const Diagnostic& each : attempt.assembly.diagnostics) {
    text += to_text(each, color_on_error());
  }
  write_all(2, text);
}

// --- Running ---

// Copies memory and globals of the process of the lines before. `moved`: the data need more room
// than before and what lies behind them is in use, so that nothing was copied.
bool ReplSession::bring_state(Process& process, bool anew, bool& moved) const {
  // This runs what runs before all else.
  const Value nothing{ValueType::i32, 0};
  const Result<Outcome> started = process.call("repl grow", std::span(&nothing, 1));
  if (!started || started->kind != Outcome::Kind::returned) return false;
  if (anew || !process_) return true;
  const std::uint64_t heap = address(*process_, heap_global);
  if (heap != address(process, heap_global) && has_bytes(process_->memory(), heap)) {
    moved = true;
    return true;
  }
  const Memory from = process_->memory();
  if (!grow(process, from.size())) return false;
  // What is new in the data keeps its first value.
  const Memory to = process.memory();
  if (!copy(from, to, 0, address(*process_, end_global)) ||
      !copy(from, to, address(process, end_global), from.size())) {
    return false;
  }
  for (std::uint32_t i = 1; i < memories_; ++i) {
    const Memory further = process_->memory(i);
    const Memory copied = process.memory(i);
    if (!copy(further, copied, 0, std::min(further.size(), copied.size()))) return false;
  }
  for (const std::string& name : globals_) {
    if (name == heap_global || name == end_global) continue;
    const Result<Value> value = process_->global(name);
    // It refuses what can't be carried over: references, and globals that never change.
    if (value) (void)process.set_global(name, *value);
  }
  return true;
}

bool ReplSession::finished(const Result<Outcome>& outcome, const Line& line) const {
  if (!outcome) {
    complain(printable(outcome.error().text()));
    return false;
  }
  std::vector<TraceFrame> trace = outcome->trace;
  for (TraceFrame& frame : trace) {
    if (frame.name == "repl__line") frame.name = "the input";
    const std::string prefix = line.name + ":";
    if (!frame.location.starts_with(prefix)) continue;
    const std::string place = frame.location.substr(prefix.size());
    const size_t colon = std::min(place.find(':'), place.size());
    std::uint32_t number = 0;
    for (const char c : place.substr(0, colon)) {
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    number -= std::min(number, line.lines_before);
    frame.location = fmt::format("{}{}{}", prefix, std::clamp(number, 1u, line.input_lines),
                                 place.substr(colon));
  }
  switch (outcome->kind) {
    case Outcome::Kind::returned:
      return true;
    case Outcome::Kind::exited:
      complain(fmt::format("the line ended the process with exit code {}; it changes nothing",
                           outcome->exit_code));
      return false;
    case Outcome::Kind::trapped:
      complain(fmt::format("trap: {}{}", to_text(outcome->trap), trace_text(trace)));
      return false;
    default:
      complain(fmt::format("{}{}", to_text(outcome->trap), trace_text(trace)));
      return false;
  }
}

std::optional<std::vector<Value>> ReplSession::execute(const Attempt& attempt, bool anew) {
  const Result<Module> module = Module::load(engine_, attempt.assembly.bytes);
  if (!module) {
    complain(printable(module.error().text()));
    return std::nullopt;
  }
  Result<Process> made = Process::create(engine_, *module, process_options_);
  if (!made) {
    complain(printable(made.error().text()));
    return std::nullopt;
  }
  auto process = std::make_unique<Process>(*std::move(made));
  bool moved = false;
  running_line.store(process.get());
  if (!bring_state(*process, anew, moved)) {
    running_line.store(nullptr);
    complain("memory and globals of the lines before could not be taken over");
    return std::nullopt;
  }
  std::vector<Value> arguments;
  if (attempt.line.takes_one) arguments.push_back({ValueType::i32, 1});
  for (const Variable& each : variables_) {
    const bool is_kept = std::any_of(
        attempt.line.variables.begin(), attempt.line.variables.end(),
        [&](const Variable& after) { return after.name == each.name && !after.declared; });
    if (is_kept) arguments.push_back({each.type, each.bits});
  }
  const Result<Outcome> outcome = process->call("repl line", arguments);
  running_line.store(nullptr);
  if (!finished(outcome, attempt.line)) {
    // Its host calls may still be under way: taking it down would wait for them.
    if (outcome && (outcome->kind == Outcome::Kind::time_limit ||
                    outcome->kind == Outcome::Kind::interrupted)) {
      stuck_ = true;
      (void)process.release();
    }
    return std::nullopt;
  }
  if (moved || (anew && process_)) {
    complain("the data of memory 0 have moved: memory and globals start anew");
  }
  std::vector<Value> results = process->results();
  const ModuleInfo info = module->info();
  memories_ = static_cast<std::uint32_t>(info.memories.size());
  globals_.clear();
  for (const ExportInfo& each : info.exports) {
    if (each.name.starts_with("global ")) globals_.push_back(each.name);
  }
  process_ = std::move(process);
  return results;
}

void ReplSession::run_line(const Attempt& attempt) {
  const auto results = execute(attempt, false);
  if (!results) return;
  std::vector<Variable> after = attempt.line.variables;
  std::string text;
  for (size_t i = 0; i < after.size(); ++i) {
    after[i].bits = (*results)[i].bits;
    const auto before = std::find_if(variables_.begin(), variables_.end(),
                                     [&](const Variable& x) { return x.name == after[i].name; });
    const bool is_new = after[i].declared || before == variables_.end();
    if (is_new || before->bits != after[i].bits) text += shown(after[i]);
    after[i].declared = false;
  }
  if (attempt.line.shows) {
    text += fmt::format("{}: {}\n", shown(results->back()), to_text(*attempt.line.shows));
  }
  variables_ = std::move(after);
  print(text);
}

// --- Inputs ---

bool ReplSession::define(Chunk chunk) {
  if (chunk.definition.kind == "start" || chunk.definition.kind == "module") {
    complain(fmt::format("`{}` has no place here", chunk.definition.kind));
    return false;
  }
  const std::vector<Chunk> chunks = chunks_;
  const bool had_memory = has_memory_;
  const auto same = std::find_if(chunks_.begin(), chunks_.end(), [&](const Chunk& each) {
    return !chunk.definition.name.empty() && chunk.definition.kind != "use" &&
           each.definition.name == chunk.definition.name &&
           each.definition.kind == chunk.definition.kind;
  });
  bool anew = false;
  if (same == chunks_.end()) {
    chunks_.push_back(std::move(chunk));
  } else {
    constexpr std::string_view in_memory[] = {"data",   "reserve", "global",
                                              "memory", "table",   "elem"};
    anew = std::find(std::begin(in_memory), std::end(in_memory), chunk.definition.kind) !=
           std::end(in_memory);
    *same = std::move(chunk);
  }
  has_memory_ = false;
  Attempt attempt = assemble("", 0, {});
  if (attempt.assembly.ok()) {
    // With the memory that is there for those who have none.
    const Result<Module> module = Module::load(engine_, attempt.assembly.bytes);
    has_memory_ = module && module->info().memories.size() > 1;
    if (has_memory_) attempt = assemble("", 0, {});
  }
  if (attempt.assembly.ok() && execute(attempt, anew)) return true;
  if (!attempt.assembly.ok()) complain_about(std::move(attempt));
  chunks_ = chunks;
  has_memory_ = had_memory;
  return false;
}

void ReplSession::run(const std::string& text, std::uint32_t number) {
  Definition definition = definition_in(text);
  if (!definition.kind.empty()) {
    define({fmt::format("<{}>", number), text, std::move(definition)});
    return;
  }
  Attempt attempt = assemble_any(text, number);
  if (attempt.assembly.ok()) {
    run_line(attempt);
  } else {
    complain_about(std::move(attempt));
  }
}

bool ReplSession::use_file(const std::string& path) {
  return define({"<" + path + ">", "use " + quote(path) + "\n", {"use", ""}});
}

void ReplSession::show_variables() const {
  std::string text;
  for (const Variable& each : variables_) text += shown(each);
  print(text);
}

void ReplSession::show_memory(const std::string& address, std::uint64_t length,
                              std::uint32_t number) {
  constexpr std::array types = {ValueType::i32};
  Attempt attempt = assemble_value(address, number, types);
  if (!attempt.assembly.ok()) {
    complain_about(std::move(attempt));
    return;
  }
  const auto results = execute(attempt, false);
  if (!results) return;
  const std::uint64_t begin = static_cast<std::uint32_t>(results->back().bits);
  const Memory memory = process_->memory();
  if (begin > memory.size() || length > memory.size() - begin) {
    complain(fmt::format("memory has {} bytes", memory.size()));
    return;
  }
  std::string text;
  for (std::uint64_t row = 0; row < length; row += 16) {
    const std::uint64_t count = std::min<std::uint64_t>(16, length - row);
    const auto bytes = memory.bytes(begin + row, count);
    text += fmt::format("{:08x} ", begin + row);
    std::string characters;
    for (std::uint64_t i = 0; i < 16; ++i) {
      if (i % 8 == 0) text += ' ';
      text += i < count ? fmt::format("{:02x} ", (*bytes)[i]) : "   ";
      if (i >= count) continue;
      const std::uint8_t byte = (*bytes)[i];
      characters += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
    }
    text += " |" + characters + "|\n";
  }
  print(text);
}

void ReplSession::disassemble(const std::string& function) const {
  const Line line = make_line("", 0, {});
  const tools::Assembly assembly = assemble_source(line.name, line.text, false);
  const Result<std::string> all = tools::disassemble(assembly.bytes);
  if (!all) {
    complain(printable(all.error().text()));
    return;
  }
  for (size_t at = 0; (at = all->find("\nraw func ", at)) != all->npos; ++at) {
    const size_t end_of_head = all->find('(', at);
    const size_t name = all->rfind(' ', end_of_head) + 1;
    if (all->substr(name, end_of_head - name) != function) continue;
    const size_t end = std::min(all->find("\n}\n", at), all->size() - 3);
    print(all->substr(at + 1, end + 2 - at));
    return;
  }
  complain(fmt::format("there is no function `{}`", printable(function)));
}

void ReplSession::reset() {
  chunks_.clear();
  variables_.clear();
  globals_.clear();
  files_.clear();
  memories_ = 0;
  has_memory_ = false;
  process_.reset();
}

}  // namespace atollvm::cli
