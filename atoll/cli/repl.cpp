// `atoll repl`.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>

#include "cli/command.hpp"
#include "cli/process_options.hpp"
#include "cli/repl_session.hpp"

namespace atollvm::cli {

namespace {

constexpr const char* commands =
    "A line is an item (`func`, `data`, `use std.xyz`, ...), a statement (`var x: i32 = 5`,\n"
    "`i32.add x, x, 1`) or an expression (`x`, `i32.mul x, x`, `call f(x)`), whose value is "
    "shown.\n"
    "It goes on while brackets are open. An item of the same name and kind is replaced.\n"
    "  $, :regs      all variables\n"
    "  :mem ADDR N   N bytes of memory from ADDR, an i32 expression; without N 64\n"
    "  :dis NAME     what a function has become\n"
    "  :reset        forgets everything\n"
    "  :help         this\n"
    "  :quit         the end; also Ctrl-D. Ctrl-C stops a line that runs\n";

void on_interrupt(int) { interrupt_line(); }

// Lines of standard input. Without SA_RESTART, a signal ends a read.
class Input {
 public:
  enum class Got { line, interrupted, end };

  Got line(std::string& text) {
    text.clear();
    for (;;) {
      const size_t end = buffer_.find('\n', seen_);
      if (end != buffer_.npos) {
        text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        seen_ = 0;
        if (text.ends_with('\r')) text.pop_back();
        return Got::line;
      }
      seen_ = buffer_.size();
      char bytes[4096];
      const ssize_t got = has_stream(0) ? read(0, bytes, sizeof bytes) : 0;
      if (got < 0 && errno == EINTR) return Got::interrupted;
      if (got <= 0) {
        if (buffer_.empty()) return Got::end;
        text = std::exchange(buffer_, {});
        seen_ = 0;
        return Got::line;
      }
      buffer_.append(bytes, static_cast<size_t>(got));
    }
  }

 private:
  std::string buffer_;
  size_t seen_ = 0;
};

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

void memory_command(ReplSession& session, std::string_view arguments, std::uint32_t number) {
  std::uint64_t length = 64;
  const size_t space = arguments.rfind(' ');
  if (space != arguments.npos) {
    const std::string_view last = arguments.substr(space + 1);
    std::uint64_t value = 0;
    const auto [rest, error] = std::from_chars(last.data(), last.data() + last.size(), value);
    if (error == std::errc() && rest == last.data() + last.size()) {
      length = value;
      arguments = trimmed(arguments.substr(0, space));
    }
  }
  if (arguments.empty()) {
    complain(":mem ADDR N");
    return;
  }
  session.show_memory(std::string(arguments), length, number);
}

// False: the end.
bool run_command_line(ReplSession& session, std::string_view text, std::uint32_t number) {
  const size_t space = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, space);
  const std::string_view arguments = trimmed(text.substr(space));
  if (word == ":quit" || word == ":q") return false;
  if (word == ":help") {
    write_all(1, commands);
  } else if (word == ":regs" || word == "$") {
    session.show_variables();
  } else if (word == ":reset") {
    session.reset();
  } else if (word == ":mem") {
    memory_command(session, arguments, number);
  } else if (word == ":dis") {
    session.disassemble(std::string(arguments));
  } else {
    complain("no command `" + printable(word) + "`; :help lists them");
  }
  return true;
}

void loop(ReplSession& session) {
  const bool is_terminal = isatty(0) != 0;
  Input input;
  std::string text;
  std::string line;
  std::uint32_t number = 1;  // of the input that begins
  for (;;) {
    if (is_terminal) write_all(1, text.empty() ? "> " : "... ");
    const Input::Got got = input.line(line);
    if (got == Input::Got::interrupted) {
      if (is_terminal) write_all(1, "\n");
      text.clear();
      continue;
    }
    if (got == Input::Got::end && trimmed(text).empty()) break;
    text += line;
    const std::string_view whole = trimmed(text);
    if (whole.starts_with(':') || whole == "$") {
      if (!run_command_line(session, whole, number)) return;
    } else if (got == Input::Got::line && is_unfinished(text)) {
      text += '\n';
      continue;
    } else if (has_words(text)) {
      session.run(text, number);
    }
    text.clear();
    ++number;
    if (got == Input::Got::end) break;
  }
  if (is_terminal) write_all(1, "\n");
}

}  // namespace

int repl_command(int argc, char** argv) {
  EngineOptions engine;
  ProcessOptions process;
  std::vector<std::string> files;
  CLI::App app;
  describe(app,
           {"repl", "[OPTIONS] [FILE...]",
            "Reads definitions, statements and expressions, runs each and shows what it gives. "
            "`:help` says more.\nA line that fails changes nothing.",
            "  atoll repl\n"
            "  atoll repl shapes.atoll             with what the file defines\n"
            "  echo 'i32.mul 6, 7' | atoll repl    prints 42 (0x2a): i32"});
  app.add_option("FILE", files, "Sources to use")->type_name("");
  add_process_options(app, engine, process);
  if (const auto code = parse(app, argc, argv)) return *code;
  process.arguments = {"repl"};
  process.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  process.output = has_stream(1) ? 1 : -1;
  process.error = has_stream(2) ? 2 : -1;
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  ReplSession session(engine, process);
  for (const std::string& file : files) {
    if (!session.use_file(file)) return exit_failure;
  }
  loop(session);
  if (session.stuck()) std::_Exit(exit_ok);
  return exit_ok;
}

}  // namespace atollvm::cli
