// What `atoll repl` holds: definitions, variables, and a process with the memory and globals.
//
// Every line becomes a function of a module that is assembled anew, together with all definitions.
// It takes the variables as arguments and gives them as results, in a new process that memory and
// globals are copied to. When all went well, the new process takes the place of the old one: a line
// that fails changes nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/engine.hpp>
#include <atoll/process.hpp>
#include <atoll/tools.hpp>

#include "cli/repl_text.hpp"

namespace atollvm::cli {

class ReplSession {
 public:
  ReplSession(const EngineOptions& engine, const ProcessOptions& process)
      : engine_(engine), process_options_(process) {}

  // Runs a definition, statement or expression, and shows what it gives. `number` is the input's,
  // for places: "<3>:1:5".
  void run(const std::string& text, std::uint32_t number);
  // Takes a file's items in. False after mistakes, which were shown.
  bool use_file(const std::string& path);
  void show_variables() const;
  // Shows `length` bytes of memory 0 from the address that an expression gives.
  void show_memory(const std::string& address, std::uint64_t length, std::uint32_t number);
  void disassemble(const std::string& function) const;
  void reset();
  // Whether a process was given up whose host calls may still be under way: the command must end
  // without waiting for them.
  [[nodiscard]] bool stuck() const { return stuck_; }

 private:
  // A part of the definitions: an input, or a file that the command line names.
  struct Chunk {
    std::string source;  // the name by which its places are shown
    std::string text;
    Definition definition;
  };
  // A source of all definitions and one input.
  struct Line {
    std::string name;  // of the source
    std::string text;
    std::uint32_t lines_before = 0;  // of the input's own text
    std::uint32_t input_lines = 1;
    bool takes_one = false;           // its first argument is 1
    std::vector<Variable> variables;  // what it gives
    std::optional<ValueType> shows;   // then an expression's value
  };
  struct Attempt {
    Line line;
    tools::Assembly assembly;
  };
  // How an input is read: as a statement, or as an operand or instruction with a value.
  struct Form {
    std::optional<ValueType> shows;
    bool in_parentheses = false;
  };

  Line make_line(const std::string& text, std::uint32_t number, const Form& form) const;
  Attempt assemble(const std::string& text, std::uint32_t number, const Form& form) const;
  Attempt assemble_value(const std::string& text, std::uint32_t number,
                         std::span<const ValueType> types) const;
  Attempt assemble_any(const std::string& text, std::uint32_t number) const;
  tools::Assembly assemble_source(const std::string& name, const std::string& text,
                                  bool line_table) const;
  static void complain_about(Attempt attempt);
  bool define(Chunk chunk);
  // The values that the line gives; nothing: it failed, which was shown.
  std::optional<std::vector<Value>> execute(const Attempt& attempt, bool anew);
  bool bring_state(Process& process, bool anew, bool& moved) const;
  bool finished(const Result<Outcome>& outcome, const Line& line) const;
  void run_line(const Attempt& attempt);

  Engine engine_;
  ProcessOptions process_options_;
  std::vector<Chunk> chunks_;
  std::vector<Variable> variables_;
  bool has_memory_ = false;  // the definitions have one
  std::unique_ptr<Process> process_;
  std::vector<std::string> globals_;  // exports of the process's module
  std::uint32_t memories_ = 0;
  mutable std::map<std::string, Source> files_;  // as they were when they were read first
  bool stuck_ = false;
};

// Stops the line that runs. True: there is one. Async-signal-safe.
bool interrupt_line() noexcept;

}  // namespace atollvm::cli
