// wast-runner: runs conformance scripts of WebAssembly.
#include <fmt/format.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "tests/conformance/script.hpp"

using namespace atollvm;
using namespace atollvm::conformance;
namespace fs = std::filesystem;

namespace {

// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "wast-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;  // empty: could not be made
};

base::Result<Report> run_file(const fs::path& file, const RunOptions& options) {
  if (file.extension() == ".json") return run_script(file, options);
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    return base::Error{base::ErrorCode::io, "", "no folder for temporary files"};
  }
  const auto json = convert_script(file, folder.path());
  if (!json) return json.error();
  return run_script(*json, options);
}

std::string counts(const Tally& tally) {
  return fmt::format("{} passed, {} failed, {} not run", tally.passed, tally.failed, tally.not_run);
}

void print(const std::string& name, const Report& report, usize most) {
  fmt::print("{}: {}\n", name, counts(report.total()));
  for (const auto& [kind, tally] : report.kinds) fmt::print("  {}: {}\n", kind, counts(tally));
  for (const auto& [why, count] : report.reasons) fmt::print("  not run: {}: {}\n", count, why);
  for (const auto& [strategy, lines] : report.strategies) {
    fmt::print("  memory: {}: {} modules, at lines {}\n", strategy, lines.size(),
               fmt::join(lines, " "));
  }
  for (usize i = 0; i < report.failures.size(); ++i) {
    const Report::Failure& failure = report.failures[i];
    if (i == most) {
      fmt::print("  and {} more failures\n", report.failures.size() - most);
      break;
    }
    fmt::print("FAILED {}:{}: {}: {}\n", name, failure.line, failure.kind, failure.what);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs conformance scripts of WebAssembly.", "wast-runner");
  app.footer(
      "Scripts in folders called tail-call and extended-const may use that proposal.\n"
      "Exit status: 0 if nothing failed, 1 if a directive failed, 2 if a script could not be run.");
  std::vector<std::string> files;
  std::string memory = "checked";
  std::string tier = "interp";
  RunOptions options;
  u64 seed = 0;
  usize most = 20;
  app.add_option("scripts", files, "Scripts (.wast), or what wast2json made of them (.json)")
      ->required();
  app.add_option("--memory", memory, "How memories are kept inside their bounds")
      ->check(CLI::IsMember({"checked", "guarded"}))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long one action may take")
      ->capture_default_str();
  app.add_option("--failures", most, "How many failures of each script to print")
      ->capture_default_str();
  app.add_option("--tier", tier, "How code is executed")
      ->check(CLI::IsMember({"interp", "jit", "auto", "hardened"}))
      ->capture_default_str();
  app.add_flag("--fuel", options.counts_fuel, "Count fuel");
  app.add_option("--stress", seed,
                 "Stop at every safepoint and go on in another thread and tier; a seed");
  CLI11_PARSE(app, argc, argv);

  options.memory =
      memory == "guarded" ? runtime::MemoryStrategy::guarded : runtime::MemoryStrategy::checked;
  if (tier == "jit") options.tier = jit::run;
  if (tier == "auto") options.tier = jit::run_auto;
  if (tier == "hardened") options.tier = jit::run_hardened;
  std::optional<test::Disturber> disturber;
  if (seed != 0) options.stress = &disturber.emplace(seed);
  Report total;
  usize unusable = 0;
  for (const std::string& file : files) {
    const auto report = run_file(file, options);
    if (!report) {
      ++unusable;
      fmt::print("FAILED {}: {}\n", file, report.error().text());
      continue;
    }
    print(file, *report, most);
    std::fflush(stdout);
    for (const auto& [kind, tally] : report->kinds) total.kinds[kind] += tally;
    for (const auto& [why, count] : report->reasons) total.reasons[why] += count;
    for (const auto& [name, lines] : report->strategies) {
      auto& all = total.strategies[name];
      all.insert(all.end(), lines.begin(), lines.end());
    }
  }
  fmt::print("total, {} scripts, memory {}: {}\n", files.size(), memory, counts(total.total()));
  for (const auto& [kind, tally] : total.kinds) fmt::print("  {}: {}\n", kind, counts(tally));
  for (const auto& [why, count] : total.reasons) fmt::print("  not run: {}: {}\n", count, why);
  for (const auto& [name, lines] : total.strategies) {
    fmt::print("  memory: {}: {} modules\n", name, lines.size());
  }
  if (disturber) {
    fmt::print("stress: {} stops, {} moves\n", disturber->counts().stops,
               disturber->counts().moves);
  }
  if (unusable != 0) fmt::print("  scripts that could not be run: {}\n", unusable);
  if (unusable != 0) return 2;
  return total.total().failed == 0 ? 0 : 1;
}
