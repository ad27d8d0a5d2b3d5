// Hardened code: for programs that may be written to attack this process of the operating system.
//
// A guest chooses numbers, and numbers that are seen in code can be instructions for whoever gets
// to jump into their middle. So what has more than 8 bits is made of two others, of which one is
// random: what is left of a guest's choice is a byte at a time. Numbers of things (slots,
// functions, places in the code, distances of branches) are there as they are: a guest must have so
// many of them for each number that it wants.
//
// Indirect branches reach nothing but functions' begins, resume points, targets of jump tables and
// routines: all of them begin with endbr64. Accesses that a CPU expects to be inside, and are not,
// are dealt with where accesses are emitted.
#include "vm/jit/x64_emitter.hpp"

namespace atollvm::jit {

using namespace asmjit;

namespace {

// Of signed numbers, in their own width.
bool fits_byte(u64 number) {
  const i64 value = number <= UINT32_MAX ? i64{static_cast<i32>(static_cast<u32>(number))}
                                         : static_cast<i64>(number);
  return static_cast<i8>(value) == value;
}

// splitmix64: another key for each number.
u64 next_key(u64& state) {
  state += 0x9e37'79b9'7f4a'7c15;
  u64 key = state;
  key = (key ^ key >> 30) * 0xbf58'476d'1ce4'e5b9;
  key = (key ^ key >> 27) * 0x94d0'49bb'1331'11eb;
  return key ^ key >> 31;
}

}  // namespace

void Emitter::landing() {
  if (variant_.hardened) a_.endbr64();
}

bool Emitter::is_blinded(u64 number) const { return variant_.hardened && !fits_byte(number); }

void Emitter::constant(const Gp& to, u64 number, const Gp& scratch) {
  const auto low = [](u64 value) { return Imm(static_cast<i32>(static_cast<u32>(value))); };
  const bool is_32 = number <= UINT32_MAX;
  const Gp narrow = sized(to, !is_32);
  const bool fits = is_32 || static_cast<i32>(number) == static_cast<i64>(number);
  if (!is_blinded(number)) {
    a_.mov(narrow, is_32 ? low(number) : Imm(number));
    return;
  }
  const u64 key = next_key(key_);
  a_.mov(narrow, fits ? low(number ^ key) : Imm(number ^ key));
  if (fits) {
    a_.xor_(narrow, low(key));
  } else {
    a_.mov(scratch, Imm(key));
    a_.xor_(narrow, scratch);
  }
}

void Emitter::add_constant(const Gp& to, const Gp& base, i32 imm, const Gp& scratch) {
  if (!is_blinded(sign_extended(imm))) {
    a_.lea(to.r32(), x86::ptr(base, imm));
    return;
  }
  constant(scratch, static_cast<u32>(imm), scratch);
  a_.lea(to.r32(), x86::ptr(base, scratch));
}

// What a memory has at the least, always.
u64 Emitter::least_bytes(u32 memory) const {
  const auto bytes = [](const mod::MemoryType& type) { return type.size.min << type.page_shift; };
  for (const mod::Import& import : module_.imports) {
    if (import.kind == mod::ExternKind::memory && memory-- == 0) return bytes(import.memory);
  }
  return bytes(module_.memories[memory]);
}

}  // namespace atollvm::jit
