// Making instances of programs: memories, tables, globals, segments.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "vm/base/zero.hpp"
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

// `written` is how far segments before this one went, in whichever memory; it is brought up to
// date.
base::Status fill_memory(Instance& instance, u32 index, const mod::DataSegment& segment,
                         u64& written) {
  Memory& memory = *instance.memories[segment.memory];
  const u64 offset = static_cast<u32>(evaluate(segment.offset, instance));
  if (offset + segment.bytes.size() > memory.size()) {
    return Error{ErrorCode::invalid, "data segment " + std::to_string(index),
                 std::string(text(Trap::memory_bounds)) + ": " +
                     std::to_string(segment.bytes.size()) + " bytes at " + std::to_string(offset) +
                     " in a memory of " + std::to_string(memory.size())};
  }
  if (segment.bytes.empty()) return {};
  const u64 imported = instance.memories.size() - instance.program->module().memories.size();
  if (segment.memory >= imported && offset >= written) {
    base::copy_to_zeros(memory.base() + offset, reinterpret_cast<const u8*>(segment.bytes.data()),
                        segment.bytes.size());
  } else {
    std::memcpy(memory.base() + offset, segment.bytes.data(), segment.bytes.size());
  }
  written = std::max(written, offset + segment.bytes.size());
  return {};
}

// Of a constant, or what stands for one.
Slot value_of(const mod::ConstOp& op, const Instance& instance) {
  using Kind = mod::ConstOp::Kind;
  switch (op.kind) {
    case Kind::ref_null:
      return 0;
    case Kind::ref_func:
      return function_reference(instance.index, static_cast<u32>(op.value));
    case Kind::global_get: {
      const u32 imported = instance.imported_global_count;
      return op.value < imported ? instance.imported_globals[op.value]->low
                                 : instance.globals[op.value - imported].low;
    }
    default:
      return op.value;
  }
}

}  // namespace

Slot evaluate(const mod::ConstExpr& expression, const Instance& instance) {
  if (expression.size() == 1) return value_of(expression[0], instance);
  std::vector<Slot> stack;
  for (const mod::ConstOp& op : expression) {
    using Kind = mod::ConstOp::Kind;
    switch (op.kind) {
      case Kind::i32_add:
      case Kind::i32_sub:
      case Kind::i32_mul:
      case Kind::i64_add:
      case Kind::i64_sub:
      case Kind::i64_mul:
        break;
      default:
        stack.push_back(value_of(op, instance));
        continue;
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

base::Result<std::unique_ptr<Process>> Process::create(
    const std::shared_ptr<const Program>& program, const Options& options) {
  auto process = std::make_unique<Process>(options);
  Extra& extra = process->extra();
  extra.worker = std::make_unique<Worker>();
  process->attach(*extra.worker);
  auto added = process->add_instance(program);
  if (!added) return std::move(added).error();
  return process;
}

base::Result<u32> Process::add_instance(const std::shared_ptr<const Program>& program,
                                        const Instance* like, const Ahead& ahead) {
  return add(program, like, true, ahead);
}

base::Result<u32> Process::add(const std::shared_ptr<const Program>& program, const Instance* like,
                               bool fills, const Ahead& ahead) {
  if (state == State::runnable || state == State::pending) {
    return Error{ErrorCode::usage, "", "a call is under way"};
  }
  const usize memories = memories_.size();
  const usize tables = extra_ == nullptr ? 0 : extra_->tables.size();
  const u32 index = instance_count_;
  const auto forget = [&] {
    const u64 held = charged();
    if (index == 0) {
      std::destroy_at(&first_);
      std::construct_at(&first_);
    } else {
      extra_->instances.resize(index - 1);
    }
    memories_.shrink(memories);
    if (extra_ != nullptr) extra_->tables.resize(tables);
    if (account_ != nullptr) {
      account_->memory.give(ahead.is_charged ? program->instance_bytes() : held - charged());
    }
  };
  bool allocated = false;
  try {
    if (index != 0) extra().instances.push_back(std::make_unique<Instance>());
    Instance& instance = this->instance(index);
    instance.index = index;
    if (base::Status status = link(instance, program, like, ahead); !status) {
      forget();
      return std::move(status).error();
    }
    if (base::Status status = allocate(instance, ahead); !status) {
      forget();
      return std::move(status).error();
    }
    // From here on others may hold its functions, so it stays whatever happens.
    allocated = true;
    ++instance_count_;
    if (index == 0) enter(instance);
    uses_floats_ |= instance.program->uses_floats();
    if (!fills) return index;
    if (base::Status status = fill(instance); !status) return std::move(status).error();
  } catch (const std::bad_alloc&) {
    if (!allocated) forget();
    return Error{ErrorCode::limit, "", "the host has no memory for this process"};
  }
  return index;
}

base::Status Process::allocate(Instance& instance, const Ahead& ahead) {
  cap::Meter* const meter = ahead.is_charged ? nullptr : memory_meter();
  const mod::Module& module = instance.program->module();
  if (!module.tables.empty()) extra();

  u64 memory_left = memory_limit_;
  for (const auto& each : memories_) memory_left -= std::min(memory_left, each->size());
  const auto beyond_quota = [](std::string place) {
    return Error{ErrorCode::limit, std::move(place), "beyond the machine's memory limit"};
  };
  for (const mod::MemoryType& type : module.memories) {
    const u64 least = least_bytes(type);
    cap::Charge charge(meter, least);
    if (!charge) return beyond_quota("memory " + std::to_string(instance.memories.size()));
    auto memory = Memory::create(type, memory_left, strategy_);
    if (memory == nullptr) {
      return Error{ErrorCode::limit, "memory " + std::to_string(instance.memories.size()),
                   least <= memory_left ? "the host has no room for it"
                                        : "its minimum is more than the memory limit of " +
                                              std::to_string(memory_limit_) + " bytes allows"};
    }
    memory_left -= memory->size();
    instance.memories.push_back(memory.get());
    memories_.push_back(std::move(memory));
    charge.keep();
  }

  const usize globals = module.globals.size();
  cap::Charge room(meter, globals_bytes(globals));
  if (!room) return beyond_quota("globals");
  instance.globals.reserve(globals);  // others may hold the cells' addresses
  for (usize i = 0; i < globals; ++i) instance.globals.push_back({});
  room.keep();
  begin_globals(instance);

  u64 elements_left = table_limit_;
  if (extra_ != nullptr) {
    for (const auto& each : extra_->tables) {
      elements_left -= std::min<u64>(elements_left, each->elements.size());
    }
  }
  for (const mod::Table& definition : module.tables) {
    if (definition.type.size.min > elements_left) {
      return Error{ErrorCode::limit, "table " + std::to_string(instance.tables.size()),
                   "its minimum is more than the limit of " + std::to_string(table_limit_) +
                       " elements allows"};
    }
    elements_left -= definition.type.size.min;
    cap::Charge charge(meter, definition.type.size.min * sizeof(u64));
    if (!charge) return beyond_quota("table " + std::to_string(instance.tables.size()));
    const Slot init = definition.init.empty() ? 0 : evaluate(definition.init, instance);
    extra_->tables.push_back(
        std::make_unique<Table>(Table{definition.type, Elements(definition.type.size.min, init)}));
    charge.keep();
    instance.tables.push_back(extra_->tables.back().get());
  }
  instance.dropped.assign(module.elems.size() + module.datas.size());
  return {};
}

void Process::begin_globals(Instance& instance) {
  const auto& globals = instance.program->module().globals;
  for (usize i = 0; i < globals.size(); ++i) {
    instance.globals[i] = {evaluate(globals[i].init, instance), 0};
  }
}

base::Status Process::fill(Instance& instance) {
  const mod::Module& module = instance.program->module();
  for (u32 i = 0; i < module.elems.size(); ++i) {
    const mod::ElemSegment& segment = module.elems[i];
    if (segment.mode == mod::SegmentMode::passive) continue;
    if (segment.mode == mod::SegmentMode::active) {
      if (base::Status status = fill_elements(instance, i, segment); !status) return status;
    }
    instance.dropped.set(instance.elem_segment(i));
  }
  const Program::Image& image = instance.program->memory_image();
  if (!image.bytes.empty()) {
    Memory& memory = *instance.memories.front();
    if (image.offset + image.bytes.size() <= memory.size()) {
      base::copy_to_zeros(memory.base() + image.offset, image.bytes.data(), image.bytes.size());
      instance.dropped.set(instance.data_segment(0), module.datas.size());
      return {};
    }
  }
  // Also where they don't fit: those before the first that doesn't are applied.
  u64 written = 0;
  for (u32 i = 0; i < module.datas.size(); ++i) {
    const mod::DataSegment& segment = module.datas[i];
    if (segment.mode != mod::SegmentMode::active) continue;
    if (base::Status status = fill_memory(instance, i, segment, written); !status) return status;
    instance.dropped.set(instance.data_segment(i));
  }
  return {};
}

}  // namespace atollvm::runtime
