// Where there is no compiled tier.
#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm::jit {

std::shared_ptr<runtime::NativePool> make_pool(const PoolOptions&) { return nullptr; }
bool is_available() { return false; }
runtime::Outcome run(runtime::Process& process) { return interp::run(process); }
runtime::Outcome run_hardened(runtime::Process& process) { return interp::run(process); }
runtime::Outcome run_auto(runtime::Process& process) { return interp::run(process); }
std::optional<std::vector<u32>> interpreted(const runtime::Program&, u32) { return {}; }
CompiledStats compiled(const runtime::Program&) { return {}; }
base::Result<std::string> write_jitdump(const std::string&) {
  return base::Error{base::ErrorCode::unsupported, "", "machine code is made for x86-64 only"};
}
void register_with_gdb() {}
base::Status fix_executable_memory() { return {}; }
base::Result<std::vector<Listed>> list(const runtime::Program&, u32, Variant) {
  return base::Error{base::ErrorCode::unsupported, "", "machine code is made for x86-64 only"};
}

}  // namespace atollvm::jit
