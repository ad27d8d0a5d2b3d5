#include "vm/runtime/program.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace atollvm::runtime {

namespace {

// For each type the index of the first equal one.
std::vector<u32> first_equal(const std::vector<mod::FuncType>& types) {
  std::unordered_map<std::string, u32> seen;
  std::vector<u32> result;
  result.reserve(types.size());
  std::string key;
  for (const mod::FuncType& type : types) {
    key.clear();
    for (mod::ValType param : type.params) key.push_back(static_cast<char>(param));
    key.push_back('\0');
    for (mod::ValType value : type.results) key.push_back(static_cast<char>(value));
    result.push_back(seen.try_emplace(key, static_cast<u32>(result.size())).first->second);
  }
  return result;
}

}  // namespace

std::shared_ptr<const Program> Program::make(verify::VerifiedModule verified) {
  std::shared_ptr<Program> program(new Program(std::move(verified)));
  const mod::Module& module = program->module();
  program->canonical_types_ = first_equal(module.types);
  const auto add = [&](u32 type_index) -> FuncInfo& {
    const mod::FuncType& type = module.types[type_index];
    FuncInfo& info = program->functions_.emplace_back();
    info.param_slots = static_cast<u16>(type.param_slots());
    info.result_slots = static_cast<u16>(type.result_slots());
    info.window_slots = static_cast<u16>(min_window);
    info.type = program->canonical_types_[type_index];
    program->function_types_.push_back(type_index);
    return info;
  };
  for (const mod::Import& import : module.imports) {
    if (import.kind == mod::ExternKind::function) add(import.func_type);
    if (import.kind == mod::ExternKind::global) {
      program->imported_global_types_.push_back(import.global);
    }
  }
  program->imported_functions_ = static_cast<u32>(program->functions_.size());
  for (const mod::Function& function : module.functions) {
    FuncInfo& info = add(function.type);
    info.code = module.code.data() + function.code_begin;
    info.zeroed_slots = static_cast<u16>(function.local_slots - info.param_slots);
    info.window_slots = static_cast<u16>(std::max<u32>(function.frame_slots, min_window));
  }
  if (const auto index = program->find_export("_initialize", mod::ExternKind::function);
      index && *index >= program->imported_functions_ &&
      module.types[program->type_of(*index)] == mod::FuncType{}) {
    program->initializer_ = index;
  }
  return program;
}

u32 Program::function_at(u32 pc) const {
  const auto& functions = module().functions;
  const auto after =
      std::upper_bound(functions.begin(), functions.end(), pc,
                       [](u32 word, const mod::Function& f) { return word < f.code_begin; });
  const auto position = after == functions.begin() ? 0 : after - functions.begin() - 1;
  return imported_functions_ + static_cast<u32>(position);
}

u32 Program::instruction_at(u32 pc) const {
  u32 at = module().functions[function_at(pc) - imported_functions_].code_begin;
  while (true) {
    const u32 next = at + static_cast<u32>(isa::length(code() + at));
    if (next > pc) return at;
    at = next;
  }
}

std::optional<u32> Program::find_export(std::string_view name, mod::ExternKind kind) const {
  for (const mod::Export& entry : module().exports) {
    if (entry.kind == kind && entry.name == name) return entry.index;
  }
  return std::nullopt;
}

std::string Program::function_name(u32 function) const {
  const std::string_view name = module().name_of(mod::NameSpace::function, function);
  if (!name.empty()) return std::string(name);
  for (const mod::Export& entry : module().exports) {
    if (entry.kind == mod::ExternKind::function && entry.index == function) return entry.name;
  }
  return "func[" + std::to_string(function) + "]";
}

}  // namespace atollvm::runtime
