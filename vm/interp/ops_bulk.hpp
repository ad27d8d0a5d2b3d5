// Bodies of globals, references, tables, and operations on ranges of memories and tables.
#pragma once

#include <algorithm>

#include "vm/interp/ops_call.hpp"
#include "vm/interp/state.hpp"

namespace atollvm::interp {

template <>
struct Body<Op::global_get> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    const runtime::Instance& instance = *s.worker->instance;
    s.fp[field_a(w)] = instance.globals[field_bc(w) - instance.imported_global_count].low;
  }
};
template <>
struct Body<Op::global_set> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    runtime::Instance& instance = *s.worker->instance;
    instance.globals[field_bc(w) - instance.imported_global_count].low = s.fp[field_a(w)];
  }
};
template <>
struct Body<Op::global_get_import> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = s.worker->instance->imported_globals[field_bc(w)]->low;
  }
};
template <>
struct Body<Op::global_set_import> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.worker->instance->imported_globals[field_bc(w)]->low = s.fp[field_a(w)];
  }
};
template <>
struct Body<Op::ref_func> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = runtime::function_reference(s.worker->instance->index, field_bc(w));
  }
};
template <>
struct Body<Op::ref_is_null> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = s.fp[field_b(w)] == 0;
  }
};
template <>
struct Body<Op::table_get> {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    const auto& elements = s.worker->instance->tables[field_c(w)]->elements;
    const u32 index = get<u32>(s, field_b(w));
    if (index >= elements.size()) return Trap::table_bounds;
    s.fp[field_a(w)] = elements[index];
    return {};
  }
};
template <>
struct Body<Op::table_set> {
  template <bool exact>
  ATOLL_INLINE static Check run(State& s, Insn w) {
    auto& elements = s.worker->instance->tables[field_c(w)]->elements;
    const u32 index = get<u32>(s, field_a(w));
    if (index >= elements.size()) return Trap::table_bounds;
    elements[index] = s.fp[field_b(w)];
    return {};
  }
};
template <>
struct Body<Op::table_size> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = static_cast<u32>(s.worker->instance->tables[field_b(w)]->elements.size());
  }
};
template <>
struct Body<Op::elem_drop> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    runtime::Instance& instance = *s.worker->instance;
    instance.dropped.set(instance.elem_segment(field_bc(w)));
  }
};
template <>
struct Body<Op::data_drop> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    runtime::Instance& instance = *s.worker->instance;
    instance.dropped.set(instance.data_segment(field_bc(w)));
  }
};
template <>
struct Body<Op::memory_size> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    s.fp[field_a(w)] = static_cast<u32>(s.worker->instance->memories[field_b(w)]->pages());
  }
};
template <>
struct Body<Op::memory_grow> {
  template <bool exact>
  ATOLL_INLINE static void run(State& s, Insn w) {
    runtime::Memory& memory = *s.worker->instance->memories[field_c(w)];
    const i64 old_pages = s.worker->process->grow_memory(memory, get<u32>(s, field_b(w)));
    s.fp[field_a(w)] = static_cast<u32>(old_pages);
    reload_memory(s);
  }
};

// A few microseconds, or where all of it is memory that the system gives now, a tenth of a
// millisecond.
inline constexpr u64 bytes_a_piece = u64{1} << 15;
inline constexpr u64 elements_a_piece = u64{1} << 12;
inline constexpr u64 bytes_a_fuel = 64;
inline constexpr u64 elements_a_fuel = 8;
// A small piece is this part of a whole one.
inline constexpr u64 small_part = 128;
// Work on so many bytes never stops on its way.
inline constexpr u64 least_bytes_a_piece = bytes_a_piece / small_part;

// Does `total` units of work in pieces of at most `piece`, calling work(first, count) for each.
// Between pieces the process can be preempted: the work done is kept in the process, and the
// instruction starts again from there. Where it is to stop already, the piece is a small one. Costs
// one fuel for each `per_fuel` units, before the work: if that makes the fuel negative, the process
// stops, and starts again once there is enough.
template <bool exact, class Work>
ATOLL_INLINE Flow in_pieces(State& s, u64 total, u64 piece, u64 per_fuel, const Work& work) {
  runtime::Process& process = *s.worker->process;
  u64 done = process.saved.bulk;
  if constexpr (exact) {
    constexpr i64 own_cost = 1;
    if (process.saved.paid) {
      s.fuel += own_cost;  // taken again as the instruction started again
    } else {
      s.fuel -= static_cast<i64>(total / per_fuel);
    }
    process.saved.paid = true;
    if (s.fuel < 0) [[unlikely]]
      return stop_here(s);
  }
  while (true) {
    const bool stops = s.worker->limit.load(std::memory_order_relaxed) == nullptr;
    const u64 count = std::min(total - done, stops ? piece / small_part : piece);
    work(done, count);
    done += count;
    if (done == total) break;
    if (s.worker->limit.load(std::memory_order_relaxed) == nullptr) [[unlikely]] {
      process.saved.bulk = done;
      return stop_here(s);
    }
  }
  process.saved.bulk = 0;
  process.saved.paid = false;
  s.pc += 2;
  return Flow::on();
}

// Copies `count` units of the `total` that go from `from` to `to` (possibly overlapping), the ones
// after `done`. What moves up within its own range is copied from its end.
template <class T>
ATOLL_INLINE void copy_piece(T* to, const T* from, u64 total, u64 done, u64 count) {
  const u64 first = to > from && to < from + total ? total - done - count : done;
  std::memmove(to + first, from + first, count * sizeof(T));
}

struct Range3 {
  u64 first;
  u64 second;
  u64 count;
};
ATOLL_INLINE Range3 ranges(const State& s, Insn w) {
  return {get<u32>(s, field_a(w)), get<u32>(s, field_b(w)), get<u32>(s, field_c(w))};
}
ATOLL_INLINE u16 ext_low(const State& s) { return static_cast<u16>(s.pc[1]); }

template <>
struct Body<Op::memory_fill> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    runtime::Memory& memory = *s.worker->instance->memories[ext_low(s)];
    const Range3 r = ranges(s, w);
    if (r.first + r.count > memory.size()) return trap_here(s, Trap::memory_bounds);
    if (r.count == 0) return s.pc += 2, Flow::on();
    u8* const at = memory.base() + r.first;
    const int byte = static_cast<int>(r.second & 0xff);
    return in_pieces<exact>(s, r.count, bytes_a_piece, bytes_a_fuel,
                            [=](u64 done, u64 count) { std::memset(at + done, byte, count); });
  }
};
template <>
struct Body<Op::memory_copy> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    runtime::Memory& target = *s.worker->instance->memories[ext_low(s)];
    runtime::Memory& source = *s.worker->instance->memories[field_a(s.pc[1])];
    const Range3 r = ranges(s, w);
    if (r.first + r.count > target.size() || r.second + r.count > source.size()) {
      return trap_here(s, Trap::memory_bounds);
    }
    if (r.count == 0) return s.pc += 2, Flow::on();
    u8* const to = target.base() + r.first;
    const u8* const from = source.base() + r.second;
    return in_pieces<exact>(s, r.count, bytes_a_piece, bytes_a_fuel, [=](u64 done, u64 count) {
      copy_piece(to, from, r.count, done, count);
    });
  }
};
template <>
struct Body<Op::memory_init> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    const runtime::Instance& instance = *s.worker->instance;
    runtime::Memory& memory = *instance.memories[ext_low(s)];
    const u32 segment = field_bc(s.pc[1]);
    const std::string& bytes = instance.program->module().datas[segment].bytes;
    const u64 available = instance.dropped.test(instance.data_segment(segment)) ? 0 : bytes.size();
    const Range3 r = ranges(s, w);
    if (r.first + r.count > memory.size() || r.second + r.count > available) {
      return trap_here(s, Trap::memory_bounds);
    }
    if (r.count == 0) return s.pc += 2, Flow::on();
    u8* const to = memory.base() + r.first;
    const char* const from = bytes.data() + r.second;
    return in_pieces<exact>(s, r.count, bytes_a_piece, bytes_a_fuel, [=](u64 done, u64 count) {
      std::memcpy(to + done, from + done, count);
    });
  }
};
// The new elements are written behind the table's end; they are its own when all are there.
template <>
struct Body<Op::table_grow> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    runtime::Table& table = *s.worker->instance->tables[ext_low(s)];
    auto& elements = table.elements;
    const u64 old_size = elements.size();
    const u64 total = get<u32>(s, field_c(w));
    u64& result = s.fp[field_a(w)];
    if (!s.worker->process->reserve_table(table, total)) {
      result = ~u32{0};
      return s.pc += 2, Flow::on();
    }
    if (total == 0) {
      result = old_size;
      return s.pc += 2, Flow::on();
    }
    u64* const at = elements.data() + old_size;
    const u64 value = s.fp[field_b(w)];
    return in_pieces<exact>(s, total, elements_a_piece, elements_a_fuel,
                            [=, &elements, &result](u64 done, u64 count) {
                              std::fill_n(at + done, count, value);
                              if (done + count < total) return;
                              elements.extend(total);
                              result = old_size;
                            });
  }
};
template <>
struct Body<Op::table_fill> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    auto& elements = s.worker->instance->tables[ext_low(s)]->elements;
    const Range3 r = ranges(s, w);
    const u64 value = s.fp[field_b(w)];
    if (r.first + r.count > elements.size()) return trap_here(s, Trap::table_bounds);
    if (r.count == 0) return s.pc += 2, Flow::on();
    u64* const at = elements.data() + r.first;
    return in_pieces<exact>(s, r.count, elements_a_piece, elements_a_fuel,
                            [=](u64 done, u64 count) { std::fill_n(at + done, count, value); });
  }
};
template <>
struct Body<Op::table_copy> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    auto& target = s.worker->instance->tables[ext_low(s)]->elements;
    const auto& source = s.worker->instance->tables[field_a(s.pc[1])]->elements;
    const Range3 r = ranges(s, w);
    if (r.first + r.count > target.size() || r.second + r.count > source.size()) {
      return trap_here(s, Trap::table_bounds);
    }
    if (r.count == 0) return s.pc += 2, Flow::on();
    u64* const to = target.data() + r.first;
    const u64* const from = source.data() + r.second;
    return in_pieces<exact>(
        s, r.count, elements_a_piece, elements_a_fuel,
        [=](u64 done, u64 count) { copy_piece(to, from, r.count, done, count); });
  }
};
template <>
struct Body<Op::table_init> {
  template <bool exact>
  ATOLL_INLINE static Flow run(State& s, Insn w) {
    runtime::Instance& instance = *s.worker->instance;
    auto& elements = instance.tables[ext_low(s)]->elements;
    const u32 segment = field_bc(s.pc[1]);
    const auto& items = instance.program->module().elems[segment].items;
    const u64 available = instance.dropped.test(instance.elem_segment(segment)) ? 0 : items.size();
    const Range3 r = ranges(s, w);
    if (r.first + r.count > elements.size() || r.second + r.count > available) {
      return trap_here(s, Trap::table_bounds);
    }
    if (r.count == 0) return s.pc += 2, Flow::on();
    u64* const to = elements.data() + r.first;
    return in_pieces<exact>(s, r.count, elements_a_piece, elements_a_fuel,
                            [&instance, &items, r, to](u64 done, u64 count) {
                              for (u64 i = done; i < done + count; ++i) {
                                to[i] = runtime::evaluate(items[r.second + i], instance);
                              }
                            });
  }
};

}  // namespace atollvm::interp
