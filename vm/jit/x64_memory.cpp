// Loads, stores and globals. An access is compared with the memory's size before it is made, or the
// guard behind the memory catches what is outside. Where code is hardened a CPU that expects an
// access to be inside makes one that is: the last of the memory, or of a null pointer. What the
// guard catches needs no more: no comparison is there that the CPU could be wrong about.
#include "vm/jit/x64_emitter.hpp"
#include "vm/runtime/guard.hpp"
#include "vm/runtime/process.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::field_a;
using isa::field_b;
using isa::field_c;
using isa::Op;
namespace Id = x86::Inst;

// `base` has zeros above its 32 bits. rcx and rax are used up. What comes next accesses it.
x86::Mem Emitter::access(Gp base, u64 offset, u32 size) {
  if (variant_.guarded && offset + size <= runtime::guard_bytes) {
    const bool blinded = is_blinded(offset);
    if (blinded) {
      constant(x86::rcx, offset, x86::rax);
      a_.add(x86::rcx, base);
    }
    faults_.push_back({function_.code_begin + pc_, static_cast<u32>(a_.offset())});
    if (blinded) return x86::ptr(x86::r15, x86::rcx, 0, 0, size);
    return x86::ptr(x86::r15, base, 0, static_cast<i32>(offset), size);
  }
  if (offset + size <= INT32_MAX && !is_blinded(offset + size)) {
    a_.lea(x86::rcx, x86::ptr(base, static_cast<i32>(offset + size)));
  } else {
    constant(x86::rcx, offset + size, x86::rax);
    a_.add(x86::rcx, base);
  }
  a_.cmp(x86::rcx, x86::r13);
  a_.ja(trap(Trap::memory_bounds));
  if (variant_.hardened && least_bytes(0) < size) {
    a_.mov(x86::eax, 0);  // the flags stay
    a_.lea(x86::rcx, x86::ptr(x86::r15, x86::rcx, 0, -static_cast<i32>(size)));
    a_.cmova(x86::rcx, x86::rax);
    return x86::ptr(x86::rcx, 0, size);
  }
  if (variant_.hardened) {
    a_.cmova(x86::rcx, x86::r13);
    return x86::ptr(x86::r15, x86::rcx, 0, -static_cast<i32>(size), size);
  }
  if (offset <= INT32_MAX) return x86::ptr(x86::r15, base, 0, static_cast<i32>(offset), size);
  return x86::ptr(x86::r15, x86::rcx, 0, -static_cast<i32>(size), size);
}

x86::Mem Emitter::plain(u16 base, u64 offset, u32 size) {
  return access(use_clean(base, x86::rdx), offset, size);
}

// At base + imm, modulo 2^32, which is left in rdx.
x86::Mem Emitter::stepped(u16 base, i32 imm, u32 size) {
  add_constant(x86::rdx, use(base, x86::rdx), imm, x86::rcx);
  return access(x86::rdx, 0, size);
}

// At base + (index << shift_by) + imm, modulo 2^32.
x86::Mem Emitter::indexed(u16 base, u16 index, u32 shift_by, i32 imm, u32 size) {
  const Gp from = use(base, x86::rdx);
  const Gp by = use(index, x86::rcx);
  if (is_blinded(sign_extended(imm))) {
    a_.lea(x86::edx, x86::ptr(from, by, shift_by));
    add_constant(x86::rdx, x86::rdx, imm, x86::rcx);
  } else {
    a_.lea(x86::edx, x86::ptr(from, by, shift_by, imm));
  }
  return access(x86::rdx, 0, size);
}

void Emitter::load(const Width& width, u16 d, const Mem& at) {
  if (width.is_float && (float_of(d) != no_home || general_of(d) == no_home)) {
    const Xmm to = target_float(d);
    a_.emit(width.size == 4 ? Id::kIdMovss : Id::kIdMovsd, to, at);
    define_float(d, to);
    return;
  }
  const Gp to = target(d);
  const Gp wide = sized(to, width.is_64);
  if (width.size >= 4 && !(width.is_signed && width.is_64 && width.size == 4)) {
    a_.emit(Id::kIdMov, sized(to, width.size == 8), at);
  } else if (width.size == 4) {
    a_.emit(Id::kIdMovsxd, to.r64(), at);
  } else if (width.is_signed) {
    a_.emit(Id::kIdMovsx, wide, at);
  } else {
    a_.emit(Id::kIdMovzx, to.r32(), at);
  }
  define(d, to);
}

void Emitter::store(const Width& width, const Mem& at, u16 value) {
  if (width.is_float && float_of(value) != no_home) {
    a_.emit(width.size == 4 ? Id::kIdMovss : Id::kIdMovsd, at, use_float(value, x86::xmm0));
    return;
  }
  const Gp from = use(value, x86::rax);
  switch (width.size) {
    case 1:
      a_.mov(at, from.r8());
      break;
    case 2:
      a_.mov(at, from.r16());
      break;
    case 4:
      a_.mov(at, from.r32());
      break;
    default:
      a_.mov(at, from.r64());
      break;
  }
}

// Both compilers lay such classes out as the others.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
void Emitter::global(bool get, bool imported) {
  using runtime::GlobalCell;
  using runtime::Instance;
  const u32 number = isa::field_bc(w_);
  a_.mov(x86::rcx, instance());
  Mem at;
  if (imported) {
    static_assert(sizeof(std::unique_ptr<GlobalCell*[]>) == sizeof(GlobalCell**));
    a_.mov(x86::rcx, x86::ptr(x86::rcx, offsetof(Instance, imported_globals), 8));
    a_.mov(x86::rcx, x86::ptr(x86::rcx, static_cast<i32>(number * sizeof(void*)), 8));
    at = x86::ptr(x86::rcx, offsetof(GlobalCell, low), 8);
  } else {
    constexpr usize items = offsetof(Instance, globals) + base::Few<GlobalCell>::items_offset();
    a_.mov(x86::rcx, x86::ptr(x86::rcx, static_cast<i32>(items), 8));
    const u32 own = number - program_.imported_globals();
    at = x86::ptr(x86::rcx, static_cast<i32>(own * sizeof(GlobalCell)), 8);
  }
  const u16 a = field_a(w_);
  if (get) {
    const Gp to = target(a);
    a_.mov(to, at);
    define(a, to);
  } else {
    a_.mov(at, use(a, x86::rax));
  }
}

//                    name, size, signed, 64 bits, float
#define LOADS(X)                          \
  X(i32_load, 4, false, false, false)     \
  X(i64_load, 8, false, true, false)      \
  X(f32_load, 4, false, false, true)      \
  X(f64_load, 8, false, true, true)       \
  X(i32_load8_s, 1, true, false, false)   \
  X(i32_load8_u, 1, false, false, false)  \
  X(i32_load16_s, 2, true, false, false)  \
  X(i32_load16_u, 2, false, false, false) \
  X(i64_load8_s, 1, true, true, false)    \
  X(i64_load8_u, 1, false, true, false)   \
  X(i64_load16_s, 2, true, true, false)   \
  X(i64_load16_u, 2, false, true, false)  \
  X(i64_load32_s, 4, true, true, false)   \
  X(i64_load32_u, 4, false, false, false)
#define STORES(X)                        \
  X(i32_store, 4, false, false, false)   \
  X(i64_store, 8, false, true, false)    \
  X(f32_store, 4, false, false, true)    \
  X(f64_store, 8, false, true, true)     \
  X(i32_store8, 1, false, false, false)  \
  X(i32_store16, 2, false, false, false) \
  X(i64_store8, 1, false, true, false)   \
  X(i64_store16, 2, false, true, false)  \
  X(i64_store32, 4, false, true, false)

bool Emitter::emit_memory(Op op) {
  const u16 a = field_a(w_);
  const u16 b = field_b(w_);
  const u16 c = field_c(w_);
  const isa::Word* const at = code_ + pc_;
  constexpr auto scale = [](u32 size) -> u32 { return size == 8 ? 3 : size / 2; };
  switch (op) {
#define LOAD(name, size, ...)                                                       \
  case Op::name:                                                                    \
    return load({size, __VA_ARGS__}, a, plain(b, c, size)), true;                   \
  case Op::name##_long:                                                             \
    return load({size, __VA_ARGS__}, a, in_memory(c, b, at[1], size)), true;        \
  case Op::name##_w:                                                                \
    return load({size, __VA_ARGS__}, a, stepped(b, signed_16(c), size)), true;      \
  case Op::name##_x:                                                                \
    return load({size, __VA_ARGS__}, a, indexed(b, c, scale(size), 0, size)), true; \
  case Op::name##_step: {                                                           \
    const Mem from = stepped(b, signed_16(c), size);                                \
    /* The address is still in rdx when the value is there; the value wins. */      \
    if (a == b) return load({size, __VA_ARGS__}, a, from), true;                    \
    load({size, __VA_ARGS__}, a, from);                                             \
    return define(b, x86::rdx), true;                                               \
  }
    LOADS(LOAD)
#undef LOAD
#define STORE(name, size, ...)                                                       \
  case Op::name:                                                                     \
    return store({size, __VA_ARGS__}, plain(a, c, size), b), true;                   \
  case Op::name##_long:                                                              \
    return store({size, __VA_ARGS__}, in_memory(c, a, at[1], size), b), true;        \
  case Op::name##_w:                                                                 \
    return store({size, __VA_ARGS__}, stepped(a, signed_16(c), size), b), true;      \
  case Op::name##_x:                                                                 \
    return store({size, __VA_ARGS__}, indexed(a, b, scale(size), 0, size), c), true; \
  case Op::name##_step: {                                                            \
    store({size, __VA_ARGS__}, stepped(a, signed_16(c), size), b);                   \
    return define(a, x86::rdx), true;                                                \
  }
    STORES(STORE)
#undef STORE
#define SUMS(t, size, ...)                                                                       \
  case Op::t##_load_xb:                                                                          \
    return load({size, __VA_ARGS__}, a, indexed(b, c, 0, 0, size)), true;                        \
  case Op::t##_store_xb:                                                                         \
    return store({size, __VA_ARGS__}, indexed(a, b, 0, 0, size), c), true;                       \
  case Op::t##_load_xw:                                                                          \
    return load({size, __VA_ARGS__}, a, indexed(b, c, scale(size), signed_16(extra(0)), size)),  \
           true;                                                                                 \
  case Op::t##_store_xw:                                                                         \
    return store({size, __VA_ARGS__}, indexed(a, b, scale(size), signed_16(extra(0)), size), c), \
           true;                                                                                 \
  case Op::t##_load_xbw:                                                                         \
    return load({size, __VA_ARGS__}, a, indexed(b, c, 0, signed_16(extra(0)), size)), true;      \
  case Op::t##_store_xbw:                                                                        \
    return store({size, __VA_ARGS__}, indexed(a, b, 0, signed_16(extra(0)), size), c), true;
    SUMS(i32, 4, false, false, false)
    SUMS(i64, 8, false, true, false)
    SUMS(f32, 4, false, false, true)
    SUMS(f64, 8, false, true, true)
#undef SUMS
    case Op::i32_load8_u_xw:
      return load({1, false, false, false}, a, indexed(b, c, 0, signed_16(extra(0)), 1)), true;
    case Op::i32_store8_xw:
      return store({1, false, false, false}, indexed(a, b, 0, signed_16(extra(0)), 1), c), true;
#define OPERAND(name, Name)                                                            \
  case Op::i32_##name##_load:                                                          \
  case Op::i64_##name##_load: {                                                        \
    const bool is_64 = op == Op::i64_##name##_load;                                    \
    const Mem from = plain(c, at[1], is_64 ? 8 : 4);                                   \
    const Gp left = use(b, x86::rax);                                                  \
    const Gp to = target(a);                                                           \
    /* The address may be in the home that the result goes to. */                      \
    const Gp work = to.id() == from.indexId() && left.id() != to.id() ? x86::rax : to; \
    if (left.id() != work.id()) a_.mov(sized(work, is_64), sized(left, is_64));        \
    a_.emit(Id::kId##Name, sized(work, is_64), from);                                  \
    return define(a, work), true;                                                      \
  }
      OPERAND(add, Add)
      OPERAND(mul, Imul)
      OPERAND(and, And)
      OPERAND(or, Or)
      OPERAND(xor, Xor)
#undef OPERAND
    case Op::f32_add_load:
      return float_binary(Id::kIdAddss, false, a, b, plain(c, at[1], 4)), true;
    case Op::f32_sub_load:
      return float_binary(Id::kIdSubss, false, a, b, plain(c, at[1], 4)), true;
    case Op::f32_mul_load:
      return float_binary(Id::kIdMulss, false, a, b, plain(c, at[1], 4)), true;
    case Op::f64_add_load:
      return float_binary(Id::kIdAddsd, true, a, b, plain(c, at[1], 8)), true;
    case Op::f64_sub_load:
      return float_binary(Id::kIdSubsd, true, a, b, plain(c, at[1], 8)), true;
    case Op::f64_mul_load:
      return float_binary(Id::kIdMulsd, true, a, b, plain(c, at[1], 8)), true;
    case Op::i32_add_store: {
      const Mem to = plain(a, at[1], 4);
      a_.add(to, use(b, x86::rax).r32());
      return true;
    }
    case Op::i64_add_store: {
      const Mem to = plain(a, at[1], 8);
      a_.add(to, use(b, x86::rax));
      return true;
    }
    case Op::f32_add_store:
    case Op::f64_add_store: {
      const bool is_64 = op == Op::f64_add_store;
      const Mem to = plain(a, at[1], is_64 ? 8 : 4);
      const Xmm left = use_float(b, x86::xmm0);
      if (left.id() != x86::xmm0.id()) a_.movaps(x86::xmm0, left);
      a_.emit(is_64 ? Id::kIdAddsd : Id::kIdAddss, x86::xmm0, to);
      canonical(x86::xmm0, is_64);
      a_.emit(is_64 ? Id::kIdMovsd : Id::kIdMovss, to, x86::xmm0);
      return true;
    }
#define ON_MEMORY(bits, size)                                                       \
  case Op::br_load##bits##_z:                                                       \
  case Op::br_load##bits##_nz:                                                      \
  case Op::back_load##bits##_z:                                                     \
  case Op::back_load##bits##_nz: {                                                  \
    a_.cmp(plain(a, b, size), 0);                                                   \
    const bool zero = op == Op::br_load##bits##_z || op == Op::back_load##bits##_z; \
    const Test test{zero ? Cond::kE : Cond::kNE};                                   \
    if (op == Op::br_load##bits##_z || op == Op::br_load##bits##_nz) {              \
      return branch(pc_ + c, test), true;                                           \
    }                                                                               \
    return back_after_compare(pc_ - c, test), true;                                 \
  }
      ON_MEMORY(8, 1)
      ON_MEMORY(32, 4)
#undef ON_MEMORY
#define SCAN(name, Name)                     \
  case Op::back_i32_load_step_##name:        \
    return scan(false, Cond::k##Name), true; \
  case Op::back_i64_load_step_##name:        \
    return scan(true, Cond::k##Name), true;
      SCAN(eq, E)
      SCAN(ne, NE)
      SCAN(lt_s, L)
      SCAN(lt_u, B)
      SCAN(gt_s, G)
      SCAN(gt_u, A)
      SCAN(le_s, LE)
      SCAN(le_u, BE)
      SCAN(ge_s, GE)
      SCAN(ge_u, AE)
#undef SCAN
    case Op::global_get:
      return global(true, false), true;
    case Op::global_get_import:
      return global(true, true), true;
    case Op::global_set:
      return global(false, false), true;
    case Op::global_set_import:
      return global(false, true), true;
    default:
      return false;
  }
}

// Steps the address, loads what is there, compares it with the bound as it was, and goes back.
void Emitter::scan(bool is_64, Cond cond) {
  const u16 base = field_a(w_);
  const u16 d = field_b(w_);
  const Mem from = stepped(base, signed_16(extra(0)), is_64 ? 8 : 4);
  const Gp value = sized(x86::rax, is_64);
  a_.mov(value, from);
  const Operand bound = source(extra(1), x86::rcx, is_64);
  a_.emit(Id::kIdCmp, value, bound);
  // Only moves from here on: the flags stay.
  define(base, x86::rdx);
  define(d, x86::rax);
  back_after_compare(pc_ - field_c(w_), {cond});
}

}  // namespace atollvm::jit
