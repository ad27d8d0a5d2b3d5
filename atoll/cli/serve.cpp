// `atoll serve` and `atoll up`.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <atoll/serve.hpp>

#include "cli/command.hpp"
#include "cli/control.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

constexpr long look_every = 10'000'000;  // ns, at the machines' output

// SIGINT, SIGTERM and SIGHUP: taken here and not by the threads that follow. One that was ignored
// when the command started (nohup) stays ignored.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction old = {};
      if (sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
      sigaddset(&set_, number);
    }
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  // Waits for one. 0: none has come in time.
  int wait(long nanoseconds) const {
    const timespec time{0, nanoseconds};
    const int number = sigtimedwait(&set_, nullptr, &time);
    return number > 0 ? number : 0;
  }
  int wait() const {
    int number = 0;
    while (number <= 0) number = sigwaitinfo(&set_, nullptr);
    return number;
  }
  // The next one ends the command.
  void release() const { pthread_sigmask(SIG_UNBLOCK, &set_, nullptr); }

 private:
  sigset_t set_;
};

void add_options(CLI::App& app, serve::Options& options) {
  add_count(app, "--workers", "Threads that run processes (as the file says, or one for each CPU)",
            [&options](std::uint64_t number) {
              if (number == 0 || number > 256) {
                throw CLI::ValidationError("--workers", "must be 1 to 256");
              }
              options.workers = static_cast<unsigned>(number);
            });
  add_value(app, "--policy", "NAME", "How they share them: fair, rr, fcfs, sjf, priority",
            [&options](const std::string& text) { options.policy = text; });
  add_tier(app, options.tier);
  add_compiling(app, options.code_memory, options.warm_up);
  app.add_flag("--harden", options.hardened, "Harden machine code against hostile programs");
}

// At least 0.1 s; without a unit it is seconds.
std::chrono::nanoseconds parse_every(const std::string& text) {
  const bool is_bare = !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos;
  const auto time = parse_duration(is_bare ? text + "s" : text);
  if (!time || *time < std::chrono::milliseconds(100)) {
    throw CLI::ValidationError("--every", "must be a time of at least 0.1 s (like 30, 1.5s, 5m)");
  }
  return *time;
}

std::optional<serve::MachineFile> read_machine_file(const std::string& path) {
  std::optional<std::string> text = read_or_complain(path);
  if (!text) return std::nullopt;
  const std::string whole = absolute_path(path == "-" ? "." : path);
  const std::string folder = path == "-" ? whole : whole.substr(0, whole.rfind('/') + 1);
  return serve::MachineFile{display_name(path), *std::move(text), folder};
}

int refuse(std::string_view command, const Error& error) {
  complain_refused(command, error);
  return exit_failure;
}

// Writes lines with their machines' names before them; gives the errno.
int print(const std::vector<serve::Line>& lines) {
  std::string texts[2];
  int last = -1;
  const bool is_shown[2] = {isatty(1) == 1, isatty(2) == 1};
  const auto flush = [&] {
    for (const int which : {0, 1}) {
      const int error = texts[which].empty() ? 0 : write_all(which + 1, texts[which]);
      if (error != 0) return error;
      texts[which].clear();
    }
    return 0;
  };
  for (const serve::Line& line : lines) {
    const int which = line.stream == serve::Line::Stream::output ? 0 : 1;
    // Those of the two streams in their order, where they are shown together.
    if (last != which && last >= 0) {
      if (const int error = flush()) return error;
    }
    last = which;
    const char* const prefix = line.stream == serve::Line::Stream::system ? "atoll: " : "";
    texts[which] += fmt::format("{} | {}{}\n", line.machine, prefix,
                                is_shown[which] ? printable(line.text) : line.text);
  }
  return flush();
}

int exit_code(const std::optional<serve::Failure>& failure) {
  if (!failure) return exit_ok;
  switch (failure->kind) {
    case serve::Failure::Kind::code:
      return static_cast<int>(failure->code & 0xff);
    case serve::Failure::Kind::fuel:
      return exit_out_of_fuel;
    case serve::Failure::Kind::time:
      return exit_time_limit;
    default:
      return exit_trap;
  }
}

// Without this a block of many MiB that was freed once makes glibc keep twice as much, of each of
// its heaps, for good.
void bound_heaps() {
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int closed(int error) {
  if (error == EPIPE) return exit_closed_pipe;
  complain(fmt::format("up: {}", std::strerror(error)));
  return exit_failure;
}

}  // namespace

int serve_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"serve", "[OPTIONS] [FILE]",
                 "Runs machines until it is ended by a signal (Ctrl-C), and lets other commands "
                 "control them.\nThose of FILE are started at once. docs/machines.md describes "
                 "machine files.",
                 "  atoll serve &\n"
                 "  atoll serve tenants.toml\n"
                 "  atoll serve --recover --state /var/lib/atoll --every 30 tenants.toml\n"
                 "  atoll serve --workers 2 --policy rr --socket /tmp/atoll.sock"});
  serve::Options options;
  std::string socket = control::default_socket();
  std::string path;
  app.add_option("FILE", path, "A machine file (TOML), or `-`")->type_name("");
  app.add_option("--socket", socket,
                 "The control socket ($XDG_RUNTIME_DIR/atoll.sock, or /run/atoll.sock)")
      ->type_name("PATH");
  add_options(app, options);
  add_value(app, "--state", "FOLDER", "Keeps all machines in this folder, for --recover",
            [&options](const std::string& text) { options.state = absolute_path(text); });
  add_value(app, "--every", "TIME", "Writes snapshots of them there so often: 30, 1.5s, 5m",
            [&options](const std::string& text) { options.every = parse_every(text); });
  app.add_flag("--recover", options.recovers,
               "Lets the machines in the folder go on from their newest snapshots");
  if (const auto code = parse(app, argc, argv)) return *code;
  if (options.state.empty() && (options.recovers || options.every.count() != 0)) {
    complain("serve: --every and --recover need --state: the folder of the machines");
    return exit_usage;
  }
  std::optional<serve::MachineFile> file;
  if (!path.empty()) {
    file = read_machine_file(path);
    if (!file) return exit_failure;
  }
  bound_heaps();
  const Signals signals;
  Result<serve::Machines> machines = serve::Machines::create(options, file);
  if (!machines) return refuse("serve", machines.error());
  for (const std::string& each : machines->complaints()) complain("serve: " + printable(each));
  if (const auto listens = machines->listen(socket); !listens) {
    return refuse("serve", listens.error());
  }
  if (const auto begun = machines->start(); !begun) return refuse("serve", begun.error());
  signals.wait();
  signals.release();
  machines->stop();
  return exit_ok;
}

int up_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"up", "[OPTIONS] FILE",
                 "Runs the machines of a file until all have ended, with what they write in lines "
                 "that begin with\ntheir names. Ctrl-C ends them. docs/machines.md describes "
                 "machine files.",
                 "  atoll up tenants.toml\n"
                 "\nExit codes: 0; 1 when they can't be started; else that of the first machine "
                 "that failed for good:\nits own, or as those of `atoll run`."});
  serve::Options options;
  options.is_followed = true;
  std::string path;
  app.add_option("FILE", path, "A machine file (TOML), or `-`")->required()->type_name("");
  add_options(app, options);
  if (const auto code = parse(app, argc, argv)) return *code;
  const auto file = read_machine_file(path);
  if (!file) return exit_failure;
  bound_heaps();
  const Signals signals;
  Result<serve::Machines> machines = serve::Machines::create(options, file);
  if (!machines) return refuse("up", machines.error());
  if (const auto begun = machines->start(); !begun) return refuse("up", begun.error());
  int number = 0;
  bool is_over = false;
  while (number == 0 && !is_over) {
    is_over = machines->have_ended();
    while (true) {
      const std::vector<serve::Line> lines = machines->take_lines();
      if (lines.empty()) break;
      if (const int error = print(lines)) return closed(error);
      number = signals.wait(0);
      if (number != 0) break;
    }
    if (!is_over && number == 0) number = signals.wait(look_every);
  }
  if (number == 0) return exit_code(machines->first_failure());
  signals.release();
  machines->stop();
  for (auto lines = machines->take_lines(); !lines.empty(); lines = machines->take_lines()) {
    if (const int error = print(lines)) return closed(error);
  }
  std::signal(number, SIG_DFL);
  std::raise(number);
  return 128 + number;
}

}  // namespace atollvm::cli
