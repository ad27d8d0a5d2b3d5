#include <atoll/module.hpp>

#include <algorithm>
#include <span>

#include "assembler/text/assemble.hpp"
#include "assembler/wasm/image.hpp"
#include "atoll/embed/impl.hpp"
#include "atoll/embed/read.hpp"
#include "atoll/embed/sources.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/vfs/image.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm {

bool is_module_file(std::string_view bytes) noexcept {
  return bytes.starts_with(std::string_view(mod::magic, sizeof mod::magic));
}

bool is_wasm_file(std::string_view bytes) noexcept {
  return wasm::is_wasm(std::span(reinterpret_cast<const u8*>(bytes.data()), bytes.size()));
}

bool is_image_file(std::string_view bytes) noexcept { return vfs::begins_image(bytes); }

Result<Module> Module::load(const Engine& engine, std::string_view bytes,
                            const LoadOptions& options) {
  auto verified = read_verified(bytes, options);
  if (!verified) return to_public(std::move(verified).error());
  return Module(std::make_shared<const Impl>(
      Impl{Access::impl(engine), runtime::Program::make(*std::move(verified))}));
}

Result<Module> Module::assemble(const Engine& engine, const Source& source,
                                const FileReader& reader, std::vector<Diagnostic>* diagnostics) {
  text::Options inner;
  inner.libraries = host::library_names();
  text::Assembly assembly =
      text::assemble({source.name, source.text}, make_resolver(reader), inner);
  if (!assembly.ok()) {
    std::vector<Diagnostic> found = to_public(std::move(assembly.diagnostics));
    const Diagnostic& first = found.front();
    Error error{ErrorCode::invalid,
                first.file + ":" + std::to_string(first.line) + ":" + std::to_string(first.column),
                first.message};
    if (diagnostics != nullptr) *diagnostics = std::move(found);
    return error;
  }
  auto verified = verify::verify(std::move(assembly.module));
  if (!verified) return to_public(std::move(verified).error());
  return Module(std::make_shared<const Impl>(
      Impl{Access::impl(engine), runtime::Program::make(*std::move(verified))}));
}

Result<Module> Module::open(const Engine& engine, const std::string& path, const FileReader& reader,
                            std::vector<Diagnostic>* diagnostics) {
  if (vfs::is_image(path)) {
    return Error{ErrorCode::usage, shown_path(path),
                 "it is an image, no module: Image::open takes it"};
  }
  Result<std::string> bytes = read_file(path);
  if (!bytes) return std::move(bytes).error();
  if (!is_module_file(*bytes) && !is_wasm_file(*bytes)) {
    return assemble(engine, {path, *std::move(bytes)}, reader, diagnostics);
  }
  Result<Module> module = load(engine, *bytes, {path, reader});
  if (module) return module;
  Error error = std::move(module).error();
  error.place = shown_path(path) + (error.place.empty() ? "" : ": " + error.place);
  return error;
}

std::optional<FunctionType> Module::function_type(std::string_view name) const {
  const runtime::Program& program = *impl_->program;
  const auto index = program.find_export(name, mod::ExternKind::function);
  if (!index) return std::nullopt;
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  FunctionType result;
  for (const mod::ValType each : type.params) result.parameters.push_back(to_public(each));
  for (const mod::ValType each : type.results) result.results.push_back(to_public(each));
  return result;
}

ValueType to_public(mod::ValType type) {
  switch (type) {
    case mod::ValType::i32:
      return ValueType::i32;
    case mod::ValType::i64:
      return ValueType::i64;
    case mod::ValType::f32:
      return ValueType::f32;
    case mod::ValType::f64:
      return ValueType::f64;
    case mod::ValType::funcref:
      return ValueType::funcref;
    default:  // the verifier lets no v128 through
      return ValueType::externref;
  }
}

mod::ValType to_internal(ValueType type) {
  constexpr mod::ValType types[] = {mod::ValType::i32,     mod::ValType::i64,
                                    mod::ValType::f32,     mod::ValType::f64,
                                    mod::ValType::funcref, mod::ValType::externref};
  return types[static_cast<u8>(type)];
}

std::string Module::bytes() const { return mod::write(impl_->program->module()); }

}  // namespace atollvm
