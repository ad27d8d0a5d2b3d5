// wasm_load FILE: what loading a WebAssembly module costs, once, in a fresh process. Prints lines
// "name value unit"; times are CPU time. Imports that Atoll has not are functions that trap.
//   translate, verify, prepare   the parts of loading, each by itself
//   load                         Module::load: all of them
//   create                       a process of it: until its first instruction
//   code                         bytes of its code section
//   peak, kept                   resident memory at most while loading, and after, the file's bytes
//                                included in the first and not in the second; of the file's size
//   each, own                    resident memory of one more process (mean of ten), and what of it
//                                its own linear memory and tables are
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include "assembler/wasm/wasm.hpp"
#include "tests/bench/load.hpp"
#include "vm/runtime/process.hpp"

namespace {

using namespace atollvm;
using bench::cpu_seconds, bench::fail, bench::print;

constexpr int more_processes = 10;

// Bytes that a line of /proc/self/status gives: VmRSS, VmHWM.
double status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":"))
      return std::strtod(line.c_str() + key.size() + 1, nullptr) * 1024;
  }
  return 0;
}

// Bytes of linear memory that are resident, and of tables, in a process that has just been made.
double own_bytes(const std::shared_ptr<const runtime::Program>& program) {
  const bench::Trapping guest(program);
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t pages = 0;
  for (const runtime::Memory* memory : guest.process->instance().memories) {
    std::vector<unsigned char> resident((memory->size() + page - 1) / page);
    if (mincore(memory->base(), memory->size(), resident.data()) != 0) fail("mincore failed");
    for (const unsigned char each : resident) pages += each & 1;
  }
  const auto elements = guest.process->usage().table_elements;
  return static_cast<double>(pages * page + elements * sizeof(runtime::Slot));
}

// Gives the bytes of linear memory and tables that a process of the module begins with.
double parts(const std::string& bytes) {
  const std::span data(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  print("code", bench::code_bytes(data), "bytes");
  double begin = cpu_seconds();
  auto module = wasm::translate(data);
  print("translate", cpu_seconds() - begin, "s");
  if (!module) fail(module.error().text());
  begin = cpu_seconds();
  auto verified = verify::verify(*std::move(module));
  print("verify", cpu_seconds() - begin, "s");
  if (!verified) fail(verified.error().text());
  begin = cpu_seconds();
  const auto program = runtime::Program::make(*std::move(verified));
  print("prepare", cpu_seconds() - begin, "s");
  return own_bytes(program);
}

void whole(const char* path) {
  const double before = status_bytes("VmRSS");
  std::string bytes = bench::read_file(path);
  const auto size = static_cast<double>(bytes.size());
  const Engine engine;
  double begin = cpu_seconds();
  const Result<Module> module = Module::load(engine, bytes);
  const double load = cpu_seconds() - begin;
  if (!module) fail(module.error().text());
  print("load", load, "s");
  print("peak", (status_bytes("VmHWM") - before) / size, "x");
  std::string().swap(bytes);
  malloc_trim(0);
  print("kept", (status_bytes("VmRSS") - before) / size, "x");
  ProcessOptions options;
  options.trap_unknown_imports = true;
  begin = cpu_seconds();
  std::vector<Process> processes;
  const auto create = [&] {
    Result<Process> process = Process::create(engine, *module, options);
    if (!process) fail(process.error().text());
    processes.push_back(*std::move(process));
  };
  create();
  print("create", cpu_seconds() - begin, "s");
  malloc_trim(0);
  const double one = status_bytes("VmRSS");
  for (int i = 0; i < more_processes; ++i) create();
  print("each", (status_bytes("VmRSS") - one) / more_processes, "bytes");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: wasm_load FILE\n", stderr);
    return 2;
  }
  // First: the peak is that of the whole process.
  whole(argv[1]);
  malloc_trim(0);
  print("own", parts(bench::read_file(argv[1])), "bytes");
}
