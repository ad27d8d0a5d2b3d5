// Making a process out of a program: imports, memories, tables, globals, segments.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

namespace {

using base::Error;
using base::ErrorCode;

std::string_view type_name(mod::ValType type) {
  switch (type) {
    case mod::ValType::i32:
      return "i32";
    case mod::ValType::i64:
      return "i64";
    case mod::ValType::f32:
      return "f32";
    case mod::ValType::f64:
      return "f64";
    case mod::ValType::v128:
      return "v128";
    case mod::ValType::funcref:
      return "funcref";
    case mod::ValType::externref:
      return "externref";
  }
  return "?";
}

std::string type_text(const mod::FuncType& type) {
  std::string text = "(";
  for (usize i = 0; i < type.params.size(); ++i) {
    text.append(i == 0 ? "" : ", ").append(type_name(type.params[i]));
  }
  text += ")";
  for (usize i = 0; i < type.results.size(); ++i) {
    text.append(i == 0 ? " -> " : ", ").append(type_name(type.results[i]));
  }
  return text;
}

std::string import_place(const mod::Import& import) {
  return "import \"" + import.module + "\" \"" + import.name + "\"";
}

base::Result<const HostFunction*> find_host(const mod::Module& module, const mod::Import& import,
                                            std::span<const HostFunction> host) {
  const auto found = std::find_if(host.begin(), host.end(), [&](const HostFunction& function) {
    return function.name == import.name && function.module == import.module;
  });
  const mod::FuncType& wanted = module.types[import.func_type];
  if (found == host.end()) {
    return Error{ErrorCode::not_found, import_place(import),
                 "this host has no such function of type " + type_text(wanted)};
  }
  if (!(found->type == wanted)) {
    return Error{ErrorCode::not_found, import_place(import),
                 "declared as " + type_text(wanted) + ", but the host's function is " +
                     type_text(found->type)};
  }
  return &*found;
}

base::Status fill_elements(Instance& instance, u32 index, const mod::ElemSegment& segment) {
  Table& table = *instance.tables[segment.table];
  const u64 offset = static_cast<u32>(evaluate(segment.offset, instance));
  if (offset + segment.items.size() > table.elements.size()) {
    return Error{ErrorCode::invalid, "element segment " + std::to_string(index),
                 "out of bounds table access: " + std::to_string(segment.items.size()) +
                     " elements at " + std::to_string(offset) + " in a table of " +
                     std::to_string(table.elements.size())};
  }
  for (usize i = 0; i < segment.items.size(); ++i) {
    table.elements[offset + i] = evaluate(segment.items[i], instance);
  }
  return {};
}

base::Status fill_memory(Instance& instance, u32 index, const mod::DataSegment& segment) {
  Memory& memory = *instance.memories[segment.memory];
  const u64 offset = static_cast<u32>(evaluate(segment.offset, instance));
  if (offset + segment.bytes.size() > memory.size()) {
    return Error{ErrorCode::invalid, "data segment " + std::to_string(index),
                 "out of bounds memory access: " + std::to_string(segment.bytes.size()) +
                     " bytes at " + std::to_string(offset) + " in a memory of " +
                     std::to_string(memory.size())};
  }
  if (!segment.bytes.empty()) {
    std::memcpy(memory.base() + offset, segment.bytes.data(), segment.bytes.size());
  }
  return {};
}

}  // namespace

Slot evaluate(const mod::ConstExpr& expression, const Instance& instance) {
  if (expression.size() == 1 && expression[0].kind == mod::ConstOp::Kind::ref_func) {
    return function_reference(instance.index, static_cast<u32>(expression[0].value));
  }
  std::vector<Slot> stack;
  for (const mod::ConstOp& op : expression) {
    using Kind = mod::ConstOp::Kind;
    switch (op.kind) {
      case Kind::i32_const:
      case Kind::i64_const:
      case Kind::f32_const:
      case Kind::f64_const:
        stack.push_back(op.value);
        continue;
      case Kind::ref_null:
        stack.push_back(0);
        continue;
      case Kind::ref_func:
        stack.push_back(function_reference(instance.index, static_cast<u32>(op.value)));
        continue;
      case Kind::global_get: {
        const usize imported = instance.imported_globals.size();
        stack.push_back(op.value < imported ? instance.imported_globals[op.value]->low
                                            : instance.globals[op.value - imported].low);
        continue;
      }
      default:
        break;
    }
    const Slot right = stack.back();
    stack.pop_back();
    Slot& left = stack.back();
    switch (op.kind) {
      case Kind::i32_add:
        left = static_cast<u32>(left + right);
        break;
      case Kind::i32_sub:
        left = static_cast<u32>(left - right);
        break;
      case Kind::i32_mul:
        left = static_cast<u32>(left * right);
        break;
      case Kind::i64_add:
        left += right;
        break;
      case Kind::i64_sub:
        left -= right;
        break;
      case Kind::i64_mul:
        left *= right;
        break;
      default:
        break;
    }
  }
  return stack.back();
}

base::Result<std::unique_ptr<Process>> Process::create(std::shared_ptr<const Program> program,
                                                       const Options& options) {
  std::unique_ptr<Process> process(new Process(options.limits));
  try {
    if (base::Status status = process->instantiate(std::move(program), options); !status) {
      return std::move(status).error();
    }
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::limit, "", "the host has no memory for this process"};
  }
  return process;
}

base::Status Process::instantiate(std::shared_ptr<const Program> program, const Options& options) {
  const mod::Module& module = program->module();
  instances_.push_back(std::make_unique<Instance>());
  Instance& instance = *instances_.back();
  instance.program = std::move(program);
  worker.instance = &instance;

  for (const mod::Import& import : module.imports) {
    if (import.kind != mod::ExternKind::function) {
      return Error{ErrorCode::not_found, import_place(import),
                   "only functions can be imported from this host"};
    }
    const auto found = find_host(module, import, options.host);
    if (!found) return found.error();
    instance.imports.push_back(*found);
  }

  u64 memory_left = limits_.memory_bytes;
  for (usize i = 0; i < module.memories.size(); ++i) {
    auto memory = Memory::create(module.memories[i], memory_left, options.memory);
    if (memory == nullptr) {
      return Error{ErrorCode::limit, "memory " + std::to_string(i),
                   "its minimum is more than the memory limit of " +
                       std::to_string(limits_.memory_bytes) + " bytes allows"};
    }
    memory_left -= memory->size();
    instance.memories.push_back(memory.get());
    memories_.push_back(std::move(memory));
  }

  for (const mod::Global& global : module.globals) {
    instance.globals.push_back({evaluate(global.init, instance), 0});
  }

  u64 elements_left = limits_.table_elements;
  for (usize i = 0; i < module.tables.size(); ++i) {
    const mod::Table& definition = module.tables[i];
    if (definition.type.size.min > elements_left) {
      return Error{ErrorCode::limit, "table " + std::to_string(i),
                   "its minimum is more than the limit of " +
                       std::to_string(limits_.table_elements) + " elements allows"};
    }
    elements_left -= definition.type.size.min;
    const Slot init = definition.init.empty() ? 0 : evaluate(definition.init, instance);
    tables_.push_back(std::make_unique<Table>(
        Table{definition.type, std::vector<u64>(definition.type.size.min, init)}));
    instance.tables.push_back(tables_.back().get());
  }

  instance.elem_dropped.assign(module.elems.size(), false);
  for (u32 i = 0; i < module.elems.size(); ++i) {
    const mod::ElemSegment& segment = module.elems[i];
    if (segment.mode == mod::SegmentMode::passive) continue;
    if (segment.mode == mod::SegmentMode::active) {
      if (base::Status status = fill_elements(instance, i, segment); !status) return status;
    }
    instance.elem_dropped[i] = true;
  }
  instance.data_dropped.assign(module.datas.size(), false);
  for (u32 i = 0; i < module.datas.size(); ++i) {
    const mod::DataSegment& segment = module.datas[i];
    if (segment.mode != mod::SegmentMode::active) continue;
    if (base::Status status = fill_memory(instance, i, segment); !status) return status;
    instance.data_dropped[i] = true;
  }
  return {};
}

}  // namespace atollvm::runtime
