// jit_compile FILE: what compiling all functions of a WebAssembly module costs, one after the other
// on one thread. Prints lines "name value unit"; times are CPU time.
//   code       bytes of its code section
//   bytecode   bytes of what it is translated to
//   functions  functions of its own
//   compile    the time for all of them
//   machine    bytes of their machine code, rounded up function by function
//   refused    functions that could not be compiled, and stay interpreted
#include <cstdio>
#include <span>
#include <string>
#include <utility>

#include "assembler/wasm/wasm.hpp"
#include "tests/bench/load.hpp"
#include "vm/jit/code.hpp"
#include "vm/verify/verify.hpp"

namespace {

using namespace atollvm;
using bench::cpu_seconds, bench::fail, bench::print;

void measure(const std::string& bytes) {
  const std::span data(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  print("code", bench::code_bytes(data), "bytes");
  auto module = wasm::translate(data);
  if (!module) fail(module.error().text());
  auto verified = verify::verify(*std::move(module));
  if (!verified) fail(verified.error().text());
  const auto program = runtime::Program::make(*std::move(verified));
  print("bytecode", static_cast<double>(std::span(program->module().code).size_bytes()), "bytes");

  const bench::Trapping guest(program);
  jit::Code* const code = jit::Code::of(*guest.process);
  if (code == nullptr) fail("the host refuses executable memory");
  const auto end = static_cast<u32>(program->functions().size());
  const double begin = cpu_seconds();
  for (u32 i = program->imported_functions(); i < end; ++i) code->compile(i);
  print("compile", cpu_seconds() - begin, "s");
  const jit::CompiledStats stats = code->stats();
  const u32 own = end - program->imported_functions();
  print("functions", own, "functions");
  print("machine", static_cast<double>(stats.code_bytes), "bytes");
  print("refused", own - stats.functions, "functions");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: jit_compile FILE\n", stderr);
    return 2;
  }
  measure(bench::read_file(argv[1]));
}
