// Options of the commands that run guests.
#pragma once

#include <functional>
#include <string>

#include <atoll/engine.hpp>
#include <atoll/process.hpp>

namespace CLI {
class App;
}

namespace atollvm::cli {

// An option with one value, for the parser of another command too. `take` may throw
// CLI::ValidationError.
void add_value(CLI::App& app, const std::string& name, const std::string& value,
               const std::string& help, const std::function<void(const std::string&)>& take);

// One that may be given several times, each with one value.
void add_list(CLI::App& app, const std::string& name, const std::string& value,
              const std::string& help, const std::function<void(const std::string&)>& take);

// A number that `take` is given.
void add_count(CLI::App& app, const std::string& name, const std::string& help,
               const std::function<void(std::uint64_t)>& take);

// --tier, or the variable ATOLL_TIER.
void add_tier(CLI::App& app, Tier& tier);

void add_memory_strategy(CLI::App& app, MemoryStrategy& memory);

// --code-memory and --warm-up.
void add_compiling(CLI::App& app, std::uint64_t& memory, std::uint32_t& warm_up);

// What a guest is granted, and its limits: --dir, --env, --memory and so on.
void add_process_options(CLI::App& app, EngineOptions& engine, ProcessOptions& process);

// Appends what --stress did to the file that it names, if it does.
void note_stress(const Stats& stats);

}  // namespace atollvm::cli
