// What programs that measure the loading of modules share.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "assembler/wasm/image.hpp"
#include "vm/base/types.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::bench {

inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline void print(const char* name, double value, const char* unit) {
  std::printf("%s %.6f %s\n", name, value, unit);
}

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

inline std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(std::string("can't read ") + path);
  std::string bytes(static_cast<size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// Bytes of the code section of a WebAssembly module.
inline double code_bytes(std::span<const u8> module) {
  const auto image = wasm::read_image(module);
  if (!image) fail(image.error().text());
  double bytes = 0;
  for (const wasm::Body& body : image->bodies) bytes += body.end - body.begin;
  return bytes;
}

// A process whose imported functions trap.
struct Trapping {
  explicit Trapping(const std::shared_ptr<const runtime::Program>& program) {
    for (const mod::Import& import : program->module().imports) {
      if (import.kind != mod::ExternKind::function) continue;
      runtime::HostFunction& function = functions.emplace_back();
      function.module = import.module;
      function.name = import.name;
      function.type = program->module().types[import.func_type];
      function.call = [](runtime::HostContext&) {
        return runtime::HostResult::trapped(runtime::Trap::unknown_import);
      };
    }
    runtime::Options options;
    options.host = functions;
    auto made = runtime::Process::create(program, options);
    if (!made) fail(made.error().text());
    process = *std::move(made);
  }

  std::vector<runtime::HostFunction> functions;
  std::unique_ptr<runtime::Process> process;
};

}  // namespace atollvm::bench
