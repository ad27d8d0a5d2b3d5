#include "vm/jit/x64_emitter.hpp"

#include <sys/random.h>

#include <algorithm>

#include "vm/interp/numeric.hpp"
#include "vm/jit/fuel.hpp"
#include "vm/jit/routines.hpp"
#include "vm/jit/x64_worker.hpp"

namespace atollvm::jit {

using namespace asmjit;
using isa::Op;
namespace Id = x86::Inst;

namespace {

constexpr u32 homes_float = 14;  // xmm2 to xmm15
constexpr u32 general_homes(Variant variant) {
  return static_cast<u32>(std::size(homes_general)) - (variant.counts_fuel ? 1 : 0);
}

}  // namespace

x86::Mem Emitter::limit() { return at::worker(at::limit); }
x86::Mem Emitter::instance() { return at::worker(at::instance); }
x86::Gp Emitter::fuel() { return homes_general[std::size(homes_general) - 1]; }
x86::Gp Emitter::gp(Home home) { return homes_general[home]; }
x86::Xmm Emitter::xmm(Home home) { return x86::xmm(home - first_float + 2u); }

Emitter::Emitter(const runtime::Program& program, u32 function, Variant variant)
    : program_(program),
      module_(program.module()),
      function_(module_.functions[function - program.imported_functions()]),
      index_(function),
      variant_(variant),
      code_(module_.code.data() + function_.code_begin),
      analysis_(program, function, general_homes(variant), homes_float),
      homes_(usize{function_.frame_slots} * 2, no_home) {
  holder_.init(Environment::host());
  holder_.setErrorHandler(&refusals_);
  holder_.attach(&a_);
  const auto& zones = analysis_.zones();
  const auto& loops = analysis_.loops();
  usize zone = 0;
  usize loop = 0;
  for (u32 i = 0; i < function_.label_count; ++i) {
    const mod::Label& label = module_.labels[function_.label_begin + i];
    LabelState& state = labels_.emplace_back();
    state.pc = label.pc;
    state.defined = label.defined;
    while (zones[zone].end <= label.pc) ++zone;
    state.zone = static_cast<u32>(zone);
    while (loop < loops.size() && loops[loop].begin < label.pc) ++loop;
    if (loop < loops.size() && loops[loop].begin == label.pc) state.loop = &loops[loop];
    state.forward = a_.newLabel();
    state.header = a_.newLabel();
  }
}

void Emitter::list(std::vector<Listed>& listing) {
  listing_ = &listing;
  logger_.addFlags(FormatFlags::kMachineCode | FormatFlags::kHexImms);
  holder_.setLogger(&logger_);
}

// What was emitted since the last time is of the instruction at `pc`.
void Emitter::listed(u32 pc) {
  if (listing_ == nullptr) return;
  listing_->push_back({function_.code_begin + pc, {logger_.data(), logger_.dataSize()}});
  logger_.clear();
}

base::Result<Emitted> Emitter::emit() {
  if (variant_.hardened && getrandom(&key_, sizeof key_, 0) != sizeof key_) {
    return base::Error{base::ErrorCode::io, program_.function_name(index_),
                       "the host gives no random numbers"};
  }
  enter_zone(0);
  prologue();
  listed(0);
  walk();
  stubs();
  listed(function_.code_size);
  Emitted emitted;
  // Distances in jump tables are made when the code is given an address; any will do.
  if (refusals_.any || holder_.flatten() != kErrorOk ||
      holder_.resolveUnresolvedLinks() != kErrorOk || holder_.hasUnresolvedLinks() ||
      holder_.relocateToBase(0) != kErrorOk || refusals_.any) {
    return base::Error{base::ErrorCode::limit, program_.function_name(index_),
                       "the function is too large to be compiled"};
  }
  emitted.code.resize(holder_.codeSize());
  holder_.copyFlattenedData(emitted.code.data(), emitted.code.size());
  for (const ResumeLabel& each : resumes_) {
    emitted.resumes.push_back(
        {function_.code_begin + each.pc, static_cast<u32>(holder_.labelOffset(each.label))});
  }
  std::stable_sort(emitted.resumes.begin(), emitted.resumes.end(),
                   [](const Resume& a, const Resume& b) { return a.pc < b.pc; });
  emitted.fallback_pcs = std::move(fallbacks_);
  emitted.faults = std::move(faults_);
  return emitted;
}

// --- The function as a whole --------------------------------------------------------------------

void Emitter::prologue() {
  const runtime::FuncInfo& info = program_.functions()[index_];
  entry_ = a_.newLabel();
  entry_slow_ = a_.newLabel();
  entry_room_ = a_.newLabel();
  entry_on_ = a_.newLabel();
  a_.bind(entry_);
  landing();
  a_.lea(x86::rax, slot(info.window_slots));
  a_.cmp(x86::rax, limit());
  a_.ja(entry_slow_);
  a_.bind(entry_room_);
  if (variant_.counts_fuel) {
    a_.test(fuel(), fuel());
    a_.js(entry_slow_);
  }
  a_.bind(entry_on_);
  take_arguments();
  // Locals begin as zeros: in their homes, or in their slots.
  bool has_zero = false;
  const u32 end = u32{info.param_slots} + info.zeroed_slots;
  const auto in_home = [&](u32 number) {
    const Home home = general_of(static_cast<u16>(number));
    const Home other = float_of(static_cast<u16>(number));
    if (home != no_home) a_.xor_(gp(home).r32(), gp(home).r32());
    if (home == no_home && other != no_home) a_.xorps(xmm(other), xmm(other));
    const Home taken = home != no_home ? home : other;
    if (taken == no_home) return false;
    regs_.valid |= bit(taken);
    regs_.dirty |= bit(taken);
    return true;
  };
  if (info.zeroed_slots > 64) {
    const Label more = a_.newLabel();
    a_.lea(x86::rdx, slot(info.param_slots));
    a_.mov(x86::ecx, u32{info.zeroed_slots});
    a_.xor_(x86::eax, x86::eax);
    a_.bind(more);
    a_.mov(x86::ptr(x86::rdx), x86::rax);
    a_.add(x86::rdx, 8);
    a_.dec(x86::ecx);
    a_.jnz(more);
  } else {
    for (u32 number = info.param_slots; number < end; ++number) {
      if (in_home(number)) continue;
      if (!has_zero) a_.xor_(x86::eax, x86::eax);
      has_zero = true;
      a_.mov(slot(number), x86::rax);
    }
  }
  body_ = a_.newLabel();
  a_.bind(body_);
  body_regs_ = regs_;
}

void Emitter::walk() {
  const auto& zones = analysis_.zones();
  usize next_label = 0;
  bool begins_fuel_block = true;
  for (pc_ = 0; pc_ < function_.code_size;) {
    w_ = code_[pc_];
    if (next_label < labels_.size() && labels_[next_label].pc == pc_) {
      arrive(labels_[next_label++]);
      begins_fuel_block = true;
    } else if (pc_ == zones[zone_].end) {
      if (reachable_) flush(regs_.dirty);
      forget_all();
      enter_zone(zone_ + 1);
    }
    const u32 length = static_cast<u32>(isa::length(code_ + pc_));
    const Op op = isa::op_of(w_);
    if (reachable_) {
      if (variant_.counts_fuel && begins_fuel_block) take_fuel();
      if (!emit_integer(op) && !emit_float(op) && !emit_conversion(op) && !emit_memory(op) &&
          !emit_branch(op) && !emit_return(op) && !emit_call(op) && !emit_range(op) &&
          !emit_memories(op) && !emit_table(op)) {
        fallbacks_.push_back(function_.code_begin + pc_);
        by_runtime(Routine::fallback);
      }
      if (isa::info(op).has(isa::ends)) reachable_ = false;
    }
    begins_fuel_block = ends_fuel_block(op);
    listed(pc_);
    pc_ += length;
  }
}

void Emitter::enter_zone(u32 zone) {
  const auto& zones = analysis_.zones();
  for (const Zone::Assigned& each : zones[zone_].assigned) {
    homes_[usize{each.slot} * 2 + (each.home >= first_float ? 1 : 0)] = no_home;
  }
  zone_ = zone;
  for (const Zone::Assigned& each : zones[zone_].assigned) {
    homes_[usize{each.slot} * 2 + (each.home >= first_float ? 1 : 0)] = each.home;
  }
}

Homes Emitter::below(u32 slots, u32 zone) const {
  const Zone& of = analysis_.zones()[zone];
  Homes homes = 0;
  for (const Zone::Assigned& each : of.assigned) {
    if (each.slot < slots) homes |= bit(each.home);
  }
  return homes;
}

Emitter::LabelState& Emitter::label_at(u32 pc) {
  return *std::lower_bound(labels_.begin(), labels_.end(), pc,
                           [](const LabelState& label, u32 at) { return label.pc < at; });
}

// Code goes on at a label.
void Emitter::arrive(LabelState& label) {
  if (reachable_) {
    Homes stores = 0;
    Homes loads = 0;
    edge(label, stores, loads);
    flush(stores);
    if (label.zone == zone_) {
      for (Home home = 0; home < max_homes; ++home) {
        if ((loads & bit(home)) != 0) load_home(home);
      }
    }
  }
  a_.bind(label.forward);
  if (label.lands) landing();
  if (label.zone != zone_) enter_zone(label.zone);
  regs_ = label.at;
  reachable_ = true;
  if (label.loop == nullptr) return;
  // What the loop uses is loaded before it; a loop with calls finds it in slots at each turn.
  const Homes defined = below(label.defined, zone_);
  if (label.loop->calls) {
    flush(regs_.dirty & defined);
    forget_all();
  } else {
    const Homes wanted = label.loop->used & defined & ~regs_.valid;
    for (Home home = 0; home < max_homes; ++home) {
      if ((wanted & bit(home)) != 0) load_home(home);
    }
    regs_.dirty |= label.loop->written & regs_.valid;
  }
  label.at = regs_;
  a_.bind(label.header);
}

// --- Edges --------------------------------------------------------------------------------------

void Emitter::edge(LabelState& to, Homes& stores, Homes& loads) {
  const Homes defined = below(to.defined, zone_);
  const Homes valid = regs_.valid & defined;
  const Homes dirty = regs_.dirty & defined;
  if (to.zone != zone_) {
    stores = dirty;
    loads = 0;
    to.seen = true;
    return;
  }
  if (!to.seen) {
    to.seen = true;
    to.at = {valid, dirty};
    stores = 0;
    loads = 0;
    return;
  }
  // What was alone in a register on another way must be in it on this one.
  loads = to.at.dirty & ~valid;
  stores = dirty & ~to.at.valid;
  to.at.valid &= valid | loads;
  to.at.dirty |= dirty & to.at.valid;
}

Label Emitter::edge_label(u32 target, bool lands) {
  LabelState& to = label_at(target);
  const Regs before = regs_;
  Homes stores = 0;
  Homes loads = 0;
  edge(to, stores, loads);
  if (stores == 0 && loads == 0) {
    to.lands |= lands;
    return to.forward;
  }
  const Label stub = a_.newLabel();
  edges_.push_back({stub, to.forward, zone_, stores, loads, before.dirty, lands});
  return stub;
}

void Emitter::jump(u32 target) {
  LabelState& to = label_at(target);
  Homes stores = 0;
  Homes loads = 0;
  edge(to, stores, loads);
  flush(stores);
  for (Home home = 0; home < max_homes; ++home) {
    if ((loads & bit(home)) != 0) load_home(home);
  }
  a_.jmp(to.forward);
}

void Emitter::jump_if(const Test& test, Label target) {
  if (test.nan == Test::Nan::and_ordered) {
    const Label no = a_.newLabel();
    a_.jp(no);
    a_.j(test.cond, target);
    a_.bind(no);
    return;
  }
  if (test.nan == Test::Nan::or_unordered) a_.jp(target);
  a_.j(test.cond, target);
}

void Emitter::jump_unless(const Test& test, Label target) {
  const Cond opposite = static_cast<Cond>(static_cast<u8>(test.cond) ^ 1);
  if (test.nan == Test::Nan::and_ordered) {
    a_.jp(target);
    a_.j(opposite, target);
  } else if (test.nan == Test::Nan::or_unordered) {
    const Label yes = a_.newLabel();
    a_.jp(yes);
    a_.j(opposite, target);
    a_.bind(yes);
  } else {
    a_.j(opposite, target);
  }
}

void Emitter::branch(u32 target, const Test& test) { jump_if(test, edge_label(target)); }

// Brings the registers to what a loop's header wants.
void Emitter::conform(const LabelState& header) {
  const Homes defined = below(header.defined, zone_);
  flush(regs_.dirty & defined & ~(header.at.valid & header.at.dirty));
  const Homes loads = header.at.valid & ~regs_.valid;
  for (Home home = 0; home < max_homes; ++home) {
    if ((loads & bit(home)) != 0) load_home(home);
  }
}

// A branch back whose condition can be evaluated twice: the poll comes first, so that comparison
// and branch stay together.
void Emitter::back(u32 target) {
  LabelState& to = label_at(target);
  conform(to);
  const Label after = a_.newLabel();
  const Label stub = a_.newLabel();
  polls_.push_back({stub, after, pc_, target, true, zone_, regs_});
  poll(stub);
  jump_if(condition(), to.header);
  a_.bind(after);
}

// The same after a comparison that has effects.
void Emitter::back_after_compare(u32 target, const Test& test) {
  LabelState& to = label_at(target);
  const Label after = a_.newLabel();
  const Regs regs = regs_;
  jump_unless(test, after);
  conform(to);
  PollStub& stub = polls_.emplace_back();
  stub.label = a_.newLabel();
  stub.after = after;
  stub.pc = pc_;
  stub.target = target;
  stub.zone = zone_;
  stub.regs = regs_;
  poll(stub.label);
  a_.jmp(to.header);
  a_.bind(after);
  regs_ = regs;
}

void Emitter::poll(Label stop) {
  a_.cmp(x86::rbx, limit());
  a_.ja(stop);
  if (!variant_.counts_fuel) return;
  a_.test(fuel(), fuel());
  a_.js(stop);
}

// Of the block that begins here.
void Emitter::take_fuel() {
  const u32 amount = fuel_from(module_, function_, pc_);
  if (amount != 0) a_.sub(fuel(), amount);
}

void Emitter::resume_at(u32 pc) {
  const Label here = a_.newLabel();
  a_.bind(here);
  landing();
  resumes_.push_back({pc, here});
}

void Emitter::stubs() {
  // What follows accesses memories only where that was compared.
  if (variant_.guarded) faults_.push_back({no_access, static_cast<u32>(a_.offset())});
  for (const EdgeStub& each : edges_) {
    a_.bind(each.label);
    if (each.lands) landing();
    enter_zone(each.zone);
    regs_ = {each.dirty, each.dirty};
    flush(each.stores);
    for (Home home = 0; home < max_homes; ++home) {
      if ((each.loads & bit(home)) != 0) load_home(home);
    }
    a_.jmp(each.target);
  }
  for (usize i = 0; i < polls_.size(); ++i) {
    const PollStub each = polls_[i];
    a_.bind(each.label);
    enter_zone(each.zone);
    regs_ = each.regs;
    if (each.again) {
      pc_ = each.pc;
      w_ = code_[pc_];
      jump_unless(condition(), each.after);
    }
    flush(regs_.dirty);
    a_.mov(x86::esi, function_.code_begin + each.target);
    a_.mov(x86::rax, at::worker(at::routines));
    a_.jmp(x86::ptr(x86::rax, static_cast<i32>(Routine::stop) * 8));
  }
  for (const NanStub& each : nans_) {
    a_.bind(each.label);
    using interp::num::canonical_nan;
    a_.mov(x86::rax, each.is_64 ? canonical_nan<f64> : u64{canonical_nan<f32>});
    a_.movq(each.value, x86::rax);
    a_.jmp(each.after);
  }
  trap_stubs();
  for (const SlowPath& each : slow_paths_) slow_path(each);
  if (copy_helper_.isValid()) {
    a_.bind(copy_helper_);
    copy_helper();
  }
  if (fill_helper_.isValid()) {
    a_.bind(fill_helper_);
    fill_helper();
  }
  for (const ResultStub& each : results_) {
    a_.bind(each.label);
    resume_at(each.pc);
    a_.mov(x86::rax, slot(each.slot));
    a_.jmp(each.after);
  }
  a_.bind(entry_slow_);
  const u32 arguments = std::min<u32>(program_.functions()[index_].param_slots, arguments_in_homes);
  for (u32 i = 0; i < arguments; ++i) a_.mov(slot(i), homes_general[i]);
  a_.mov(x86::esi, index_);
  a_.mov(x86::rax, at::worker(at::routines));
  a_.call(x86::ptr(x86::rax, static_cast<i32>(Routine::entry) * 8));
  for (u32 i = 0; i < arguments; ++i) a_.mov(homes_general[i], slot(i));
  a_.jmp(entry_on_);
  // Ways in, with all in slots: the function's start, loops.
  enter_zone(0);
  regs_ = {};
  resume_at(0);
  for (Home home = 0; home < max_homes; ++home) {
    if ((body_regs_.valid & bit(home)) != 0) load_home(home);
  }
  a_.jmp(body_);
  for (const LabelState& label : labels_) {
    if (label.loop == nullptr || label.pc == 0) continue;
    enter_zone(label.zone);
    regs_ = {};
    resume_at(label.pc);
    for (Home home = 0; home < max_homes; ++home) {
      if ((label.at.valid & bit(home)) != 0) load_home(home);
    }
    a_.jmp(label.header);
  }
}

// Those of one reason share all but their address.
void Emitter::trap_stubs() {
  std::vector<std::pair<Trap, Label>> shared;
  for (const TrapStub& each : traps_) {
    a_.bind(each.label);
    a_.mov(x86::esi, function_.code_begin + each.pc);
    const auto same = std::ranges::find(shared, each.trap, &std::pair<Trap, Label>::first);
    if (same != shared.end()) {
      a_.jmp(same->second);
      continue;
    }
    a_.bind(shared.emplace_back(each.trap, a_.newLabel()).second);
    a_.mov(x86::ecx, static_cast<u32>(each.trap));
    a_.mov(x86::rax, at::worker(at::routines));
    a_.jmp(x86::ptr(x86::rax, static_cast<i32>(Routine::trap) * 8));
  }
}

Label Emitter::trap(Trap trap) {
  if (!traps_.empty() && traps_.back().pc == pc_ && traps_.back().trap == trap) {
    return traps_.back().label;
  }
  traps_.push_back({a_.newLabel(), pc_, trap});
  return traps_.back().label;
}

// --- Jump tables --------------------------------------------------------------------------------

// The index is limited without a branch, so that the CPU makes no guess about it.
void Emitter::table_branch() {
  const u32 count = isa::field_bc(w_);
  const Gp index = use(isa::field_a(w_), x86::rax);
  a_.mov(x86::ecx, count - 1);
  a_.cmp(index.r32(), x86::ecx);
  a_.cmovb(x86::ecx, index.r32());
  struct Target {
    u32 pc;
    Label label;
  };
  std::vector<Target> targets;
  std::vector<u32> sorted;
  for (u32 i = 0; i < count; ++i) sorted.push_back(pc_ + isa::table_target(code_ + pc_, i));
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (const u32 pc : sorted) targets.push_back({pc, edge_label(pc, true)});
  const Label table = a_.newLabel();
  a_.lea(x86::rdx, x86::ptr(table));
  a_.movsxd(x86::rax, x86::ptr(x86::rdx, x86::rcx, 2, 0, 4));
  a_.add(x86::rax, x86::rdx);
  a_.jmp(x86::rax);
  a_.align(AlignMode::kData, 4);
  a_.bind(table);
  for (u32 i = 0; i < count; ++i) {
    const u32 pc = pc_ + isa::table_target(code_ + pc_, i);
    const auto at = std::lower_bound(targets.begin(), targets.end(), pc,
                                     [](const Target& each, u32 to) { return each.pc < to; });
    a_.embedLabelDelta(at->label, table, 4);
  }
}

// --- Slots and homes ----------------------------------------------------------------------------

void Emitter::load_home(Home home) {
  const u16 number = analysis_.zones()[zone_].slot_of[home];
  // What memory accesses take to be clean is made so here, whatever was in the slot: frames may
  // come from a hostile snapshot.
  const bool is_32 = analysis_.loads_32(number) || analysis_.is_clean_32(number);
  const Home other = home >= first_float ? general_of(number) : float_of(number);
  const bool is_in_other = other != no_home && (regs_.dirty & bit(other)) != 0;
  if (home >= first_float && is_in_other) {
    a_.emit(is_32 ? Id::kIdMovd : Id::kIdMovq, xmm(home), sized(gp(other), !is_32));
  } else if (home >= first_float) {
    a_.emit(is_32 ? Id::kIdMovss : Id::kIdMovsd, xmm(home), is_32 ? slot32(number) : slot(number));
  } else if (is_in_other) {
    a_.emit(is_32 ? Id::kIdMovd : Id::kIdMovq, sized(gp(home), !is_32), xmm(other));
  } else {
    a_.mov(sized(gp(home), !is_32), is_32 ? slot32(number) : slot(number));
  }
  regs_.valid |= bit(home);
}

void Emitter::store_home(Home home) {
  const u16 number = analysis_.zones()[zone_].slot_of[home];
  if (home >= first_float) {
    a_.movsd(slot(number), xmm(home));
  } else {
    a_.mov(slot(number), gp(home));
  }
  regs_.dirty &= ~bit(home);
}

void Emitter::flush(Homes homes) {
  for (Home home = 0; homes != 0; ++home, homes >>= 1) {
    if ((homes & 1) != 0) store_home(home);
  }
}

x86::Gp Emitter::use(u16 number, Gp scratch) {
  const Home home = general_of(number);
  if (home != no_home) {
    if ((regs_.valid & bit(home)) == 0) load_home(home);
    return gp(home);
  }
  const Home other = float_of(number);
  if (other != no_home && (regs_.dirty & bit(other)) != 0) {
    a_.movq(scratch, xmm(other));
  } else {
    a_.mov(scratch, slot(number));
  }
  return scratch;
}

Operand Emitter::source(u16 number, Gp scratch, bool is_64) {
  const Home home = general_of(number);
  const Home other = float_of(number);
  if (home != no_home || (other != no_home && (regs_.dirty & bit(other)) != 0)) {
    const Gp value = use(number, scratch);
    return sized(value, is_64);
  }
  return is_64 ? slot(number) : slot32(number);
}

x86::Gp Emitter::use_clean(u16 number, Gp scratch) {
  const Home home = general_of(number);
  if (home != no_home) {
    const Gp value = use(number, scratch);
    if (analysis_.is_clean_32(number)) return value;
    a_.mov(scratch.r32(), value.r32());
    return scratch;
  }
  const Home other = float_of(number);
  if (other != no_home && (regs_.dirty & bit(other)) != 0) {
    a_.movd(scratch.r32(), xmm(other));
  } else {
    a_.mov(scratch.r32(), slot32(number));
  }
  return scratch;
}

x86::Xmm Emitter::use_float(u16 number, Xmm scratch) {
  const Home home = float_of(number);
  if (home != no_home) {
    if ((regs_.valid & bit(home)) == 0) load_home(home);
    return xmm(home);
  }
  const Home other = general_of(number);
  if (other != no_home && (regs_.dirty & bit(other)) != 0) {
    a_.movq(scratch, gp(other));
  } else {
    a_.movsd(scratch, slot(number));
  }
  return scratch;
}

Operand Emitter::source_float(u16 number, Xmm scratch, bool is_64) {
  const Home other = general_of(number);
  if (float_of(number) != no_home || (other != no_home && (regs_.dirty & bit(other)) != 0)) {
    return use_float(number, scratch);
  }
  return is_64 ? slot(number) : slot32(number);
}

x86::Xmm Emitter::clean_float(u16 number, Xmm scratch, bool is_64) {
  if (is_64 || (float_of(number) != no_home && analysis_.is_clean_32(number))) {
    return use_float(number, scratch);
  }
  const Home other = general_of(number);
  if (float_of(number) != no_home) {
    const Xmm value = use_float(number, scratch);
    a_.xorps(scratch, scratch);
    a_.movss(scratch, value);
  } else if (other != no_home && (regs_.dirty & bit(other)) != 0) {
    a_.movd(scratch, gp(other).r32());
  } else {
    a_.movss(scratch, slot32(number));
  }
  return scratch;
}

x86::Gp Emitter::target(u16 number) {
  const Home home = general_of(number);
  return home == no_home ? Gp(x86::rax) : gp(home);
}

x86::Xmm Emitter::target_float(u16 number) {
  const Home home = float_of(number);
  return home == no_home ? Xmm(x86::xmm0) : xmm(home);
}

// `value` is 64 bits wide.
void Emitter::define(u16 number, Gp value) {
  const Home home = general_of(number);
  const Home other = float_of(number);
  if (home != no_home) {
    if (gp(home) != value.r64()) a_.mov(gp(home), value.r64());
    drop(other);
    regs_.valid |= bit(home);
    regs_.dirty |= bit(home);
  } else if (other != no_home) {
    a_.movq(xmm(other), value.r64());
    regs_.valid |= bit(other);
    regs_.dirty |= bit(other);
  } else {
    a_.mov(slot(number), value.r64());
  }
}

void Emitter::define_float(u16 number, Xmm value) {
  const Home home = float_of(number);
  const Home other = general_of(number);
  if (home != no_home) {
    if (xmm(home) != value) a_.movaps(xmm(home), value);
    drop(other);
    regs_.valid |= bit(home);
    regs_.dirty |= bit(home);
  } else if (other != no_home) {
    a_.movq(gp(other), value);
    regs_.valid |= bit(other);
    regs_.dirty |= bit(other);
  } else {
    a_.movsd(slot(number), value);
  }
}

}  // namespace atollvm::jit
