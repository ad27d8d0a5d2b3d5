// What the compiler knows of a function before it emits code: its loops, and which slots live in
// which machine registers where. Independent of the target.
#pragma once

#include <array>
#include <vector>

#include "vm/isa/isa.hpp"
#include "vm/runtime/program.hpp"

namespace atollvm::jit {

// Registers that hold slots ("homes") are numbered by the target: general ones from 0 on, those of
// floating-point numbers from `first_float` on. A set of homes is a mask.
using Home = u8;
using Homes = u32;
inline constexpr Home first_float = 16;
inline constexpr Home no_home = 0xff;
inline constexpr usize max_homes = 32;
constexpr Homes bit(Home home) { return Homes{1} << home; }
// The first slots of a function are in its first homes when it is called, one in each, and nowhere
// else.
inline constexpr u32 arguments_in_homes = 4;

// How an operand's value is used. `any`: copied only.
enum class ValueKind : u8 { i32, i64, f32, f64, any };
constexpr bool is_float(ValueKind kind) { return kind == ValueKind::f32 || kind == ValueKind::f64; }

// The slot operands of an operation, from its format and signature.
struct SlotOperand {
  isa::Field field = isa::Field::a;
  bool use = false;
  bool def = false;
  ValueKind kind = ValueKind::any;
};
struct SlotOperands {
  u8 count = 0;
  std::array<SlotOperand, 6> list{};
};
// Indexed by opcode number.
const std::array<SlotOperands, isa::op_count>& slot_operands();

// A loop: from the target of a backward branch to the last such branch. Words in the function.
struct Loop {
  u32 begin = 0;
  u32 end = 0;
  bool calls = false;  // so that no register survives a turn
  Homes used = 0;      // homes of slots that it reads
  Homes written = 0;
};

// A part of a function with one assignment of registers: an outermost loop, or what lies between
// two of them. Where control goes from one to another, everything is in its slot.
struct Zone {
  struct Assigned {
    u16 slot;
    Home home;
  };
  u32 begin = 0;
  u32 end = 0;
  std::vector<Assigned> assigned;
  std::array<u16, max_homes> slot_of{};  // of homes that are assigned
  Homes homes = 0;
};

class Analysis {
 public:
  // Of a function of the program's own; `function` counts the index space. `general` and `floats`
  // say how many homes the target has.
  Analysis(const runtime::Program& program, u32 function, u32 general, u32 floats);

  [[nodiscard]] const std::vector<Loop>& loops() const { return loops_; }  // by `begin`
  [[nodiscard]] const std::vector<Zone>& zones() const { return zones_; }  // by `begin`
  // Whether a slot's home always has zeros in its upper half; it is to be loaded with 32 bits where
  // `loads_32`.
  [[nodiscard]] bool is_clean_32(u16 slot) const {
    return (facts_[slot] & defined_wide) == 0 &&
           (facts_[slot] & (used_wide | defined_outside)) != (used_wide | defined_outside);
  }
  // Whether all uses take 32 bits.
  [[nodiscard]] bool loads_32(u16 slot) const { return (facts_[slot] & used_wide) == 0; }

 private:
  static constexpr u8 used_wide = 1;        // by something that takes 64 bits
  static constexpr u8 defined_wide = 2;     // here, with upper bits that may be set
  static constexpr u8 defined_outside = 4;  // by a caller or a callee, or in memory

  void find_loops();
  void find_zones();
  void find_widths();
  [[nodiscard]] u32 arguments(const isa::Word* call) const;
  void assign(Zone& zone);
  void find_uses(const Zone& zone);
  template <class Visit>
  void each_instruction(u32 begin, u32 end, const Visit& visit) const;

  const runtime::Program& program_;
  const mod::Module& module_;
  const mod::Function& function_;
  const isa::Word* code_;
  u32 general_;
  u32 floats_;
  std::vector<Loop> loops_;
  std::vector<Zone> zones_;
  std::vector<u8> facts_;  // by slot
  struct Weight {
    float general = 0;
    float floats = 0;
    float any = 0;
  };
  // Of one zone at a time, by slot.
  Home& home_of(bool is_float, u16 slot) { return homes_[usize{slot} * 2 + (is_float ? 1 : 0)]; }
  std::vector<Weight> weights_;
  std::vector<Home> homes_;
};

}  // namespace atollvm::jit
