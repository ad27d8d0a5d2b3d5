#include "vm/verify/verify.hpp"

#include "vm/verify/context.hpp"

namespace atollvm::verify {

base::Result<VerifiedModule> verify(mod::Module module) {
  Context context(module);
  if (auto error = check_module(context)) return std::move(*error);
  const base::Result<bool> uses_floats = check_code(context);
  if (!uses_floats) return uses_floats.error();
  return VerifiedModule(std::make_shared<const mod::Module>(std::move(module)), *uses_floats);
}

}  // namespace atollvm::verify
