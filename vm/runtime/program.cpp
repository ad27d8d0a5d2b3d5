#include "vm/runtime/program.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "vm/runtime/process.hpp"

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

// Larger ones would be in memory twice for little gain.
constexpr u64 largest_image = 64 << 10;

Program::Image image_of(const mod::Module& module) {
  u64 begin = ~u64{0};
  u64 end = 0;
  u64 bytes = 0;
  for (const mod::DataSegment& segment : module.datas) {
    if (segment.mode != mod::SegmentMode::active || segment.memory != 0 ||
        segment.offset.size() != 1 || segment.offset[0].kind != mod::ConstOp::Kind::i32_const) {
      return {};
    }
    const u64 offset = static_cast<u32>(segment.offset[0].value);
    begin = std::min(begin, offset);
    end = std::max(end, offset + segment.bytes.size());
    bytes += segment.bytes.size();
  }
  // What is between them is copied as well.
  if (bytes == 0 || end - begin > largest_image || end - begin > 2 * bytes + 256) return {};
  Program::Image image{begin, std::vector<u8>(end - begin)};
  for (const mod::DataSegment& segment : module.datas) {
    if (segment.bytes.empty()) continue;
    const u64 offset = static_cast<u32>(segment.offset[0].value);
    std::memcpy(image.bytes.data() + (offset - begin), segment.bytes.data(), segment.bytes.size());
  }
  return image;
}

}  // namespace

u64 footprint(const mod::Module& module) {
  constexpr u64 block = 16;  // that the allocator adds
  const auto list = [](const auto& items) { return block + items.size() * sizeof(items[0]); };
  u64 bytes = sizeof(Program) + sizeof(mod::Module) + list(module.types) + list(module.imports) +
              list(module.functions) + list(module.tables) + list(module.memories) +
              list(module.globals) + list(module.exports) + list(module.elems) +
              list(module.datas) + list(module.code) + list(module.labels) + list(module.names) +
              list(module.files) + list(module.lines) + list(module.customs);
  for (const mod::FuncType& type : module.types) bytes += list(type.params) + list(type.results);
  for (const mod::Import& import : module.imports) {
    bytes += list(import.module) + list(import.name) + 4 * sizeof(u64);
  }
  // What vm/jit keeps of a function that is not compiled; for a program in one way of compiling.
  constexpr u64 native = 3 * sizeof(u64);
  bytes +=
      (module.imports.size() + module.functions.size()) * (sizeof(FuncInfo) + sizeof(u32) + native);
  for (const mod::Table& table : module.tables) bytes += list(table.init);
  for (const mod::Global& global : module.globals) bytes += list(global.init);
  for (const mod::Export& item : module.exports) bytes += list(item.name);
  for (const mod::ElemSegment& segment : module.elems) {
    bytes += list(segment.offset) + list(segment.items);
    for (const mod::ConstExpr& item : segment.items) bytes += list(item);
  }
  for (const mod::DataSegment& segment : module.datas) {
    bytes += list(segment.offset) + list(segment.bytes);
  }
  for (const mod::Name& name : module.names) bytes += list(name.text);
  for (const std::string& file : module.files) bytes += list(file);
  for (const mod::CustomSection& custom : module.customs) {
    bytes += list(custom.name) + list(custom.bytes);
  }
  return bytes;
}

std::shared_ptr<const Program> Program::make(verify::VerifiedModule verified,
                                             std::optional<cap::LastingCharge> charge) {
  std::shared_ptr<Program> program(new Program(std::move(verified), std::move(charge)));
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
  const bool imports_memory =
      std::any_of(module.imports.begin(), module.imports.end(),
                  [](const mod::Import& import) { return import.kind == mod::ExternKind::memory; });
  if (!imports_memory && !module.memories.empty()) program->image_ = image_of(module);
  for (const mod::Function& function : module.functions) {
    FuncInfo& info = add(function.type);
    info.code = module.code.data() + function.code_begin;
    info.zeroed_slots = static_cast<u16>(function.local_slots - info.param_slots);
    info.window_slots = static_cast<u16>(std::max<u32>(function.frame_slots, min_window));
  }
  program->instance_bytes_ = globals_bytes(module.globals.size());
  for (const mod::MemoryType& type : module.memories) {
    program->instance_bytes_ += least_bytes(type);
  }
  for (const mod::Table& table : module.tables) {
    program->instance_bytes_ += table.type.size.min * sizeof(u64);
  }
  if (const auto index = program->find_export("_initialize", mod::ExternKind::function);
      index && *index >= program->imported_functions_ &&
      module.types[program->type_of(*index)] == mod::FuncType{}) {
    program->initializer_ = index;
  }
  return program;
}

NativeCode& Program::set_native(std::unique_ptr<NativeCode> code) const {
  NativeCode* there = nullptr;
  if (native_.compare_exchange_strong(there, code.get(), std::memory_order_acq_rel)) {
    return *code.release();
  }
  return *there;
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
