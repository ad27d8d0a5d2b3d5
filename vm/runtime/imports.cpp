// Finding what an instance imports: among the exports of instances that have a name, then among
// the host's functions. Matching is that of the WebAssembly specification, section 3.4.
#include <algorithm>
#include <unordered_map>

#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

namespace {

using base::Error;
using base::ErrorCode;

std::string describe(const mod::Range& range) {
  std::string text = std::to_string(range.min);
  if (range.max) return text + " to " + std::to_string(*range.max);
  return text + " or more";
}

std::string describe(const mod::FuncType& type) {
  std::string text = "(";
  for (usize i = 0; i < type.params.size(); ++i) {
    text.append(i == 0 ? "" : ", ").append(mod::name_of(type.params[i]));
  }
  text += ")";
  for (usize i = 0; i < type.results.size(); ++i) {
    text.append(i == 0 ? " -> " : ", ").append(mod::name_of(type.results[i]));
  }
  return text;
}

std::string describe(const mod::TableType& type) {
  return "a table of " + std::string(mod::name_of(type.element)) + " with " + describe(type.size) +
         " elements";
}

std::string describe(const mod::MemoryType& type) {
  return "a memory of " + describe(type.size) + (type.page_shift == 0 ? " bytes" : " pages");
}

std::string describe(const mod::GlobalType& type) {
  return (type.is_mutable ? "a mutable global of type " : "a constant global of type ") +
         std::string(mod::name_of(type.type));
}

std::string import_place(const mod::Import& import) {
  return "import \"" + import.module + "\" \"" + import.name + "\"";
}

std::string wanted_text(const mod::Module& module, const mod::Import& import) {
  switch (import.kind) {
    case mod::ExternKind::function:
      return "a function of type " + describe(module.types[import.func_type]);
    case mod::ExternKind::table:
      return describe(import.table);
    case mod::ExternKind::memory:
      return describe(import.memory);
    case mod::ExternKind::global:
      return describe(import.global);
  }
  return "?";
}

Error unknown(const mod::Module& module, const mod::Import& import) {
  return {ErrorCode::not_found, import_place(import),
          "unknown import: nothing here gives " + wanted_text(module, import)};
}

Error incompatible(const mod::Module& module, const mod::Import& import, const std::string& found) {
  return {ErrorCode::invalid, import_place(import),
          "incompatible import type: wanted " + wanted_text(module, import) + ", found " + found};
}

// What is there now against the sizes that an import declares.
bool sizes_match(u64 size, const std::optional<u64>& max, const mod::Range& wanted) {
  return size >= wanted.min && (!wanted.max || (max && *max <= *wanted.max));
}

}  // namespace

// Links one import after the other; each instance that gives something is indexed once.
class Process::Linker {
 public:
  Linker(Process& process, Instance& instance)
      : process_(process), instance_(instance), module_(instance.program->module()) {}

  base::Status link() {
    for (const mod::Import& import : module_.imports) {
      Instance* giver = nullptr;
      const mod::Export* found = nullptr;
      if (process_.extra_ != nullptr) {
        const auto& names = process_.extra_->names;
        if (const auto from = names.find(import.module); from != names.end()) {
          giver = &process_.instance(from->second);
          found = find(*giver, import.name);
        }
      }
      base::Status status = found != nullptr ? take(import, *giver, *found) : take_host(import);
      if (!status) return status;
    }
    // All are functions of the host's.
    instance_.shares_imports =
        imports_.size() == module_.imports.size() &&
        std::all_of(imports_.begin(), imports_.end(), [](const FunctionTarget& target) {
          return target.host != nullptr && target.instance == nullptr;
        });
    if (imports_.empty()) return {};
    auto imports = std::make_unique<FunctionTarget[]>(imports_.size());
    std::copy(imports_.begin(), imports_.end(), imports.get());
    instance_.imports = imports.get();
    instance_.linked->imports = std::move(imports);
    return {};
  }

 private:
  using Index = std::unordered_map<std::string_view, const mod::Export*>;

  const mod::Export* find(const Instance& giver, const std::string& name) {
    const auto [entry, is_new] = indexes_.try_emplace(giver.index);
    Index& index = entry->second;
    if (is_new) {
      for (const mod::Export& item : giver.program->module().exports) {
        index.emplace(item.name, &item);
      }
    }
    const auto found = index.find(name);
    return found == index.end() ? nullptr : found->second;
  }

  base::Status take(const mod::Import& import, Instance& giver, const mod::Export& item) {
    switch (item.kind) {
      case mod::ExternKind::function:
        return take_function(import, giver, item.index);
      case mod::ExternKind::table:
        return take_table(import, *giver.tables[item.index]);
      case mod::ExternKind::memory:
        return take_memory(import, *giver.memories[item.index]);
      case mod::ExternKind::global:
        return take_global(import, giver, item.index);
    }
    return unknown(module_, import);
  }

  base::Status take_function(const mod::Import& import, Instance& giver, u32 function) {
    const mod::FuncType& type = giver.program->module().types[giver.program->type_of(function)];
    if (import.kind != mod::ExternKind::function || !(type == module_.types[import.func_type])) {
      return incompatible(module_, import, "a function of type " + describe(type));
    }
    imports_.push_back(giver.resolve(function));
    return {};
  }

  base::Status take_table(const mod::Import& import, Table& table) {
    const mod::TableType now{table.type.element, {table.elements.size(), table.type.size.max}};
    if (import.kind != mod::ExternKind::table || now.element != import.table.element ||
        !sizes_match(now.size.min, now.size.max, import.table.size)) {
      return incompatible(module_, import, describe(now));
    }
    instance_.tables.push_back(&table);
    return {};
  }

  base::Status take_memory(const mod::Import& import, Memory& memory) {
    const mod::MemoryType now = memory.type();
    if (import.kind != mod::ExternKind::memory || now.page_shift != import.memory.page_shift ||
        !sizes_match(now.size.min, now.size.max, import.memory.size)) {
      return incompatible(module_, import, describe(now));
    }
    instance_.memories.push_back(&memory);
    return {};
  }

  base::Status take_global(const mod::Import& import, Instance& giver, u32 global) {
    const mod::GlobalType type = giver.program->global_type(global);
    if (import.kind != mod::ExternKind::global || !(type == import.global)) {
      return incompatible(module_, import, describe(type));
    }
    const u32 count = instance_.imported_global_count;
    if (instance_.imported_globals == nullptr) {
      instance_.imported_globals = std::make_unique<GlobalCell*[]>(count);
    }
    instance_.imported_globals[globals_++] = giver.global(global);
    return {};
  }

  base::Status take_host(const mod::Import& import) {
    const HostFunction* found = nullptr;
    for (const auto& functions : {process_.more_host(), process_.host()}) {
      if (found != nullptr) break;
      const auto at = std::find_if(functions.begin(), functions.end(), [&](const auto& function) {
        return function.name == import.name && function.module == import.module;
      });
      if (at != functions.end()) found = &*at;
    }
    if (found == nullptr) return unknown(module_, import);
    if (import.kind != mod::ExternKind::function ||
        !(found->type == module_.types[import.func_type])) {
      return incompatible(module_, import, "the host's function of type " + describe(found->type));
    }
    const u32 number = static_cast<u32>(imports_.size());
    imports_.push_back({found, nullptr, number});
    return {};
  }

  Process& process_;
  Instance& instance_;
  const mod::Module& module_;
  std::vector<FunctionTarget> imports_;
  u32 globals_ = 0;
  std::unordered_map<u32, Index> indexes_;
};

base::Status Process::link(Instance& instance, const std::shared_ptr<const Program>& program,
                           const Instance* like, const Ahead& ahead) {
  instance.program = program.get();
  instance.imported_global_count = program->imported_globals();
  if (like != nullptr && like->shares_imports) {
    LinkedProgram& shared = *like->linked;
    instance.linked = ahead.is_counted
                          ? std::shared_ptr<LinkedProgram>(std::shared_ptr<void>(), &shared)
                          : shared.shared_from_this();
    instance.imports = like->imports;
    instance.shares_imports = true;
    return {};
  }
  instance.linked = std::make_shared<LinkedProgram>(program);
  return Linker(*this, instance).link();
}

}  // namespace atollvm::runtime
