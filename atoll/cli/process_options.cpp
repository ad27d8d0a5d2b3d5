#include "cli/process_options.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "cli/command.hpp"

namespace atollvm::cli {

void add_value(CLI::App& app, const std::string& name, const std::string& value,
               const std::string& help, const std::function<void(const std::string&)>& take) {
  app.add_option_function<std::string>(name, take, help)->type_name(value);
}

void add_count(CLI::App& app, const std::string& name, const std::string& help,
               const std::function<void(std::uint64_t)>& take) {
  add_value(app, name, "N", help, [name, take](const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end) {
      throw CLI::ValidationError(name, "'" + text + "' is not a number that fits");
    }
    take(number);
  });
}

void add_list(CLI::App& app, const std::string& name, const std::string& value,
              const std::string& help, const std::function<void(const std::string&)>& take) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [take](const std::vector<std::string>& values) {
           for (const std::string& each : values) take(each);
         },
         help)
      ->allow_extra_args(false)
      ->type_name(value);
}

namespace {

void add_size(CLI::App& app, const std::string& name, const std::string& help,
              std::uint64_t& size) {
  add_value(app, name, "SIZE", help, [name, &size](const std::string& text) {
    const auto parsed = parse_size(text);
    if (!parsed) {
      throw CLI::ValidationError(name,
                                 "'" + text + "' is not a size (bytes, or like 64k, 16M, 2G)");
    }
    size = *parsed;
  });
}

DirectoryGrant parse_grant(const std::string& option, const std::string& text, bool writable) {
  const size_t colons = text.find("::");
  DirectoryGrant grant{text.substr(0, colons), colons == text.npos ? text : text.substr(colons + 2),
                       writable};
  if (grant.host.empty() || grant.guest.empty()) {
    throw CLI::ValidationError(option, "'" + text + "' is not HOST or HOST::GUEST");
  }
  return grant;
}

void add_environment(const std::string& text, ProcessOptions& process) {
  const size_t equals = text.find('=');
  const std::string key = text.substr(0, equals);
  if (key.empty()) throw CLI::ValidationError("--env", "'" + text + "' has no name");
  if (equals != text.npos) {
    process.environment.emplace_back(key, text.substr(equals + 1));
  } else if (const char* const value = std::getenv(key.c_str())) {
    process.environment.emplace_back(key, value);
  }
}

// Where what --stress did is appended to; empty: nowhere.
std::string& stress_file() {
  static std::string path;
  return path;
}

void take_stress(const std::string& text, ProcessOptions& process) {
  const size_t colon = std::min(text.find(':'), text.size());
  const auto [rest, error] =
      std::from_chars(text.data(), text.data() + colon, process.scheduling.stress);
  if (error != std::errc() || rest != text.data() + colon) {
    throw CLI::ValidationError("--stress", "'" + text + "' is not SEED or SEED:FILE");
  }
  stress_file() = colon < text.size() ? text.substr(colon + 1) : "";
}

}  // namespace

void add_memory_strategy(CLI::App& app, MemoryStrategy& memory) {
  add_value(app, "--memory-strategy", "checked|guarded", "How memory accesses are kept inside",
            [&memory](const std::string& text) {
              if (text != "checked" && text != "guarded") {
                throw CLI::ValidationError("--memory-strategy", "checked or guarded");
              }
              memory = text == "guarded" ? MemoryStrategy::guarded : MemoryStrategy::checked;
            });
}

void add_tier(CLI::App& app, Tier& tier) {
  const auto parse = [&tier](const std::string& text) {
    if (text == "auto") {
      tier = Tier::automatic;
    } else if (text == "interp") {
      tier = Tier::interp;
    } else if (text == "jit") {
      tier = Tier::jit;
    } else {
      throw CLI::ValidationError("--tier", "auto, interp or jit");
    }
  };
  app.add_option_function<std::string>("--tier", parse, "How code is executed (auto)")
      ->type_name("auto|interp|jit")
      ->envname("ATOLL_TIER");
}

void add_compiling(CLI::App& app, std::uint64_t& memory, std::uint32_t& warm_up) {
  add_size(app, "--code-memory", "Limit of compiled code (256M)", memory);
  add_count(app, "--warm-up", "Turns before code is compiled (2000)",
            [&warm_up](std::uint64_t number) {
              warm_up = static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
            });
}

void note_stress(const Stats& stats) {
  if (stress_file().empty()) return;
  std::ofstream(stress_file(), std::ios::app) << fmt::format(
      "{} stops, {} moves, {} naps\n", stats.stress_stops, stats.stress_moves, stats.stress_naps);
}

static void complain_of_network(std::string_view line) { complain("network: " + printable(line)); }

void add_process_options(CLI::App& app, EngineOptions& engine, ProcessOptions& process) {
  const auto grant = [&process](const char* name, bool writable) {
    return [&process, name, writable](const std::string& text) {
      process.directories.push_back(parse_grant(name, text, writable));
    };
  };
  add_list(app, "--dir", "HOST[::GUEST]", "Grant a directory, to read and write",
           grant("--dir", true));
  add_list(app, "--dir-ro", "HOST[::GUEST]", "Grant a directory, to read",
           grant("--dir-ro", false));
  add_list(app, "--mount", "TYPE:SRC:GUEST[:OPTIONS]",
           "Give it a file system, such as memory::/tmp:size=16M; docs/file-systems.md lists all",
           [&process](const std::string& text) {
             auto mount = parse_mount(text);
             if (!mount) throw CLI::ValidationError("--mount", mount.error().text());
             process.mounts.push_back(*std::move(mount));
           });
  add_list(app, "--net", "RULES",
           "Give it the network: connect:HOST:PORTS, listen:ADDRESS:PORTS, udp:HOST:PORTS, dns",
           [&process](const std::string& text) {
             std::string& rules = process.network.rules;
             rules += (rules.empty() ? "" : ",") + text;
             if (const auto error = check_network_rules(rules)) {
               throw CLI::ValidationError("--net", error->text());
             }
             process.network.log = complain_of_network;
           });
  add_list(app, "--tcplisten", "ADDRESS:PORT",
           "Give it a socket that takes connections there; port 0: one that the host chooses",
           [&process](const std::string& text) {
             if (const auto error = check_listener(text)) {
               throw CLI::ValidationError("--tcplisten", error->text());
             }
             process.network.listeners.push_back(text);
             process.network.log = complain_of_network;
           });
  add_list(app, "--env", "NAME[=VALUE]", "Set a variable of its environment, or pass it on",
           [&process](const std::string& text) { add_environment(text, process); });
  add_size(app, "--memory", "Limit of its memory (4G)", process.limits.memory_bytes);
  add_size(app, "--stack", "Limit of its stack (1M)", process.limits.stack_bytes);
  add_count(app, "--handles", "Limit of its open handles (1024)", [&process](std::uint64_t number) {
    process.limits.handles =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
  });
  add_value(app, "--io-bytes", "SIZE", "Limit of what it reads and writes",
            [&process](const std::string& text) {
              process.limits.io_bytes = parse_size(text);
              if (!process.limits.io_bytes) {
                throw CLI::ValidationError(
                    "--io-bytes", "'" + text + "' is not a size (bytes, or like 64k, 16M, 2G)");
              }
            });
  add_count(app, "--io-operations", "Limit of its calls on streams, files and directories",
            [&process](std::uint64_t number) { process.limits.io_operations = number; });
  add_value(app, "--io-bytes-rate", "SIZE[/s]", "Limit of what it reads and writes in a second",
            [&process](const std::string& text) {
              const std::string_view size =
                  std::string_view(text).substr(0, text.size() - (text.ends_with("/s") ? 2 : 0));
              process.limits.io_bytes_rate = parse_size(size);
              if (process.limits.io_bytes_rate.value_or(0) == 0) {
                throw CLI::ValidationError(
                    "--io-bytes-rate",
                    "'" + text + "' is not a size from 1 on (bytes, or like 64k, 16M/s)");
              }
            });
  add_count(app, "--io-operations-rate", "Limit of such calls in a second",
            [&process](std::uint64_t number) {
              if (number == 0)
                throw CLI::ValidationError("--io-operations-rate", "it is at least 1");
              process.limits.io_operations_rate = number;
            });
  add_value(app, "--time", "DURATION", "Limit of the time it takes, like 100ms, 2s, 5m",
            [&process](const std::string& text) {
              process.limits.time = parse_duration(text);
              if (!process.limits.time) {
                throw CLI::ValidationError("--time",
                                           "'" + text + "' is not a duration (like 100ms, 2s, 5m)");
              }
            });
  add_count(app, "--fuel", "Limit of its work, counted exactly",
            [&process](std::uint64_t number) { process.limits.fuel = number; });
  add_tier(app, engine.tier);
  add_compiling(app, engine.code_memory, engine.warm_up);
  add_memory_strategy(app, engine.memory);
  app.add_option_function<std::string>(
         "--stress", [&process](const std::string& text) { take_stress(text, process); },
         "Stop, move and delay its processes at random")
      ->type_name("SEED[:FILE]")
      ->envname("ATOLL_STRESS");
  add_value(app, "--unknown-imports", "error|trap",
            "Functions that nobody provides: an error (as it is), or a trap when they are called",
            [&process](const std::string& text) {
              process.trap_unknown_imports = text == "trap";
              if (text != "trap" && text != "error") {
                throw CLI::ValidationError("--unknown-imports", "error or trap");
              }
            });
}

}  // namespace atollvm::cli
