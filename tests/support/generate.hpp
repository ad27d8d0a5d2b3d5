// Random programs that pass the verifier: all operations, nested blocks and loops, calls of every
// form, memories, tables, globals. Most run to their end; some trap, some never end.
//
// Inside a function it keeps the verifier's rule of definition before use: `defined_` are the slots
// that hold values, `floor_` those that labels around the current place need.
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "tests/support/build.hpp"
#include "tests/support/entropy.hpp"

namespace atollvm::test {

class ProgramGenerator {
 public:
  explicit ProgramGenerator(Entropy entropy) : entropy_(entropy) {}

  // Function number `main_function` takes `main_params` slots.
  ModuleBuilder make() {
    make_types();
    make_state();
    const u32 count = 1 + entropy_.below(5);
    for (u32 i = 0; i < count; ++i) {
      functions_.push_back(i == 0 ? main_type_ : types_[entropy_.below(size(types_))]);
    }
    fill_tables();
    for (u32 i = 0; i < count; ++i) make_function(imports + i, functions_[i]);
    module_.export_function("main", main_function);
    return std::move(module_);
  }

  static constexpr u32 imports = 2;  // "test" "mix" and "test" "later", both (i64, i64) -> i64
  static constexpr u32 main_function = imports;
  static constexpr u32 main_params = 3;

 private:
  static constexpr u32 temporaries = 24;
  static constexpr u32 table_size = 8;
  static constexpr u32 max_depth = 3;

  template <class T>
  static u32 size(const std::vector<T>& all) {
    return static_cast<u32>(all.size());
  }

  // --- The module ---------------------------------------------------------------------------

  u32 make_type(u32 params, u32 results) {
    constexpr ValType kinds[] = {ValType::i64, ValType::i32, ValType::f64, ValType::f32};
    std::vector<ValType> in;
    std::vector<ValType> out;
    for (u32 i = 0; i < params; ++i) in.push_back(kinds[i % 4]);
    for (u32 i = 0; i < results; ++i) out.push_back(kinds[(i + params) % 4]);
    return module_.type(in, out);
  }

  void make_types() {
    host_type_ = module_.type({ValType::i64, ValType::i64}, {ValType::i64});
    module_.import_function("test", "mix", host_type_);
    module_.import_function("test", "later", host_type_);
    main_type_ = module_.type({ValType::i64, ValType::i64, ValType::i64},
                              {ValType::i64, ValType::i64, ValType::i64});
    types_ = {host_type_, main_type_, make_type(0, 0), make_type(1, 1)};
    for (u32 i = 0; i < 3; ++i) types_.push_back(make_type(entropy_.below(6), entropy_.below(5)));
  }

  void make_state() {
    const bool pages = entropy_.once_in(4);
    module_.memory(pages ? 1 : 64 + entropy_.below(3000), {}, pages ? 16 : 0);
    module_.memory(200, 300, 0);
    module_.table(table_size, 12);
    module_.table(5);
    for (u32 i = 0; i < 4; ++i) {
      module_.global(ValType::i64, true, ModuleBuilder::i64_const(interesting()));
    }
    module_.data("The quick brown fox jumps over the lazy dog");
    module_.data(std::string(1, static_cast<char>(entropy_.byte())));
  }

  void fill_tables() {
    const u32 all = imports + size(functions_);
    mod::ElemSegment active;
    active.mode = mod::SegmentMode::active;
    active.offset = {ModuleBuilder::i32_const(0)};
    for (u32 i = 0; i < table_size - 1; ++i) {
      elements_.push_back(entropy_.below(all));
      active.items.push_back({ModuleBuilder::ref_func(elements_.back())});
    }
    module_.module.elems.push_back(active);
    module_.elem({main_function, 0, all - 1});
  }

  [[nodiscard]] u32 type_of(u32 function) const {
    return function < imports ? host_type_ : functions_[function - imports];
  }
  [[nodiscard]] u32 params_of(u32 type) const { return module_.module.types[type].param_slots(); }
  [[nodiscard]] u32 results_of(u32 type) const { return module_.module.types[type].result_slots(); }

  // --- Values and slots -----------------------------------------------------------------------

  u64 interesting() {
    constexpr u64 values[] = {0,
                              1,
                              2,
                              7,
                              ~u64{0},
                              0x7fff'ffff,
                              0x8000'0000,
                              0xffff'ffff,
                              u64{1} << 63,
                              (u64{1} << 63) - 1,
                              0x3f80'0000,             // f32 1
                              0x7fc0'0001,             // f32 NaN
                              0x3ff8'0000'0000'0000,   // f64 1.5
                              0x7ff0'0000'0000'0000,   // f64 infinity
                              0x43e0'0000'0000'0000,   // f64 2^63
                              0xc008'0000'0000'0000};  // f64 -3
    const u32 choice = entropy_.below(24);
    if (choice < std::size(values)) return values[choice];
    return choice < 20 ? entropy_.byte() : entropy_.bits();
  }

  // A slot that holds a value.
  u32 use() {
    const u32 start = entropy_.below(size(defined_));
    for (u32 i = 0; i < size(defined_); ++i) {
      const u32 slot = (start + i) % size(defined_);
      if (defined_[slot]) return slot;
    }
    return 0;  // there are always locals
  }
  // A slot to write: not one that counts a loop.
  u32 target() {
    const u32 free_locals = locals_ - counters;
    const u32 slot = entropy_.below(free_locals + temporaries);
    return slot < free_locals ? slot : slot + counters;
  }
  u32 define(u32 slot) {
    defined_[slot] = true;
    return slot;
  }
  // A temporary with a small number, to be used by the next instruction.
  u32 small_number(u32 limit, u32 reserved = 0) {
    const u32 slot = locals_ + reserved;
    code_->emit(Op::i32_const, {slot, entropy_.below(limit)});
    return define(slot);
  }
  [[nodiscard]] u32 watermark() const {
    return static_cast<u32>(std::find(defined_.begin(), defined_.end(), false) - defined_.begin());
  }

  // --- Labels ---------------------------------------------------------------------------------

  // A label that needs as many slots as hold values here, or only the locals.
  Label make_label(u32 defined) { return code_->label(defined); }
  u32 label_needs() {
    return entropy_.once_in(3) ? std::max(watermark(), floor_) : std::max(locals_, floor_);
  }

  void bind(Label label, u32 defined) {
    if (code_->here() == last_label_ && reachable_) code_->emit(Op::nop);
    code_->bind(label);
    last_label_ = code_->here();
    reachable_ = true;
    std::fill(defined_.begin(), defined_.end(), false);
    std::fill_n(defined_.begin(), defined, true);
  }

  // A conditional forward branch of a random kind.
  void branch(Label label) {
    if (entropy_.once_in(10)) return memory_branch(Op::br_load8_z, label);
    const u32 first = static_cast<u32>(Op::br_i32_eq);
    const u32 last = static_cast<u32>(Op::br_f64_nle);
    compare(static_cast<Op>(first + entropy_.below(last - first + 1)), label);
  }
  // One of the four that begin with `first`.
  void memory_branch(Op first, Label label) {
    const Op op = static_cast<Op>(static_cast<u32>(first) + entropy_.below(4));
    const u32 base = small_number(50);
    code_->emit(op, {base, entropy_.below(8), label});
  }
  void compare(Op op, Label label) {
    const isa::Format format = isa::info(op).format;
    if (format == isa::Format::sif || format == isa::Format::sib) {
      code_->emit(op, {use(), static_cast<i16>(interesting()), label});
    } else {
      code_->emit(op, {use(), use(), label});
    }
  }

  // --- Functions ------------------------------------------------------------------------------

  static constexpr u32 counters = 2 * max_depth;  // the last locals: counter and bound of each loop

  void make_function(u32 number, u32 type) {
    current_ = number;
    locals_ = std::max(params_of(type), 1u) + entropy_.below(5) + counters;
    CodeBuilder code(type, locals_, locals_ + temporaries);
    code_ = &code;
    type_ = type;
    defined_.assign(locals_ + temporaries, false);
    std::fill_n(defined_.begin(), locals_, true);
    floor_ = locals_;
    last_label_ = ~u32{0};
    reachable_ = true;
    block(0, 4 + entropy_.below(20));
    if (reachable_) leave(entropy_.once_in(5));
    module_.add(code);
  }

  void leave(bool by_tail_call) {
    reachable_ = false;
    if (by_tail_call && tail_call()) return;
    const u32 count = results_of(type_);
    if (count == 0) {
      code_->emit(Op::ret);
    } else if (count == 1) {
      const u32 choice = entropy_.below(4);
      if (choice < 2) {
        code_->emit(Op::ret_1, {use()});
      } else {
        code_->emit(choice == 2 ? Op::ret_i32_add : Op::ret_i64_add, {use(), use()});
      }
    } else {
      for (u32 i = 0; i < count; ++i) {
        code_->emit(Op::mov, {locals_ + i, use()});
        define(locals_ + i);
      }
      code_->emit(Op::ret_n, {locals_, count});
    }
  }

  void block(u32 depth, u32 statements) {
    for (u32 i = 0; i < statements && !entropy_.used_up() && code_->here() < 4000; ++i) {
      statement(depth);
    }
  }

  void statement(u32 depth) {
    const u32 choice = entropy_.below(32);
    if (choice < 14) return simple();
    if (choice < 19) return access();
    if (choice < 20) return bulk();
    if (choice < 22) return state();
    if (choice < 25) return call();
    if (depth >= max_depth) return simple();
    switch (choice) {
      case 25:
      case 26:
        return if_then(depth);
      case 27:
        return if_else(depth);
      case 28:
      case 29:
        return counted_loop(depth);
      case 30:
        return entropy_.once_in(3) ? open_loop(depth) : early_end();
      default:
        return table_switch(depth);
    }
  }

  // Runs `body` where labels need `needs` slots.
  template <class Body>
  void within(u32 needs, const Body& body) {
    const u32 outer = std::exchange(floor_, std::max(floor_, needs));
    body();
    floor_ = outer;
  }

  void if_then(u32 depth) {
    const u32 needs = label_needs();
    const Label end = make_label(needs);
    branch(end);
    within(needs, [&] { block(depth + 1, 1 + entropy_.below(6)); });
    bind(end, needs);
  }

  void if_else(u32 depth) {
    const u32 needs = label_needs();
    const Label otherwise = make_label(needs);
    const Label end = make_label(needs);
    branch(otherwise);
    within(needs, [&] { block(depth + 1, 1 + entropy_.below(4)); });
    code_->emit(Op::br, {end});
    reachable_ = false;
    bind(otherwise, needs);
    within(needs, [&] { block(depth + 1, 1 + entropy_.below(4)); });
    bind(end, needs);
  }

  void early_end() {
    if (results_of(type_) == 1 && entropy_.once_in(2)) {
      const u32 first = static_cast<u32>(Op::ret_if_i32_eq_i);
      const u32 last = static_cast<u32>(Op::ret_if_i64_ge_u_i);
      code_->emit(static_cast<Op>(first + entropy_.below(last - first + 1)),
                  {use(), static_cast<i16>(interesting()), use()});
      return;
    }
    const u32 needs = label_needs();
    const Label after = make_label(needs);
    branch(after);
    if (entropy_.once_in(12)) {
      code_->emit(Op::unreachable);
      reachable_ = false;
    } else {
      leave(entropy_.once_in(3));
    }
    bind(after, needs);
  }

  void counted_loop(u32 depth) {
    const u32 counter = locals_ - counters + 2 * depth;
    const u32 bound = counter + 1;
    code_->emit(Op::i64_const, {counter, 0}).emit(Op::i64_const, {bound, 1 + entropy_.below(9)});
    const u32 needs = label_needs();
    const Label start = make_label(needs);
    bind(start, needs);
    within(needs, [&] { block(depth + 1, 1 + entropy_.below(6)); });
    constexpr Op by_one[] = {Op::back_i32_inc_lt_s, Op::back_i32_inc_lt_u, Op::back_i64_inc_lt_s,
                             Op::back_i64_inc_lt_u, Op::back_i32_inc_ne,   Op::back_i64_inc_ne};
    constexpr Op by_step[] = {Op::back_i32_add_lt_s, Op::back_i32_add_lt_u, Op::back_i64_add_lt_s,
                              Op::back_i64_add_lt_u};
    constexpr Op until[] = {Op::back_i32_add_ne, Op::back_i64_add_ne};
    if (entropy_.below(2) == 0) {
      code_->emit(by_one[entropy_.below(6)], {counter, bound, start});
      return;
    }
    // A step of more than 1 may miss the bound.
    const bool meets = entropy_.once_in(3);
    const u32 step = locals_ + temporaries - 1;
    code_->emit(Op::i64_const, {define(step), meets ? 1 : 1 + entropy_.below(3)});
    code_->emit(meets ? until[entropy_.below(2)] : by_step[entropy_.below(4)],
                {counter, step, bound, start});
  }

  // A loop that may never end: by any comparison, or `back` with a way out.
  void open_loop(u32 depth) {
    const u32 needs = label_needs();
    const Label start = make_label(needs);
    bind(start, needs);
    within(needs, [&] { block(depth + 1, 1 + entropy_.below(5)); });
    if (entropy_.once_in(3)) {
      const Label out = make_label(needs);
      branch(out);
      code_->emit(Op::back, {start});
      reachable_ = false;
      bind(out, needs);
      return;
    }
    if (entropy_.once_in(6)) return memory_branch(Op::back_load8_z, start);
    if (entropy_.once_in(6)) return scan(start);
    const u32 first = static_cast<u32>(Op::back_i32_eq);
    const u32 last = static_cast<u32>(Op::back_f64_nle);
    compare(static_cast<Op>(first + entropy_.below(last - first + 1)), start);
  }

  // Steps through the first bytes: back to the begin of a loop, or again and again alone.
  void scan(Label start) { scan_to(start, small_number(50)); }
  void scan_alone() {
    const u32 address = small_number(50);
    const u32 needs = std::max(floor_, address + 1);
    const Label start = make_label(needs);
    bind(start, needs);
    scan_to(start, address);
  }
  void scan_to(Label start, u32 address) {
    const u32 first = static_cast<u32>(Op::back_i32_load_step_eq);
    const u32 last = static_cast<u32>(Op::back_i64_load_step_ge_u);
    code_->emit(static_cast<Op>(first + entropy_.below(last - first + 1)),
                {locals_ + 1, address, entropy_.below(5), use(), start});
    define(locals_ + 1);
  }

  void table_switch(u32 depth) {
    const u32 needs = label_needs();
    const u32 count = 1 + entropy_.below(4);
    std::vector<Label> cases;
    for (u32 i = 0; i < count; ++i) cases.push_back(make_label(needs));
    const Label end = make_label(needs);
    std::vector<Arg> args = {entropy_.once_in(3) ? use() : small_number(count + 1)};
    for (const Label& label : cases) args.emplace_back(label);
    args.emplace_back(cases[entropy_.below(count)]);
    code_->emit(Op::br_table, args);
    reachable_ = false;
    for (u32 i = 0; i < count; ++i) {
      bind(cases[i], needs);
      within(needs, [&] { block(depth + 1, 1 + entropy_.below(3)); });
      code_->emit(Op::br, {end});
      reachable_ = false;
    }
    bind(end, needs);
  }

  // --- Instructions ---------------------------------------------------------------------------

  // Operations on slots and constants alone.
  static const std::vector<Op>& simple_ops() {
    static const std::vector<Op> ops = [] {
      std::vector<Op> all;
      const u32 end = static_cast<u32>(Op::i32_load);
      for (u32 number = static_cast<u32>(Op::nop); number < end; ++number) {
        all.push_back(static_cast<Op>(number));
      }
      for (u32 number = static_cast<u32>(Op::f32_mul_sub);
           number <= static_cast<u32>(Op::f64_sub_add); ++number) {
        all.push_back(static_cast<Op>(number));
      }
      for (Op op : {Op::f32_mul_add_mul, Op::f32_mul_sub_mul, Op::f64_mul_add_mul,
                    Op::f64_mul_sub_mul, Op::ref_is_null}) {
        all.push_back(op);
      }
      for (u32 number = static_cast<u32>(Op::mov_2); number <= static_cast<u32>(Op::i64_xor_rotl);
           ++number) {
        all.push_back(static_cast<Op>(number));
      }
      for (Op op : {Op::i32_add_i2, Op::f32_mul_mul, Op::f64_mul_mul, Op::i32_add_add_i,
                    Op::i32_add_x2_i, Op::i32_add_x4_i, Op::i32_add_x8_i}) {
        all.push_back(op);
      }
      return all;
    }();
    return ops;
  }

  void simple() {
    const Op op = simple_ops()[entropy_.below(size(simple_ops()))];
    const isa::OpInfo& info = isa::info(op);
    // Traps end the program: divide by odd numbers, and convert what fits, most of the time.
    u32 last = use();
    if (info.has(isa::traps) && !entropy_.once_in(8)) {
      last = locals_ + 1;
      if (info.format == isa::Format::dss) {
        code_->emit(Op::i64_or_i, {last, use(), 1});
        define(last);
      } else if (info.signature.ends_with('f')) {
        code_->emit(Op::f32_convert_i32_u, {define(last), small_number(1000)});
      } else {
        code_->emit(Op::f64_convert_i32_u, {define(last), small_number(1000)});
      }
    }
    switch (info.format) {
      case isa::Format::nullary:
        code_->emit(op);
        return;
      case isa::Format::ds:
        code_->emit(op, {target_for(op), last});
        break;
      case isa::Format::dss:
        code_->emit(op, {target_for(op), use(), last});
        break;
      case isa::Format::dsss:
        code_->emit(op, {target_for(op), use(), use(), last});
        break;
      case isa::Format::dssss:
        code_->emit(op, {target_for(op), use(), use(), use(), last});
        break;
      case isa::Format::xss: {
        const u32 slot = target();
        if (!defined_[slot]) code_->emit(Op::mov, {slot, use()});
        code_->emit(op, {slot, use(), last});
        pending_ = slot;
        break;
      }
      case isa::Format::dsi:
        code_->emit(op, {target_for(op), use(), static_cast<i16>(interesting())});
        break;
      case isa::Format::dssi:
        code_->emit(op, {target_for(op), use(), last, static_cast<i16>(interesting())});
        break;
      case isa::Format::mov_2: {
        const u32 sources[] = {use(), use()};
        const u32 first = target();
        const u32 second = target();
        code_->emit(op, {first, sources[0], second, sources[1]});
        define(first);
        define(second);
        return;
      }
      case isa::Format::dsi_2: {
        const u32 sources[] = {use(), use()};
        const u32 first = target();
        const u32 second = target();
        code_->emit(op, {first, sources[0], static_cast<i16>(interesting()), second, sources[1],
                         static_cast<i16>(interesting())});
        define(first);
        define(second);
        return;
      }
      case isa::Format::mov_3: {
        const u32 sources[] = {use(), use(), use()};
        const u32 first = target();
        const u32 second = target();
        const u32 third = target();
        code_->emit(op, {first, sources[0], second, sources[1], third, sources[2]});
        for (u32 slot : {first, second, third}) define(slot);
        return;
      }
      case isa::Format::mov_range: {
        const u32 count = 1 + entropy_.below(6);
        const u32 from = entropy_.below(watermark() - std::min(watermark() - 1, count));
        const u32 length = std::min(count, watermark() - from);
        const u32 to = locals_ + entropy_.below(temporaries - length + 1);
        code_->emit(op, {to, from, length});
        for (u32 i = 0; i < length; ++i) define(to + i);
        return;
      }
      default:  // constants
        code_->emit(op, {target_for(op), static_cast<i64>(interesting())});
        break;
    }
    define(pending_);
  }
  // The slot that the instruction under construction will define.
  u32 target_for(Op) { return pending_ = target(); }

  // Loads and stores: mostly inside.
  void access() {
    if (entropy_.once_in(12)) return scan_alone();
    struct Rows {
      Op first, last;
    };
    constexpr Rows all[] = {{Op::i32_add_store, Op::f64_add_store},
                            {Op::i32_load, Op::i64_store32_x},
                            {Op::i32_load_step, Op::i64_store32_step},
                            {Op::i32_add_load, Op::f64_store_xb},
                            {Op::i32_load_xw, Op::f64_store_xbw}};
    const Rows rows = all[entropy_.below(static_cast<u32>(std::size(all)))];
    const u32 first = static_cast<u32>(rows.first);
    const u32 count = static_cast<u32>(rows.last) - first + 1;
    const Op op = static_cast<Op>(first + entropy_.below(count));
    const bool wild = entropy_.once_in(24);
    const u32 base = wild ? use() : small_number(50);
    switch (isa::info(op).format) {
      case isa::Format::load_step:
        pending_ = locals_ + 1;
        code_->emit(op, {pending_, small_number(50), entropy_.below(9)});
        break;
      case isa::Format::store_step: {
        const u32 address = small_number(50);
        code_->emit(op, {address, entropy_.below(9), use()});
        return;
      }
      case isa::Format::dsi:
        code_->emit(op, {target_for(op), base, entropy_.below(9)});
        break;
      case isa::Format::sms:
        code_->emit(op, {base, entropy_.below(100), use()});
        return;
      case isa::Format::store_w:
        code_->emit(op, {base, entropy_.below(9), use()});
        return;
      case isa::Format::dsm:
        code_->emit(op, {target_for(op), use(), base, entropy_.below(100)});
        break;
      case isa::Format::load:
        code_->emit(op, {target_for(op), base, wild ? entropy_.below(65536) : entropy_.below(8)});
        break;
      case isa::Format::store:
        code_->emit(op, {base, entropy_.below(8), use()});
        return;
      case isa::Format::load_long:
        code_->emit(op, {target_for(op), entropy_.below(2), base, entropy_.below(100)});
        break;
      case isa::Format::store_long:
        code_->emit(op, {entropy_.below(2), base, entropy_.below(100), use()});
        return;
      case isa::Format::dss: {
        const u32 index = wild ? use() : small_number(2, 1);
        code_->emit(op, {target_for(op), base, index});
        break;
      }
      case isa::Format::dssi: {
        const u32 index = wild ? use() : small_number(2, 1);
        code_->emit(op, {target_for(op), base, index, entropy_.below(9)});
        break;
      }
      case isa::Format::ssis: {
        const u32 index = wild ? use() : small_number(2, 1);
        code_->emit(op, {base, index, entropy_.below(9), use()});
        return;
      }
      default: {
        const u32 index = wild ? use() : small_number(2, 1);
        code_->emit(op, {base, index, use()});
        return;
      }
    }
    define(pending_);
  }

  void bulk() {
    const bool wild = entropy_.once_in(12);
    const u32 at = wild ? use() : small_number(4, 0);
    const u32 from = wild ? use() : small_number(3, 1);
    const u32 count = small_number(3, 2);
    switch (entropy_.below(6)) {
      case 0:
        code_->emit(Op::memory_fill, {entropy_.below(2), at, use(), small_number(60, 2)});
        return;
      case 1:
        code_->emit(Op::memory_copy,
                    {entropy_.below(2), entropy_.below(2), at, from, small_number(60, 2)});
        return;
      case 2:
        code_->emit(Op::memory_init, {entropy_.below(2), 0, at, from, small_number(40, 2)});
        return;
      case 3:
        code_->emit(Op::table_fill, {0, at, use(), count});
        return;
      case 4:
        code_->emit(Op::table_copy, {entropy_.below(2), entropy_.below(2), at, from, count});
        return;
      default:
        code_->emit(Op::table_init,
                    {entropy_.below(2), 1, at, small_number(2, 1), small_number(2, 2)});
        return;
    }
  }

  // Globals, tables, sizes.
  void state() {
    const auto op_to = [&](Op op, std::vector<Arg> args) {
      pending_ = target();
      args.insert(args.begin(), pending_);
      code_->emit(op, args);
      define(pending_);
    };
    const u32 function = entropy_.below(imports + size(functions_));
    switch (entropy_.below(13)) {
      case 0:
      case 1:
        return op_to(Op::global_get, {entropy_.below(4)});
      case 2:
      case 3:
        code_->emit(Op::global_set, {entropy_.below(4), use()});
        return;
      case 4:
        return op_to(Op::ref_func, {function});
      case 5: {
        const u32 index = small_number(8);
        return op_to(Op::table_get, {0, index});
      }
      case 6: {
        const u32 index = small_number(5);
        code_->emit(Op::table_set, {entropy_.below(2), index, use()});
        return;
      }
      case 7:
        return op_to(Op::table_size, {entropy_.below(2)});
      case 8: {
        const u32 delta = entropy_.once_in(4) ? use() : small_number(3);
        return op_to(Op::table_grow, {entropy_.below(2), use(), delta});
      }
      case 9:
        return op_to(Op::memory_size, {entropy_.below(2)});
      case 10: {
        const u32 delta = entropy_.once_in(4) ? use() : small_number(70);
        return op_to(Op::memory_grow, {entropy_.below(2), delta});
      }
      case 11:
        code_->emit(Op::data_drop, {1});
        return;
      default:
        if (entropy_.once_in(4)) code_->emit(Op::elem_drop, {entropy_.below(2)});
        return;
    }
  }

  // --- Calls ----------------------------------------------------------------------------------

  // A function and how it is called; `indirect` has the index or the reference.
  struct Callee {
    u32 function = 0;
    u32 type = 0;
    enum class By : u8 { name, table, reference } by = By::name;
  };
  Callee choose_callee() {
    Callee callee;
    callee.by = static_cast<Callee::By>(entropy_.below(3));
    const u32 all = imports + size(functions_);
    const bool recursion = entropy_.once_in(10);
    for (u32 attempt = 0; attempt < 4; ++attempt) {
      element_ = entropy_.below(size(elements_));
      callee.function = callee.by == Callee::By::table ? elements_[element_] : entropy_.below(all);
      // Mostly calls go to later functions, so that they end.
      if (recursion || callee.function < imports || callee.function > current_) break;
      if (attempt == 3) {
        callee.by = Callee::By::name;
        callee.function = 0;
      }
    }
    callee.type = type_of(callee.function);
    return callee;
  }

  // Puts arguments into window.., and what an indirect call looks at into the slot before them.
  // Gives the operands.
  std::vector<Arg> prepare_call(const Callee& callee, u32 window) {
    for (u32 i = 0; i < params_of(callee.type); ++i) {
      code_->emit(Op::mov, {window + i, use()});
      define(window + i);
    }
    const u32 indirect = window - 1;
    const bool wild = entropy_.once_in(16);
    switch (callee.by) {
      case Callee::By::table:
        if (wild) return {window, 0, callee.type, use()};
        code_->emit(Op::i32_const, {define(indirect), element_});
        return {window, 0, callee.type, indirect};
      case Callee::By::reference:
        if (wild) return {window, callee.type, use()};
        code_->emit(Op::ref_func, {define(indirect), callee.function});
        return {window, callee.type, indirect};
      default:
        return {window, callee.function};
    }
  }

  void call() {
    const Callee callee = choose_callee();
    const u32 results = results_of(callee.type);
    const u32 need = std::max(params_of(callee.type), results);
    const u32 first = floor_ + 1;  // the header must not be a slot that a label needs
    const u32 frame = locals_ + temporaries;
    if (first + need > frame) return;
    const u32 window = first + entropy_.below(frame - first - need + 1);
    const std::vector<Arg> args = prepare_call(callee, window);
    const Op direct = callee.function < imports ? Op::call_import : Op::call;
    constexpr Op indirect[] = {Op::nop, Op::call_table, Op::call_ref};
    if (callee.by == Callee::By::name && direct == Op::call && params_of(callee.type) != 0 &&
        entropy_.once_in(3)) {
      const u32 argument = window + entropy_.below(params_of(callee.type));
      code_->emit(entropy_.once_in(2) ? Op::call_i32_add_i : Op::call_i64_add_i,
                  {window, callee.function, argument, use(), static_cast<i16>(interesting())});
    } else {
      code_->emit(callee.by == Callee::By::name ? direct : indirect[static_cast<u32>(callee.by)],
                  args);
    }
    std::fill(defined_.begin() + (window - 1), defined_.end(), false);
    for (u32 i = 0; i < results; ++i) define(window + i);
    if (results > 0) code_->emit(Op::mov, {target_for(Op::mov), window + entropy_.below(results)});
    if (results > 0) define(pending_);
  }

  // False: no function has the same results.
  bool tail_call() {
    Callee callee;
    const auto fits = [&] {
      return module_.module.types[callee.type].results == module_.module.types[type_].results;
    };
    for (u32 attempt = 0; attempt < 4; ++attempt) {
      callee = choose_callee();
      if (fits()) break;
    }
    if (!fits()) return false;
    const std::vector<Arg> args = prepare_call(callee, locals_ + 1);
    const Op direct = callee.function < imports ? Op::tail_import : Op::tail;
    constexpr Op indirect[] = {Op::nop, Op::tail_table, Op::tail_ref};
    code_->emit(callee.by == Callee::By::name ? direct : indirect[static_cast<u32>(callee.by)],
                args);
    return true;
  }

  Entropy entropy_;
  ModuleBuilder module_;
  u32 host_type_ = 0;
  u32 main_type_ = 0;
  std::vector<u32> types_;
  std::vector<u32> functions_;  // types of own functions
  std::vector<u32> elements_;   // functions in the first table

  // Of the function under construction.
  CodeBuilder* code_ = nullptr;
  u32 current_ = 0;
  u32 type_ = 0;
  u32 locals_ = 0;
  u32 floor_ = 0;
  std::vector<bool> defined_;
  u32 last_label_ = 0;
  bool reachable_ = true;
  u32 pending_ = 0;
  u32 element_ = 0;
};

}  // namespace atollvm::test
