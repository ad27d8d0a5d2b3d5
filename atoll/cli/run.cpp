// `atoll run`.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <atoll/confine.hpp>
#include <atoll/image.hpp>
#include <atoll/process.hpp>

#include "cli/command.hpp"
#include "cli/flame.hpp"
#include "cli/image.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr AppText run_about = {
    "run", "[OPTIONS] FILE [ARGUMENTS...]",
    "Runs a program: source (.atoll), a module file (.atb), WebAssembly (.wasm, .wat), an image\n"
    "(.atp), or `-` for standard input;\nwhich of them it is shows in the bytes. All that follows "
    "FILE belongs to the "
    "program.",
    "  atoll run hello.atoll\n"
    "  atoll run --dir-ro . wc.atb README.md        it may read what is below here\n"
    "  atoll run --dir out::/out make.atb /out/x    it sees out as /out, and may write\n"
    "  atoll run --time 2s --memory 64M plugin.atb  with limits\n"
    "  atoll run --dir data::/ prog.wasm in.txt     a WASI program, its root is data\n"
    "  atoll run --invoke add math.wasm 1 2         calls one function, prints what it gives\n"
    "  atoll asm -o - a.atoll | atoll run - x y     the module from a pipe\n"
    "  atoll run --grant /out=out site.atp          an image, with what it asks for\n"
    "\nExit codes: the program's own; 2 wrong command line, 124 time limit, 126 can't be run,\n"
    "127 no such file, 130 interrupted, 134 trap, 152 out of fuel."};

struct Options {
  EngineOptions engine;
  ProcessOptions process;
  bool stats = false;
  bool jitdump = false;
  bool gdb = false;
  std::string profile;  // a file to write one to; empty: none
  std::chrono::milliseconds profile_every{1};
  std::string file;
  std::string invoke;                // a function to call in place of the program's entry
  std::optional<std::string> argv0;  // the program's name, as it sees it
  std::vector<ImageGrant> grants;    // of an image
  std::string verify;                // a file with a public key; empty: none
};

bool is_image(const std::string& profile) { return profile.ends_with(".svg"); }

ImageGrant parse_grant(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) {
    throw CLI::ValidationError("--grant", "'" + text + "' is not GUEST=PATH or GUEST=PATH:ro");
  }
  ImageGrant grant{text.substr(0, equals), text.substr(equals + 1)};
  if (grant.source.ends_with(":ro")) {
    grant.writable = false;
    grant.source.resize(grant.source.size() - 3);
  }
  return grant;
}

void add_options(CLI::App& app, Options& options) {
  add_process_options(app, options.engine, options.process);
  add_value(app, "--invoke", "FUNCTION",
            "Call an exported function; its arguments follow FILE, its results are printed",
            [&options](const std::string& text) { options.invoke = text; });
  add_value(app, "--argv0", "NAME", "The program's name as it sees it, in place of FILE",
            [&options](const std::string& text) { options.argv0 = text; });
  add_list(app, "--grant", "GUEST=PATH[:ro]", "Grant something that an image asks for",
           [&options](const std::string& text) { options.grants.push_back(parse_grant(text)); });
  add_value(app, "--verify", "KEY", "Run an image only if it is signed; KEY is a public key (PEM)",
            [&options](const std::string& text) { options.verify = text; });
  add_count(app, "--workers", "Threads for a program that starts processes (one for each CPU)",
            [&options](std::uint64_t number) {
              if (number == 0 || number > 1024) {
                throw CLI::ValidationError("--workers", "must be 1 to 1024");
              }
              options.process.scheduling.workers = static_cast<unsigned>(number);
            });
  add_value(app, "--policy", "NAME", "How its processes share them: fair, rr, fcfs, sjf, priority",
            [&options](const std::string& text) { options.process.scheduling.policy = text; });
  add_count(app, "--processes", "Limit of its processes (1048576)",
            [&options](std::uint64_t number) {
              options.process.scheduling.max_processes =
                  static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
            });
  add_count(app, "--mailbox", "Limit of messages in each mailbox (100000)",
            [&options](std::uint64_t number) {
              options.process.scheduling.max_messages =
                  static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
            });
  add_value(app, "--profile", "OUT",
            "Write where CPU time went: a flame graph (OUT.svg), or stacks (OUT.folded, OUT.txt)",
            [&options](const std::string& text) {
              if (!is_image(text) && !text.ends_with(".folded") && !text.ends_with(".txt")) {
                throw CLI::ValidationError("--profile",
                                           "'" + text + "' must end in .svg, .folded or .txt");
              }
              options.profile = text;
            });
  add_value(app, "--profile-every", "DURATION", "CPU time of one sample of --profile (1ms)",
            [&options](const std::string& text) {
              const auto parsed = parse_duration(text);
              if (!parsed || parsed->count() == 0 || *parsed > std::chrono::hours(1)) {
                throw CLI::ValidationError("--profile-every",
                                           "'" + text + "' is not a duration from 1ms to 60m");
              }
              options.profile_every = *parsed;
            });
  app.add_flag("--jitdump", options.jitdump,
               "Write compiled functions to jit-PID.dump, for Linux's perf");
  app.add_flag("--gdb", options.gdb,
               "Tell gdb of compiled functions (`gdb --args atoll run --gdb ...`)");
  app.add_flag("--harden", options.engine.hardened,
               "Harden machine code, and let the kernel refuse all that the program does not need");
  app.add_flag("--stats", options.stats, "Print times and memory to standard error at the end");
}

// --- Interruption ---

std::atomic<Process*> running{nullptr};
std::atomic<int> caught_signal{0};

void on_signal(int number) {
  caught_signal.store(number);
  if (Process* const process = running.load()) process->interrupt();
}

// The first signal ends the guest, the second one the command. A signal that was ignored when the
// command started (nohup) stays ignored.
void catch_signals(Process& process) {
  running.store(&process);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old = {};
    if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(number, &action, nullptr);
  }
}

// Ends by the signal, so that shells and their loops see what happened.
int die_by(int number) {
  std::signal(number, SIG_DFL);
  std::raise(number);
  return 128 + number;
}

// --- The end ---

void complain_stopped(std::string_view why, const std::vector<TraceFrame>& trace) {
  const bool color = color_on_error();
  complain(fmt::format("{}{}{}{}", color ? "\x1b[1;31m" : "", why, color ? "\x1b[0m" : "",
                       trace_text(trace)));
}

int finish(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::returned:
      return exit_ok;
    case Outcome::Kind::exited:
      return static_cast<int>(outcome.exit_code & 0xff);
    case Outcome::Kind::trapped:
      complain_stopped(fmt::format("trap: {}", to_text(outcome.trap)), outcome.trace);
      return exit_trap;
    case Outcome::Kind::out_of_fuel:
      complain_stopped(to_text(outcome.trap), outcome.trace);
      return exit_out_of_fuel;
    case Outcome::Kind::time_limit:
      complain_stopped(to_text(outcome.trap), outcome.trace);
      return exit_time_limit;
    case Outcome::Kind::interrupted:
      complain(to_text(outcome.trap));
      return die_by(caught_signal.load());
  }
  return exit_trap;
}

std::string milliseconds(std::chrono::nanoseconds time) {
  return fmt::format("{:.3f} ms", static_cast<double>(time.count()) / 1e6);
}

void print_stats(const Process& process, Clock::duration start_up) {
  const Stats stats = process.stats();
  std::string text = "atoll: stats\n";
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<13} {}\n", name, value);
  };
  line("start-up", milliseconds(start_up));
  line("run", milliseconds(stats.run_time));
  if (stats.fuel_used) line("fuel", fmt::format("{}", *stats.fuel_used));
  if (stats.compiled_functions != 0) {
    line("compiled", fmt::format("{} functions, {} bytes, {}", stats.compiled_functions,
                                 stats.code_bytes, milliseconds(stats.compile_time)));
    if (stats.discarded_functions != 0) {
      line("thrown away", fmt::format("{} functions", stats.discarded_functions));
    }
  }
  line("memory", fmt::format("{} bytes", stats.memory_bytes));
  line("stack", fmt::format("{} bytes", stats.stack_bytes));
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  line("peak resident", fmt::format("{} KiB", usage.ru_maxrss));
  write_all(2, text);
}

// Gives the exit code.
int write_profile(const Process& process, const Options& options) {
  const std::vector<StackSamples> stacks = process.profile();
  const std::string every = fmt::format("{} ms of CPU time", options.profile_every.count());
  if (stacks.empty()) {
    complain("--profile: no samples: the program has hardly run for " + every +
             (options.profile_every.count() > 1 ? "; --profile-every takes more of them" : ""));
  }
  return write_output(
      options.profile,
      is_image(options.profile)
          ? flame_svg(display_name(options.file) + ", a sample every " + every, stacks)
          : folded(stacks));
}

// The words after FILE as the function's arguments; an exit code where they are none.
std::optional<int> parse_arguments(const Module& module, const std::string& function,
                                   const std::vector<std::string>& words,
                                   std::vector<Value>& arguments) {
  const std::optional<FunctionType> type = module.function_type(function);
  if (!type) {
    complain("--invoke: the module exports no function `" + printable(function) +
             "`; `atoll inspect` lists them");
    return exit_not_started;
  }
  if (words.size() - 1 != type->parameters.size()) {
    complain(fmt::format("--invoke: `{}` takes {} arguments, not {}", printable(function),
                         type->parameters.size(), words.size() - 1));
    return exit_usage;
  }
  for (size_t i = 0; i < type->parameters.size(); ++i) {
    const auto value = parse_value(type->parameters[i], words[i + 1]);
    if (!value) {
      complain(fmt::format("--invoke: `{}` is not of type {}", printable(words[i + 1]),
                           to_text(type->parameters[i])));
      return exit_usage;
    }
    arguments.push_back(*value);
  }
  return std::nullopt;
}

// The module of an image, which is put into the options; an exit code in its place.
std::optional<int> open_image(Options& options, std::optional<Image>& image,
                              Result<std::string>& bytes) {
  auto opened = open_checked(options.file, options.verify);
  if (!opened) return exit_not_started;
  image = std::move(opened);
  if (const auto error = image->apply(options.grants, options.process)) {
    complain(printable(error->text()));
    if (error->code == ErrorCode::denied) write_all(2, describe(*image));
    return error->code == ErrorCode::usage ? exit_usage : exit_not_started;
  }
  bytes = image->module_bytes();
  return std::nullopt;
}

int print_results(const std::vector<Value>& results) {
  std::string text;
  for (const Value& result : results) text += to_text(result) + "\n";
  return write_output("-", text);
}

}  // namespace

int run_command(int argc, char** argv) {
  const Clock::time_point begin = Clock::now();
  Options options;
  CLI::App app;
  describe(app, run_about);
  app.prefix_command();
  add_options(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) {
    complain("run: no FILE; see `atoll run --help`");
    return exit_usage;
  }
  if (rest[0].size() > 1 && rest[0][0] == '-') {
    complain("run: no option `" + printable(rest[0]) + "`; see `atoll run --help`");
    return exit_usage;
  }
  options.file = rest[0];
  options.process.arguments = rest;
  if (options.argv0) options.process.arguments[0] = *options.argv0;
  options.process.input = has_stream(0) ? 0 : -1;
  options.process.output = has_stream(1) ? 1 : -1;
  options.process.error = has_stream(2) ? 2 : -1;

  std::optional<Image> image;
  Result<std::string> bytes = std::string();
  if (Image::is_image(options.file)) {
    if (const auto code = open_image(options, image, bytes)) return *code;
  } else {
    bytes = read_input(options.file);
    if (bytes && (!options.grants.empty() || !options.verify.empty())) {
      complain(printable(options.file) + ": --grant and --verify are for images, and it is none");
      return exit_usage;
    }
  }
  if (!bytes) {
    complain(bytes.error().text());
    return bytes.error().code == ErrorCode::not_found ? exit_not_found : exit_not_started;
  }
  if ((options.jitdump || options.gdb) && options.engine.tier == Tier::interp) {
    complain(std::string(options.gdb ? "--gdb" : "--jitdump") +
             ": nothing is compiled; add `--tier jit` or `--tier auto`");
    return exit_usage;
  }
  if (options.gdb) register_with_gdb();
  if (options.jitdump) {
    if (const auto path = write_jitdump("."); !path) {
      complain("--jitdump: " + path.error().text());
      return exit_not_started;
    }
  }
  if (options.engine.hardened && !options.profile.empty()) {
    complain("--harden: no file can be written at the end, as --profile does");
    return exit_usage;
  }
  const NetworkGrant& network = options.process.network;
  if (options.engine.hardened && !(network.rules.empty() && network.listeners.empty())) {
    complain("--harden: no sockets can be made, as --net and --tcplisten allow");
    return exit_usage;
  }
  if (!options.profile.empty()) options.process.profile = options.profile_every;
  const Engine engine(options.engine);
  std::vector<Diagnostic> diagnostics;
  const Result<Module> module = load_module(engine, options.file, *std::move(bytes), diagnostics);
  if (!module) {
    if (diagnostics.empty()) {
      complain(printable(module.error().text()));
    } else {
      show(diagnostics);
    }
    return exit_not_started;
  }
  options.process.scheduling.on_crash = [](std::uint64_t pid, const Outcome& outcome) {
    // The number without its generation is what people can read.
    complain_stopped(
        fmt::format("process {}: {}{}", static_cast<std::uint32_t>(pid),
                    outcome.kind == Outcome::Kind::trapped ? "trap: " : "", to_text(outcome.trap)),
        outcome.trace);
  };
  Result<Process> process = Process::create(engine, *module, options.process);
  if (!process) {
    complain(printable(process.error().text()));
    return process.error().code == ErrorCode::usage ? exit_usage : exit_not_started;
  }
  std::vector<Value> arguments;
  if (!options.invoke.empty()) {
    if (const auto code = parse_arguments(*module, options.invoke, rest, arguments)) return *code;
  }
  // What can't be written is to be known before a long run.
  if (!options.profile.empty() && write_output(options.profile, "") != exit_ok) {
    return exit_not_started;
  }
  catch_signals(*process);
  if (options.engine.hardened) {
    if (const auto error = confine(options.process.directories, options.process.mounts)) {
      complain("--harden: " + printable(error->text()));
      return exit_not_started;
    }
  }
  const Clock::duration start_up = Clock::now() - begin;
  const Result<Outcome> outcome =
      options.invoke.empty() ? process->run() : process->call(options.invoke, arguments);
  running.store(nullptr);
  if (!outcome) {
    if (!options.profile.empty()) std::remove(options.profile.c_str());
    complain(printable(outcome.error().text()));
    return exit_not_started;
  }
  if (options.stats) print_stats(*process, start_up);
  int written = exit_ok;
  if (!options.profile.empty()) written = write_profile(*process, options);
  note_stress(process->stats());
  if (outcome->kind == Outcome::Kind::returned) {
    return std::max(print_results(process->results()), written);
  }
  int code = finish(*outcome);
  if (code == exit_ok) code = written;
  // Taking the process down waits for host calls that block in another thread: that is too late.
  if (outcome->kind == Outcome::Kind::time_limit) std::_Exit(code);
  return code;
}

}  // namespace atollvm::cli
