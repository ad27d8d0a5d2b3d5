// Speed of the toolchain. Prints lines "name value unit"; each value is the median of 5 runs.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "assembler/text/assemble.hpp"
#include "tests/support/asm_program.hpp"
#include "tests/support/sample_modules.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

namespace {

using namespace atollvm;

constexpr u32 runs = 5;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::array<double, runs> values) {
  std::sort(values.begin(), values.end());
  return values[runs / 2];
}

void fail(const base::Error& error) {
  std::fprintf(stderr, "%s\n", error.text().c_str());
  std::exit(1);
}

// Reading and verifying of a generated module of about 29 MB, in file bytes a second.
void bench_modules() {
  const std::string bytes = mod::write(test::many_functions(40'000, 1));
  const double megabytes = static_cast<double>(bytes.size()) / 1e6;
  std::array<double, runs> read_seconds{};
  std::array<double, runs> verify_seconds{};
  for (u32 run = 0; run < runs; ++run) {
    auto start = std::chrono::steady_clock::now();
    auto module = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
    read_seconds[run] = seconds_since(start);
    if (!module.ok()) fail(module.error());
    start = std::chrono::steady_clock::now();
    const auto verified = verify::verify(std::move(*module));
    verify_seconds[run] = seconds_since(start);
    if (!verified.ok()) fail(verified.error());
  }
  std::printf("reader %.1f MB/s\n", megabytes / median(read_seconds));
  std::printf("verifier %.1f MB/s\n", megabytes / median(verify_seconds));
}

// Assembling of a generated program of about a million lines, in lines a second.
void bench_assembler() {
  const text::Source source{"program.atoll", test::asm_program(22'500)};
  const auto lines = std::count(source.text.begin(), source.text.end(), '\n');
  std::array<double, runs> seconds{};
  for (u32 run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const text::Assembly assembly = text::assemble(source, {});
    seconds[run] = seconds_since(start);
    if (!assembly.ok()) {
      std::fputs(text::format(assembly.diagnostics[0], false).c_str(), stderr);
      std::exit(1);
    }
  }
  std::printf("assemble %.2f Mlines/s\n", static_cast<double>(lines) / 1e6 / median(seconds));
}

}  // namespace

int main() {
  bench_modules();
  bench_assembler();
}
