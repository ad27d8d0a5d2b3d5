// `atoll`: picks the subcommand.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iterator>

#include <atoll/engine.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(int argc, char** argv);
};

constexpr Command commands[] = {
    {"run", "Run a program", run_command},
    {"asm", "Assemble sources to a module file", asm_command},
    {"dis", "Disassemble a module file", dis_command},
    {"check", "Report all mistakes in sources and module files", check_command},
    {"link", "Join module files to one", link_command},
    {"translate", "Translate WebAssembly to a module file", translate_command},
    {"pack", "Make an image: a program, its files, and what it asks for", pack_command},
    {"fmt", "Put sources into the standard layout", fmt_command},
    {"test", "Run the tests in sources", test_command},
    {"doc", "Print the documentation in a source", doc_command},
    {"repl", "Try definitions, statements and expressions", repl_command},
    {"sched", "Replay a workload under the scheduling policies", sched_command},
    {"inspect", "Show what a module holds and needs", inspect_command},
    {"serve", "Run machines, to be controlled by the commands below", serve_command},
    {"up", "Run the machines of a file until they end", up_command},
    {"machines", "List the machines of a running server", machines_command},
    {"ps", "List the processes of its machines", ps_command},
    {"top", "Show what its machines and processes use", top_command},
    {"logs", "Print what a machine has written", logs_command},
    {"create", "Create machines that a file describes", create_command},
    {"start", "Start machines", start_command},
    {"pause", "Pause machines", pause_command},
    {"resume", "Let paused machines go on", resume_command},
    {"kill", "End processes of a machine", kill_command},
    {"destroy", "End and forget machines", destroy_command},
    {"snapshot", "Write a machine to a file", snapshot_command},
    {"restore", "Make a machine of such a file", restore_command},
    {"volume", "Make, list, fill and check volumes", volume_command},
    {"net", "Show and change the virtual networks of a server", net_command},
};

std::string help() {
  std::string text =
      "Atoll: runs sandboxed bytecode programs, and assembles them.\n\n"
      "Usage: atoll COMMAND [ARGUMENTS]\n\nCommands:\n";
  for (const Command& command : commands) {
    text += fmt::format("  {:<10}{}\n", command.name, command.summary);
  }
  text +=
      "\n  --version  Print the version\n  --help     Print this help; also after each command\n\n"
      "Examples:\n"
      "  atoll run hello.atoll               run a program from its source\n"
      "  atoll run --dir-ro . wc.atb a.txt   let a module read the files below here\n"
      "  atoll asm hello.atoll -o hello.atb  make a module file\n"
      "  atoll run --help                    all about running\n";
  return text;
}

// Single-character changes between two short words.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

int unknown(std::string_view name) {
  std::string hint = "see `atoll --help`";
  size_t best = 3;
  for (const Command& command : commands) {
    if (name.size() > 16) break;
    const std::string_view other = command.name;
    const size_t changes = distance(name, other);
    if (changes < best && changes < std::max(name.size(), other.size())) {
      best = changes;
      hint = fmt::format("did you mean `{}`?", other);
    }
  }
  complain(fmt::format("unknown command `{}`; {}", printable(name.substr(0, 80)), hint));
  return exit_usage;
}

int main(int argc, char** argv) {
  hold_streams();
  std::signal(SIGPIPE, SIG_IGN);  // writing to a closed pipe is an error like others
  if (argc < 2) {
    write_all(2, help());
    return exit_usage;
  }
  const std::string_view first = argv[1];
  for (const Command& command : commands) {
    if (first == command.name) return command.run(argc - 1, argv + 1);
  }
  if (first == "--version") return write_output("-", fmt::format("atoll {}\n", version()));
  if (first == "--help" || first == "-h" || first == "help") return write_output("-", help());
  return unknown(first);
}

}  // namespace

}  // namespace atollvm::cli

int main(int argc, char** argv) { return atollvm::cli::main(argc, argv); }
