// What a module holds and needs, as data for people and tools.
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include <atoll/module.hpp>

#include "atoll/embed/impl.hpp"
#include "stdlib/host/host.hpp"
#include "stdlib/wasi/wasi.hpp"
#include "vm/module/codec.hpp"
#include "vm/module/sections.hpp"

namespace atollvm {

namespace {

std::string list(const std::vector<mod::ValType>& types) {
  std::string text;
  for (usize i = 0; i < types.size(); ++i) {
    text.append(i == 0 ? "" : ", ").append(mod::name_of(types[i]));
  }
  return text;
}

}  // namespace

std::string signature_text(const mod::FuncType& type) {
  std::string text = "(" + list(type.params) + ")";
  return type.results.empty() ? text : text + " -> " + list(type.results);
}

namespace {

std::string range_text(const mod::Range& range) {
  std::string text = std::to_string(range.min);
  return range.max ? text + " .. " + std::to_string(*range.max) : text;
}

std::string type_text(const mod::TableType& type) {
  return std::string(mod::name_of(type.element)) + " " + range_text(type.size);
}

std::string type_text(const mod::MemoryType& type) {
  return range_text(type.size) + (type.page_shift == 0 ? "" : " pages");
}

std::string type_text(const mod::GlobalType& type) {
  return (type.is_mutable ? "mut " : "") + std::string(mod::name_of(type.type));
}

// The type of any import or export, by kind and index.
class Types {
 public:
  explicit Types(const mod::Module& module) : module_(module) {
    for (const mod::Import& import : module.imports) {
      imports_[static_cast<usize>(import.kind)].push_back(&import);
    }
  }

  [[nodiscard]] std::string of(mod::ExternKind kind, u32 index) const {
    const auto& imports = imports_[static_cast<usize>(kind)];
    if (index < imports.size()) return of(*imports[index]);
    const usize own = index - imports.size();
    switch (kind) {
      case mod::ExternKind::function:
        return signature_text(module_.types[module_.functions[own].type]);
      case mod::ExternKind::table:
        return type_text(module_.tables[own].type);
      case mod::ExternKind::memory:
        return type_text(module_.memories[own]);
      case mod::ExternKind::global:
        return type_text(module_.globals[own].type);
    }
    return {};
  }

  [[nodiscard]] std::string of(const mod::Import& import) const {
    switch (import.kind) {
      case mod::ExternKind::function:
        return signature_text(module_.types[import.func_type]);
      case mod::ExternKind::table:
        return type_text(import.table);
      case mod::ExternKind::memory:
        return type_text(import.memory);
      case mod::ExternKind::global:
        return type_text(import.global);
    }
    return {};
  }

 private:
  const mod::Module& module_;
  std::array<std::vector<const mod::Import*>, 4> imports_;  // by kind
};

// The host calls, for looking up.
class HostCalls {
 public:
  void describe(ImportInfo& import, const mod::FuncType& type) const {
    for (usize i = 0; i < functions_.size(); ++i) {
      const runtime::HostFunction& each = functions_[i];
      if (each.name != import.name || each.module != import.module) continue;
      import.is_host_call = each.type == type;
      if (!each.takes_handle) return;
      const host::CallInfo& row = host::calls()[i];  // in the same order
      import.object = host::kind_names(row.kind);
      import.rights = host::right_names(row);
    }
  }

 private:
  host::Environment environment_;
  std::vector<runtime::HostFunction> functions_ = [this] {
    std::vector<runtime::HostFunction> all = host::functions(environment_);
    for (const auto edition : {wasi::Edition::snapshot_preview1, wasi::Edition::unstable}) {
      std::vector<runtime::HostFunction> more = wasi::functions(environment_, edition);
      all.insert(all.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
    }
    return all;
  }();
};

// The sections of a file that mod::write made.
std::vector<SectionInfo> sections_of(std::string_view file) {
  std::vector<SectionInfo> sections;
  usize at = mod::header_size;
  const auto number = [&] {
    u64 value = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 byte = static_cast<u8>(file[at++]);
      value |= u64{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < file.size()) {
    const u8 id = static_cast<u8>(file[at++]);
    const u64 size = number();
    SectionInfo section{std::string(mod::section_names[id]), at, size};
    if (static_cast<mod::SectionId>(id) == mod::SectionId::custom) {
      const u64 length = number();
      section.name.append(" ").append(file.substr(at, length));
    }
    at = section.offset + size;
    sections.push_back(std::move(section));
  }
  return sections;
}

std::vector<FunctionInfo> functions_of(const runtime::Program& program) {
  const mod::Module& module = program.module();
  std::vector<FunctionInfo> functions;
  u32 index = program.imported_functions();
  for (const mod::Function& function : module.functions) {
    FunctionInfo info;
    info.index = index;
    info.name = program.function_name(index++);
    info.type = signature_text(module.types[function.type]);
    info.code_bytes = u64{function.code_size} * sizeof(isa::Word);
    info.frame_slots = function.frame_slots;
    const mod::Line* const line = module.line_at(function.code_begin);
    if (line != nullptr && line->pc >= function.code_begin) {
      info.location = module.files[line->file] + ":" + std::to_string(line->line);
    }
    functions.push_back(std::move(info));
  }
  return functions;
}

}  // namespace

ModuleInfo Module::info() const {
  const runtime::Program& program = *impl_->program;
  const mod::Module& module = program.module();
  const std::string file = bytes();
  const Types types(module);
  const HostCalls host_calls;
  ModuleInfo info;
  info.name = module.name;
  info.file_bytes = file.size();
  info.code_bytes = module.code.size() * sizeof(isa::Word);
  for (const mod::DataSegment& data : module.datas) info.data_bytes += data.bytes.size();
  info.sections = sections_of(file);
  for (const mod::Import& import : module.imports) {
    info.imports.push_back({import.module,
                            import.name,
                            static_cast<ExternKind>(import.kind),
                            types.of(import),
                            false,
                            {},
                            {}});
    if (import.kind == mod::ExternKind::function) {
      host_calls.describe(info.imports.back(), module.types[import.func_type]);
    }
  }
  for (const mod::Export& each : module.exports) {
    info.exports.push_back({each.name, static_cast<ExternKind>(each.kind), each.index,
                            types.of(each.kind, each.index)});
  }
  info.functions = functions_of(program);
  for (const mod::MemoryType& memory : module.memories) {
    MemoryInfo bytes{memory.size.min << memory.page_shift, {}};
    if (memory.size.max) bytes.max_bytes = *memory.size.max << memory.page_shift;
    info.memories.push_back(bytes);
  }
  info.sources = module.files;
  info.has_start = module.start.has_value();
  return info;
}

std::string_view to_text(ExternKind kind) noexcept {
  switch (kind) {
    case ExternKind::function:
      return "function";
    case ExternKind::table:
      return "table";
    case ExternKind::memory:
      return "memory";
    case ExternKind::global:
      return "global";
  }
  return "?";
}

}  // namespace atollvm
