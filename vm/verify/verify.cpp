#include "vm/verify/verify.hpp"

#include "vm/verify/context.hpp"

namespace atollvm::verify {

base::Result<VerifiedModule> verify(mod::Module module) {
  Context context(module);
  if (auto error = check_module(context)) return std::move(*error);
  if (auto error = check_code(context)) return std::move(*error);
  return VerifiedModule(std::make_shared<const mod::Module>(std::move(module)));
}

}  // namespace atollvm::verify
