// The subcommands, and what they share. Each builds only its own options: a command that starts in
// a millisecond can't afford the others'.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/diagnostic.hpp>
#include <atoll/module.hpp>
#include <atoll/process.hpp>
#include <atoll/result.hpp>

namespace CLI {
class App;
}

namespace atollvm::cli {

// Exit codes; docs/cli.md explains them.
enum ExitCode : int {
  exit_ok = 0,
  exit_failure = 1,        // a tool found a mistake in its input, or could not read or write
  exit_usage = 2,          // the command line is wrong
  exit_time_limit = 124,   // as timeout(1)
  exit_not_started = 126,  // found, but can't be run; as shells
  exit_not_found = 127,    // no such file; as shells
  exit_trap = 134,         // 128 + SIGABRT, as an aborted program
  exit_closed_pipe = 141,  // 128 + SIGPIPE
  exit_out_of_fuel = 152,  // 128 + SIGXCPU, as `ulimit -t`
};

// Each takes the arguments from the subcommand's name on, and gives the exit code.
int run_command(int argc, char** argv);
int asm_command(int argc, char** argv);
int dis_command(int argc, char** argv);
int check_command(int argc, char** argv);
int link_command(int argc, char** argv);
int translate_command(int argc, char** argv);
int pack_command(int argc, char** argv);
int fmt_command(int argc, char** argv);
int inspect_command(int argc, char** argv);
int test_command(int argc, char** argv);
int doc_command(int argc, char** argv);
int repl_command(int argc, char** argv);
int sched_command(int argc, char** argv);
int serve_command(int argc, char** argv);
int up_command(int argc, char** argv);
int machines_command(int argc, char** argv);
int ps_command(int argc, char** argv);
int top_command(int argc, char** argv);
int logs_command(int argc, char** argv);
int create_command(int argc, char** argv);
int start_command(int argc, char** argv);
int pause_command(int argc, char** argv);
int resume_command(int argc, char** argv);
int kill_command(int argc, char** argv);
int destroy_command(int argc, char** argv);
int snapshot_command(int argc, char** argv);
int restore_command(int argc, char** argv);
int volume_command(int argc, char** argv);
int net_command(int argc, char** argv);

// --- Command lines (options.cpp) ---

// Parses. An exit code when the command ends here: help was asked for, or the line is wrong.
std::optional<int> parse(CLI::App& app, int argc, char** argv);
// What the help text says: the name after "atoll", what follows it, a summary, examples.
struct AppText {
  const char* name;
  const char* usage;
  const char* summary;
  const char* examples;
};
void describe(CLI::App& app, const AppText& text);

// "64k", "16M", "2G" or bytes. Nothing: not a size.
std::optional<std::uint64_t> parse_size(std::string_view text);
// "100ms", "2s", "1.5s", "5m". Nothing: not a duration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// --- Messages (messages.cpp) ---

// Writes "atoll: TEXT" to standard error.
void complain(std::string_view text);
// The text with control characters replaced: names out of modules are not trusted.
std::string printable(std::string_view text);
// Whether standard error takes colours: a terminal, and NO_COLOR is not set.
bool color_on_error();
void show(const std::vector<Diagnostic>& diagnostics);

// The calls that were under way, each in a line "\n  at NAME (PLACE)"; calls that repeat are
// counted (outcome.cpp).
std::string trace_text(const std::vector<TraceFrame>& trace);

// --- Programs (load.cpp) ---

// WebAssembly text as a WebAssembly module, by wabt's wat2wasm; all else as it is. Errors have no
// place.
Result<std::string> to_binary(std::string bytes);
// A module of any input: source, module file, WebAssembly module or text. Mistakes in a source go
// to `diagnostics`; other errors have the path in their place.
Result<Module> load_module(const Engine& engine, const std::string& path, std::string input,
                           std::vector<Diagnostic>& diagnostics);

// --- Files (files.cpp) ---

// To be called first: closed standard streams get /dev/null, so that no other file gets their
// numbers. has_stream() still tells that there is none.
void hold_streams();
bool has_stream(int fd);
// A whole file; "-" is standard input. At most 256 MiB. Errors: not_found, io, limit.
Result<std::string> read_input(const std::string& path);
// The same; complains, also about an image, which no command that uses this takes.
std::optional<std::string> read_or_complain(const std::string& path);
// The name that diagnostics show for an input.
std::string display_name(const std::string& path);
// Writes a whole file; "-" is standard output. A regular file is replaced at once or not at all.
// Gives the exit code; complains by itself.
int write_output(const std::string& path, std::string_view bytes);
// Writes all to a file descriptor, or gives the errno.
int write_all(int fd, std::string_view bytes);

}  // namespace atollvm::cli
