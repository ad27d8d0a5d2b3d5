#include "vm/runtime/module_object.hpp"

#include "vm/runtime/process_parts.hpp"

namespace atollvm::runtime {

base::Result<std::shared_ptr<ModuleObject>> ModuleObject::make(
    const std::shared_ptr<const Program>& program, std::span<const HostFunction> host,
    std::span<const HostFunction> more_host) {
  if (program->module().imports.size() > max_imports) {
    return base::Error{base::ErrorCode::limit, "imports",
                       "more than " + std::to_string(max_imports)};
  }
  Options options;
  options.host = host;
  options.more_host = more_host;
  Process linker(options);
  std::shared_ptr<ModuleObject> made(new ModuleObject);
  if (base::Status linked = ProcessParts(linker).link(made->like_, program); !linked) {
    return std::move(linked).error();
  }
  return made;
}

}  // namespace atollvm::runtime
