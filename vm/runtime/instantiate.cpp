// Making instances of programs: memories, tables, globals, segments.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "vm/runtime/process.hpp"

namespace atollvm::runtime {

namespace {

using base::Error;
using base::ErrorCode;

base::Status fill_elements(Instance& instance, u32 index, const mod::ElemSegment& segment) {
  Table& table = *instance.tables[segment.table];
  const u64 offset = static_cast<u32>(evaluate(segment.offset, instance));
  if (offset + segment.items.size() > table.elements.size()) {
    return Error{ErrorCode::invalid, "element segment " + std::to_string(index),
                 std::string(text(Trap::table_bounds)) + ": " +
                     std::to_string(segment.items.size()) + " elements at " +
                     std::to_string(offset) + " in a table of " +
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
                 std::string(text(Trap::memory_bounds)) + ": " +
                     std::to_string(segment.bytes.size()) + " bytes at " + std::to_string(offset) +
                     " in a memory of " + std::to_string(memory.size())};
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
  std::unique_ptr<Process> process(new Process(options));
  auto added = process->add_instance(std::move(program));
  if (!added) return std::move(added).error();
  return process;
}

base::Result<u32> Process::add_instance(std::shared_ptr<const Program> program) {
  if (state == State::runnable || state == State::pending) {
    return Error{ErrorCode::usage, "", "a call is under way"};
  }
  const usize memories = memories_.size();
  const usize tables = tables_.size();
  const u32 index = static_cast<u32>(instances_.size());
  bool allocated = false;
  try {
    instances_.push_back(std::make_unique<Instance>());
    Instance& instance = *instances_.back();
    instance.index = index;
    instance.program = std::move(program);
    if (base::Status status = allocate(instance); !status) {
      instances_.pop_back();
      memories_.resize(memories);
      tables_.resize(tables);
      return std::move(status).error();
    }
    // From here on others may hold its functions, so it stays whatever happens.
    allocated = true;
    if (index == 0) enter(instance);
    uses_floats_ |= instance.program->uses_floats();
    if (base::Status status = fill(instance); !status) return std::move(status).error();
  } catch (const std::bad_alloc&) {
    if (!allocated) {
      instances_.resize(index);
      memories_.resize(memories);
      tables_.resize(tables);
    }
    return Error{ErrorCode::limit, "", "the host has no memory for this process"};
  }
  return index;
}

base::Status Process::allocate(Instance& instance) {
  const mod::Module& module = instance.program->module();
  if (base::Status status = link(instance); !status) return status;

  u64 memory_left = limits_.memory_bytes;
  for (const auto& each : memories_) memory_left -= std::min(memory_left, each->size());
  for (const mod::MemoryType& type : module.memories) {
    auto memory = Memory::create(type, memory_left, strategy_);
    if (memory == nullptr) {
      return Error{ErrorCode::limit, "memory " + std::to_string(instance.memories.size()),
                   "its minimum is more than the memory limit of " +
                       std::to_string(limits_.memory_bytes) + " bytes allows"};
    }
    memory_left -= memory->size();
    instance.memories.push_back(memory.get());
    memories_.push_back(std::move(memory));
  }

  instance.globals.reserve(module.globals.size());  // others may hold the cells' addresses
  for (const mod::Global& global : module.globals) {
    instance.globals.push_back({evaluate(global.init, instance), 0});
  }

  u64 elements_left = limits_.table_elements;
  for (const auto& each : tables_) {
    elements_left -= std::min<u64>(elements_left, each->elements.size());
  }
  for (const mod::Table& definition : module.tables) {
    if (definition.type.size.min > elements_left) {
      return Error{ErrorCode::limit, "table " + std::to_string(instance.tables.size()),
                   "its minimum is more than the limit of " +
                       std::to_string(limits_.table_elements) + " elements allows"};
    }
    elements_left -= definition.type.size.min;
    const Slot init = definition.init.empty() ? 0 : evaluate(definition.init, instance);
    tables_.push_back(
        std::make_unique<Table>(Table{definition.type, Elements(definition.type.size.min, init)}));
    instance.tables.push_back(tables_.back().get());
  }
  instance.elem_dropped.assign(module.elems.size(), false);
  instance.data_dropped.assign(module.datas.size(), false);
  return {};
}

base::Status Process::fill(Instance& instance) {
  const mod::Module& module = instance.program->module();
  for (u32 i = 0; i < module.elems.size(); ++i) {
    const mod::ElemSegment& segment = module.elems[i];
    if (segment.mode == mod::SegmentMode::passive) continue;
    if (segment.mode == mod::SegmentMode::active) {
      if (base::Status status = fill_elements(instance, i, segment); !status) return status;
    }
    instance.elem_dropped[i] = true;
  }
  for (u32 i = 0; i < module.datas.size(); ++i) {
    const mod::DataSegment& segment = module.datas[i];
    if (segment.mode != mod::SegmentMode::active) continue;
    if (base::Status status = fill_memory(instance, i, segment); !status) return status;
    instance.data_dropped[i] = true;
  }
  return {};
}

}  // namespace atollvm::runtime
