#include "vm/jit/analysis.hpp"

#include <algorithm>
#include <bit>
#include <string>

namespace atollvm::jit {

namespace {

using isa::Op;
using isa::OperandKind;
using isa::Word;

ValueKind kind_of(char letter) {
  switch (letter) {
    case 'i':
      return ValueKind::i32;
    case 'f':
      return ValueKind::f32;
    case 'F':
      return ValueKind::f64;
    case 'I':
    case 'r':
      return ValueKind::i64;
    default:
      return ValueKind::any;
  }
}

SlotOperands operands_of(const isa::OpInfo& info) {
  std::string letters;
  for (const char letter : info.signature) {
    if (letter != '=') letters += letter;
  }
  SlotOperands operands;
  for (const isa::Operand& operand : isa::info(info.format).list()) {
    const bool use = operand.kind == OperandKind::use || operand.kind == OperandKind::use_def;
    const bool def = operand.kind == OperandKind::def || operand.kind == OperandKind::use_def;
    if (!use && !def) continue;
    const usize at = operands.count++;
    operands.list[at] = {operand.field, use, def,
                         at < letters.size() ? kind_of(letters[at]) : ValueKind::any};
  }
  return operands;
}

// How far back a branch goes, and whether it does.
bool backward_distance(const Word* code, u64& distance) {
  for (const isa::Operand& operand : isa::format_of(isa::op_of(*code)).list()) {
    if (operand.kind != OperandKind::backward) continue;
    distance = isa::read_field(code, operand.field);
    return true;
  }
  return false;
}

}  // namespace

const std::array<SlotOperands, isa::op_count>& slot_operands() {
  static const auto table = [] {
    std::array<SlotOperands, isa::op_count> operands;
    for (u32 i = 0; i < isa::op_count; ++i) operands[i] = operands_of(isa::op_table[i]);
    return operands;
  }();
  return table;
}

Analysis::Analysis(const runtime::Program& program, u32 function, u32 general, u32 floats)
    : program_(program),
      module_(program.module()),
      function_(module_.functions[function - program.imported_functions()]),
      code_(module_.code.data() + function_.code_begin),
      general_(general),
      floats_(floats),
      facts_(function_.frame_slots),
      weights_(function_.frame_slots),
      homes_(usize{function_.frame_slots} * 2, no_home) {
  find_loops();
  find_zones();
  find_widths();
  for (Zone& zone : zones_) {
    assign(zone);
    find_uses(zone);
  }
}

template <class Visit>
void Analysis::each_instruction(u32 begin, u32 end, const Visit& visit) const {
  for (u32 pc = begin; pc < end; pc += static_cast<u32>(isa::length(code_ + pc))) {
    visit(pc, code_ + pc);
  }
}

void Analysis::find_loops() {
  each_instruction(0, function_.code_size, [&](u32 pc, const Word* at) {
    u64 distance = 0;
    if (!backward_distance(at, distance)) return;
    const u32 begin = pc - static_cast<u32>(distance);
    const u32 end = pc + static_cast<u32>(isa::length(at));
    loops_.push_back({begin, end, false, 0, 0});
  });
  std::sort(loops_.begin(), loops_.end(), [](const Loop& a, const Loop& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  // Of several branches to one target the last one counts.
  const auto same = [](const Loop& a, const Loop& b) { return a.begin == b.begin; };
  loops_.erase(std::unique(loops_.begin(), loops_.end(), same), loops_.end());
  // A loop that ends inside of another one that begins in it is made longer, so that all nest.
  std::vector<u32> outermost;  // of those that begin later, the first one last
  for (usize i = loops_.size(); i-- > 0;) {
    Loop& loop = loops_[i];
    for (; !outermost.empty() && loops_[outermost.back()].begin < loop.end; outermost.pop_back()) {
      loop.end = std::max(loop.end, loops_[outermost.back()].end);
    }
    outermost.push_back(static_cast<u32>(i));
  }
}

void Analysis::find_zones() {
  u32 at = 0;
  const auto add = [&](u32 begin, u32 end) {
    Zone zone;
    zone.begin = begin;
    zone.end = end;
    zones_.push_back(std::move(zone));
  };
  for (const Loop& loop : loops_) {
    if (loop.begin < at) continue;
    if (at < loop.begin) add(at, loop.begin);
    add(loop.begin, loop.end);
    at = loop.end;
  }
  if (at < function_.code_size) add(at, function_.code_size);
}

// How many slots a call gives to its callee, from its window on.
u32 Analysis::arguments(const Word* call) const {
  for (const isa::Operand& operand : isa::format_of(isa::op_of(*call)).list()) {
    const u32 number = static_cast<u32>(isa::read_field(call, operand.field));
    if (operand.kind == OperandKind::func || operand.kind == OperandKind::func_import) {
      return program_.functions()[number].param_slots;
    }
    if (operand.kind == OperandKind::type) return module_.types[number].param_slots();
  }
  return 0;
}

void Analysis::find_widths() {
  const mod::FuncType& type = module_.types[function_.type];
  for (u32 slot = 0; slot < type.param_slots(); ++slot) facts_[slot] |= defined_outside;
  // Ranges of slots, as what begins and ends at each: there may be many, and long ones.
  std::vector<i32> used(function_.frame_slots + 1);
  std::vector<i32> defined(function_.frame_slots + 1);
  const auto mark = [](std::vector<i32>& ranges, u32 begin, u32 count) {
    if (begin + count >= ranges.size()) return;  // not verified code
    ++ranges[begin];
    --ranges[begin + count];
  };
  u32 window = function_.frame_slots;  // the lowest one
  struct Copy {
    u16 to;
    u16 from;
  };
  std::vector<Copy> copies;
  each_instruction(0, function_.code_size, [&](u32, const Word* at) {
    const Op op = isa::op_of(*at);
    const isa::OpInfo& info = isa::info(op);
    for (const isa::Operand& operand : isa::info(info.format).list()) {
      const u32 slot = static_cast<u32>(isa::read_field(at, operand.field));
      const u32 count =
          info.format == isa::Format::mov_range ? isa::field_c(*at) : isa::field_b(*at);
      if (operand.kind == OperandKind::window) {
        mark(used, slot, arguments(at));
        // What a call leaves above its window is not known.
        if (!info.has(isa::ends)) window = std::min(window, slot);
      }
      if (operand.kind == OperandKind::def_range) mark(defined, slot, count);
      if (operand.kind == OperandKind::use_range) mark(used, slot, count);
    }
    if (op == Op::mov) {
      copies.push_back({isa::field_a(*at), isa::field_b(*at)});
      facts_[isa::field_b(*at)] |= used_wide;
      return;
    }
    const SlotOperands& operands = slot_operands()[static_cast<u16>(op)];
    for (u32 i = 0; i < operands.count; ++i) {
      const SlotOperand& operand = operands.list[i];
      const u16 slot = static_cast<u16>(isa::read_field(at, operand.field));
      const bool narrow =
          operand.kind == ValueKind::i32 || operand.kind == ValueKind::f32 || op == Op::i32_add_i2;
      if (operand.use && !narrow) facts_[slot] |= used_wide;
      if (operand.def && !narrow) facts_[slot] |= defined_wide;
    }
  });
  i32 users = 0;
  i32 definers = 0;
  for (u32 slot = 0; slot < function_.frame_slots; ++slot) {
    users += used[slot];
    definers += defined[slot];
    if (users != 0) facts_[slot] |= used_wide;
    if (definers != 0 || slot >= window) facts_[slot] |= defined_outside;
  }
  // A copy of something wide is wide. What a few passes don't reach is taken to be wide.
  bool changed = true;
  for (int pass = 0; changed && pass < 8; ++pass) {
    changed = false;
    for (const Copy& copy : copies) {
      if ((facts_[copy.from] & (defined_wide | defined_outside)) == 0) continue;
      changed |= (facts_[copy.to] & defined_wide) == 0;
      facts_[copy.to] |= defined_wide;
    }
  }
  if (changed) {
    for (const Copy& copy : copies) facts_[copy.to] |= defined_wide;
  }
}

void Analysis::assign(Zone& zone) {
  // Each loop around a use makes it count eight times more.
  std::vector<u32> ends;  // of the loops around, the innermost last
  auto next = std::lower_bound(loops_.begin(), loops_.end(), zone.begin,
                               [](const Loop& loop, u32 pc) { return loop.begin < pc; });
  std::vector<u16> touched;
  each_instruction(zone.begin, zone.end, [&](u32 pc, const Word* at) {
    while (!ends.empty() && ends.back() <= pc) ends.pop_back();
    for (; next != loops_.end() && next->begin <= pc; ++next) ends.push_back(next->end);
    const float weight = static_cast<float>(1u << 3 * std::min<usize>(ends.size(), 6));
    const SlotOperands& operands = slot_operands()[isa::raw_op(*at)];
    for (u32 i = 0; i < operands.count; ++i) {
      const u16 slot = static_cast<u16>(isa::read_field(at, operands.list[i].field));
      Weight& sum = weights_[slot];
      if (sum.general == 0 && sum.floats == 0 && sum.any == 0) touched.push_back(slot);
      const ValueKind kind = operands.list[i].kind;
      (kind == ValueKind::any ? sum.any : is_float(kind) ? sum.floats : sum.general) += weight;
    }
  });
  struct Candidate {
    float weight;
    u16 slot;
  };
  const u32 first_ones = std::min<u32>(module_.types[function_.type].param_slots(),
                                       zone.begin == 0 ? arguments_in_homes : 0);
  const auto is_first = [&](u16 slot) { return slot < first_ones; };
  std::vector<Candidate> general;
  std::vector<Candidate> floats;
  for (const u16 slot : touched) {
    Weight& sum = weights_[slot];
    // Copies want what the others want.
    (sum.floats > sum.general ? sum.floats : sum.general) += sum.any;
    // Those that are in homes already stay in them for a single use.
    const float least = is_first(slot) ? 0 : 1;
    if (sum.general > least) general.push_back({sum.general, slot});
    if (sum.floats > least) floats.push_back({sum.floats, slot});
    sum = {};
  }
  const auto give = [&](std::vector<Candidate>& candidates, u32 count, Home first) {
    Homes free = ((Homes{1} << count) - 1) << first;
    const auto take = [&](u16 slot, Home home) {
      free &= ~bit(home);
      zone.assigned.push_back({slot, home});
      zone.slot_of[home] = slot;
      zone.homes |= bit(home);
    };
    const auto heavier = [](const Candidate& a, const Candidate& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.slot < b.slot;
    };
    const usize kept = std::min<usize>(count, candidates.size());
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(kept),
                      candidates.end(), heavier);
    candidates.resize(kept);
    if (first == 0) {
      std::erase_if(candidates, [&](const Candidate& each) {
        if (is_first(each.slot)) take(each.slot, static_cast<Home>(each.slot));
        return is_first(each.slot);
      });
    }
    for (const Candidate& each : candidates) {
      take(each.slot, static_cast<Home>(std::countr_zero(free)));
    }
  };
  give(general, general_, 0);
  give(floats, floats_, first_float);
}

// What each loop of the zone reads and writes, so that its first turn finds it in registers.
void Analysis::find_uses(const Zone& zone) {
  auto next = std::lower_bound(loops_.begin(), loops_.end(), zone.begin,
                               [](const Loop& loop, u32 pc) { return loop.begin < pc; });
  if (next == loops_.end() || next->begin >= zone.end) return;
  for (const Zone::Assigned& each : zone.assigned)
    home_of(each.home >= first_float, each.slot) = each.home;
  std::vector<Loop*> around;  // the innermost last
  const auto leave = [&] {
    const Loop* const inner = around.back();
    around.pop_back();
    if (around.empty()) return;
    around.back()->used |= inner->used;
    around.back()->written |= inner->written;
    around.back()->calls |= inner->calls;
  };
  each_instruction(zone.begin, zone.end, [&](u32 pc, const Word* at) {
    while (!around.empty() && around.back()->end <= pc) leave();
    for (; next != loops_.end() && next->begin <= pc; ++next) around.push_back(&*next);
    const Op op = isa::op_of(*at);
    Homes used = 0;
    Homes written = 0;
    const SlotOperands& operands = slot_operands()[static_cast<u16>(op)];
    for (u32 i = 0; i < operands.count; ++i) {
      const SlotOperand& operand = operands.list[i];
      const u16 slot = static_cast<u16>(isa::read_field(at, operand.field));
      Homes homes = 0;
      for (const Home home : {home_of(false, slot), home_of(true, slot)}) {
        const bool fits =
            operand.kind == ValueKind::any || (home >= first_float) == is_float(operand.kind);
        if (home != no_home && fits) homes |= bit(home);
      }
      if (operand.use) used |= homes;
      if (operand.def) written |= homes;
    }
    if (around.empty()) return;
    around.back()->used |= used;
    around.back()->written |= written;
    around.back()->calls |= isa::info(op).has(isa::calls) && !isa::info(op).has(isa::ends);
  });
  while (!around.empty()) leave();
  for (const Zone::Assigned& each : zone.assigned)
    home_of(each.home >= first_float, each.slot) = no_home;
}

}  // namespace atollvm::jit
