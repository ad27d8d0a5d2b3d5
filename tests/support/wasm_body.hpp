// Valid bodies of WebAssembly functions, for the generator of modules. An operand stack is kept
// track of, and each step takes what is on it or puts there what it needs: values lie deep and
// long on the stack, and locals are set under them.
//
// Two rules keep runs comparable. Each call and each turn of a loop is counted: bodies end. And a
// float whose bits will show (stored, reinterpreted, sign copied) gets one fixed NaN before.
#pragma once

#include "tests/support/wasm_parts.hpp"

namespace atollvm::test {

class WasmBody {
 public:
  WasmBody(const WasmEnvironment& env, const WasmType& type, WasmDice& dice)
      : env_(env), type_(type), dice_(dice), locals_(type.params) {
    frames_.push_back({0, type.results, type.results, false, true});
  }

  WasmCode make(u32 steps) {
    const u32 count = dice_.once_in(15) ? dice_.between(60, 300) : dice_.between(0, 14);
    for (u32 i = 0; i < count; ++i) locals_.push_back(dice_.type(true));
    settable_ = static_cast<u32>(locals_.size());
    // No calls left: return something.
    count_down([&] {
      for (const u8 each : type_.results) zero(each);
      ins({0x0f});
    });
    run(steps);
    finish(type_.results);
    return end();
  }

  WasmCode make_wrapper(u32 function, const WasmType& called) {
    ins(ByteString{0x41} + sleb(60));
    ins({0x24, 0});
    for (const u8 each : called.params) constant(each);
    ins(ByteString{0x10} + leb(function));
    std::vector<u32> kept;
    for (usize i = called.results.size(); i-- > 0;) {
      kept.push_back(reserve(called.results[i]));
      ins(ByteString{0x21} + leb(kept.back()));
    }
    for (usize i = 0; i < called.results.size(); ++i) {
      ins(ByteString{0x20} + leb(kept[called.results.size() - 1 - i]));
      as_integer(called.results[i]);
    }
    return end();
  }

  WasmCode make_summary() {
    const u32 at = reserve(wasm_i32);
    const u32 sum = reserve(wasm_i64);
    ins({0x03, 0x40});
    ins(ByteString{0x20} + leb(sum));
    ins({0x42, 0x0b});
    ins({0x89});
    ins(ByteString{0x20} + leb(at));
    ins({0x29, 0, 0});
    ins({0x7c});
    ins(ByteString{0x21} + leb(sum));
    ins(ByteString{0x20} + leb(at));
    ins({0x41, 0x08});
    ins({0x6a});
    ins(ByteString{0x22} + leb(at));
    ins(ByteString{0x41} + sleb(0x10000));
    ins({0x49});
    ins({0x0d, 0});
    ins({0x0b});
    ins(ByteString{0x20} + leb(sum));
    ins({0x3f, 0});
    for (usize i = 0; i < env_.globals.size(); ++i) {
      ins(ByteString{0x23} + leb(i));
      as_integer(env_.globals[i].type);
    }
    return end();
  }

 private:
  struct Frame {
    u32 height;
    WasmTypes branch;  // what a branch to it takes
    WasmTypes results;
    bool unreachable;
    bool open;  // branches may go there
  };

  // --- Writing ----------------------------------------------------------
  void ins(const ByteString& bytes) {
    code_.starts.push_back(static_cast<u32>(code_.bytes.size()));
    code_.bytes.insert(code_.bytes.end(), bytes.begin(), bytes.end());
  }
  void op(u32 code) {
    ins(code >= 0xfc00 ? ByteString{0xfc} + leb(code - 0xfc00) : ByteString{static_cast<u8>(code)});
  }
  void i32_const(u64 number) { ins(ByteString{0x41} + sleb(static_cast<i32>(number))); }

  WasmCode end() {
    ins({0x0b});
    const usize params = type_.params.size();
    u32 runs = 0;
    ByteString entries;
    for (usize i = params; i < locals_.size();) {
      usize next = i + 1;
      while (next < locals_.size() && locals_[next] == locals_[i]) ++next;
      entries = entries + leb(next - i) + ByteString{locals_[i]};
      i = next;
      ++runs;
    }
    code_.locals = leb(runs) + entries;
    return std::move(code_);
  }

  // A local that random code only reads.
  u32 reserve(u8 type) {
    locals_.push_back(type);
    return static_cast<u32>(locals_.size() - 1);
  }

  // --- The operand stack ----------------------------------------------------------
  [[nodiscard]] u32 depth() const {
    return static_cast<u32>(stack_.size()) - frames_.back().height;
  }
  void push(u8 type) { stack_.push_back(type); }
  void pop(usize count) {
    for (; count > 0 && depth() > 0; --count) stack_.pop_back();
  }
  void pop_push(usize count, const WasmTypes& types) {
    pop(count);
    stack_.insert(stack_.end(), types.begin(), types.end());
  }
  // Whether the topmost values are the first `count` of these types.
  [[nodiscard]] bool on_top(const WasmTypes& types, usize count) const {
    return count <= depth() && std::equal(stack_.end() - static_cast<std::ptrdiff_t>(count),
                                          stack_.end(), types.begin());
  }
  // Brings about that the topmost values have these types.
  void need(const WasmTypes& types) {
    usize have = types.size();
    while (have > 0 && !on_top(types, have)) --have;
    if (have > 0 && dice_.once_in(8)) have = 0;
    // Behind a jump the lower ones may be missing.
    if (depth() == 0 && frames_.back().unreachable && !types.empty()) {
      have = dice_.below(static_cast<u32>(types.size() + 1));
    }
    for (usize i = have; i < types.size(); ++i) expression(types[i], dice_.below(3));
  }

  // --- Values ----------------------------------------------------------
  void zero(u8 type) {
    switch (type) {
      case wasm_i32:
      case wasm_i64:
        return ins({static_cast<u8>(type == wasm_i32 ? 0x41 : 0x42), 0});
      case wasm_f32:
        return ins(ByteString{0x43} + little(0, 4));
      case wasm_f64:
        return ins(ByteString{0x44} + little(0, 8));
      default:
        return ins({0xd0, type});
    }
  }
  void constant(u8 type) {
    switch (type) {
      case wasm_i32:
        return i32_const(dice_.number(32));
      case wasm_i64:
        return ins(ByteString{0x42} + sleb(static_cast<i64>(dice_.number(64))));
      case wasm_f32:
        return ins(ByteString{0x43} + little(dice_.float32(), 4));
      case wasm_f64:
        return ins(ByteString{0x44} + little(dice_.float64(), 8));
      case wasm_funcref:
        if (!dice_.once_in(3)) return ins(ByteString{0xd2} + leb(dice_.below(env_.callable)));
        [[fallthrough]];
      default:
        return ins({0xd0, type});
    }
  }
  template <class Fits>
  bool pick(usize count, u32& found, Fits fits) {
    if (count == 0) return false;
    const u32 first = dice_.below(static_cast<u32>(count));
    for (u32 i = 0; i < count; ++i) {
      found = static_cast<u32>((first + i) % count);
      if (fits(found)) return true;
    }
    return false;
  }
  void value(u8 type) {
    u32 index = 0;
    const auto local = [&](u32 i) { return locals_[i] == type; };
    const auto global = [&](u32 i) { return i != 0 && env_.globals[i].type == type; };
    if (!dice_.once_in(3) && pick(locals_.size(), index, local)) {
      ins(ByteString{0x20} + leb(index));
    } else if (dice_.once_in(4) && pick(env_.globals.size(), index, global)) {
      ins(ByteString{0x23} + leb(index));
    } else if (type == wasm_i32 && dice_.once_in(12)) {
      if (dice_.once_in(2)) {
        ins({0x3f, 0});
      } else {
        ins({0xfc, 16, static_cast<u8>(dice_.below(3))});
      }
    } else if (type >= wasm_f64 && dice_.once_in(4)) {
      address();
      static constexpr u8 loads[] = {0x2b, 0x2a, 0x29, 0x28};  // f64, f32, i64, i32
      access(loads[type - wasm_f64]);
    } else {
      constant(type);
    }
    push(type);
  }

  void expression(u8 type, u32 deep) {
    const auto& rows = wasm_numerics();
    u32 index = 0;
    if (deep == 0 || type < wasm_f64 ||
        !pick(rows.size(), index, [&](u32 i) { return rows[i].out == type; })) {
      return value(type);
    }
    expression(rows[index].left, deep - 1);
    if (rows[index].right != 0) expression(rows[index].right, deep - 1);
    numeric(rows[index]);
  }

  // One fixed NaN in place of any: f == f ? f : nan.
  void fix_nan(u8 type) {
    if (type != wasm_f32 && type != wasm_f64) return;
    const bool narrow = type == wasm_f32;
    u32& kept = narrow ? kept_f32_ : kept_f64_;
    if (kept == 0) kept = reserve(type) + 1;
    ins(ByteString{0x22} + leb(kept - 1));
    ins(narrow ? ByteString{0x43} + little(0x7fc0'0000, 4)
               : ByteString{0x44} + little(u64{0x7ff8} << 48, 8));
    ins(ByteString{0x20} + leb(kept - 1));
    ins(ByteString{0x20} + leb(kept - 1));
    op(narrow ? 0x5b : 0x61);
    ins({0x1b});
  }
  // To an integer of the same width, or whether a reference is null.
  void as_integer(u8 type) {
    fix_nan(type);
    if (type == wasm_f32) op(0xbc);
    if (type == wasm_f64) op(0xbd);
    if (type < wasm_f64) op(0xd1);
  }

  void numeric(const WasmNumeric& row) {
    u32 code = row.code;
    const bool divides = (code >= 0x6d && code <= 0x70) || (code >= 0x7f && code <= 0x82);
    const bool truncates = (code >= 0xa8 && code <= 0xab) || (code >= 0xae && code <= 0xb1);
    if (divides && !dice_.once_in(10)) {
      ins({static_cast<u8>(row.left == wasm_i32 ? 0x41 : 0x42), 1});
      op(row.left == wasm_i32 ? 0x72 : 0x84);
    }
    if (truncates && !dice_.once_in(12))
      code = (code < 0xac ? 0xfc00 - 0xa8 : 0xfc04 - 0xae) + code;
    if (code == 0x98 || code == 0xa6 || code == 0xbc || code == 0xbd) fix_nan(row.left);
    op(code);
    pop_push(row.right != 0 ? 2 : 1, {row.out});
  }

  // --- Memory
  // ------------------------------------------------------------------------------------- An i32
  // address, mostly inside of the memory; not on the kept stack.
  void address() {
    const usize before = stack_.size();
    if (dice_.once_in(4)) {
      i32_const(dice_.once_in(50) ? dice_.number(32) : dice_.below(3000));
      return;
    }
    const u32 form = dice_.below(5);
    if (form == 3) i32_const(dice_.below(5000));
    expression(wasm_i32, dice_.below(2));
    if (!dice_.once_in(40)) {
      i32_const(dice_.once_in(2) ? 0xff8 : 0x3ff);
      op(0x71);
    }
    if (form == 1) {
      i32_const(dice_.below(5000));
      op(0x6a);
    } else if (form >= 2) {
      if (!dice_.once_in(3)) {
        i32_const(dice_.below(4));
        op(0x74);
      }
      if (form == 3) op(0x6a);
      if (form == 4) {
        expression(wasm_i32, 0);
        i32_const(0x7f);
        op(0x71);
        op(0x6a);
      }
    }
    while (stack_.size() > before) stack_.pop_back();
  }
  void access(u8 code) {
    static constexpr u8 aligns[] = {2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1,
                                    2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2};
    const u64 offset = dice_.once_in(60)  ? dice_.number(32)
                       : dice_.once_in(3) ? dice_.below(20000)
                                          : dice_.below(32);
    ins(ByteString{code, static_cast<u8>(dice_.below(aligns[code - 0x28] + 1u))} + leb(offset));
  }
  static u8 type_of_access(u8 code) {
    static constexpr u8 types[] = {wasm_i32, wasm_i64, wasm_f32, wasm_f64};
    if (code < 0x2c) return types[code - 0x28];
    if (code < 0x30) return wasm_i32;
    if (code < 0x36) return wasm_i64;
    if (code < 0x3a) return types[code - 0x36];
    return code < 0x3c ? wasm_i32 : wasm_i64;
  }

  void memory_step() {
    const u8 code = static_cast<u8>(dice_.between(0x28, 0x3e));
    if (code < 0x36) {
      address();
      access(code);
      return push(type_of_access(code));
    }
    address();
    push(wasm_i32);
    expression(type_of_access(code), dice_.below(3));
    fix_nan(type_of_access(code));
    access(code);
    pop(2);
  }

  void small(u32 most) {
    i32_const(dice_.once_in(100) ? static_cast<i64>(dice_.below(100000)) : dice_.below(most));
  }

  void bulk_step() {
    const u8 table = static_cast<u8>(dice_.below(3));
    const u8 element = table == 1 ? wasm_externref : wasm_funcref;
    const u32 slots = table == 0 ? table_slots : table == 1 ? 5 : 3;
    switch (dice_.below(12)) {
      case 0:
        need({wasm_i32});
        i32_const(2);
        op(0x71);
        ins({0x40, 0});
        return pop_push(1, {wasm_i32});
      case 1:
        small(3000), small(256), small(100);
        return ins({0xfc, 11, 0});
      case 2:
        small(3000), small(3000), small(100);
        return ins({0xfc, 10, 0, 0});
      case 3:
        small(3000), small(20), small(20);
        return ins({0xfc, 8, 1, 0});
      case 4:
        if (dice_.once_in(4)) ins({0xfc, 9, static_cast<u8>(dice_.below(2))});
        if (dice_.once_in(4)) ins({0xfc, 13, static_cast<u8>(dice_.below(5))});
        return;
      case 5:
        small(slots);
        ins({0x25, table});
        return push(element);
      case 6:
        small(slots);
        push(wasm_i32);
        expression(element, 0);
        ins({0x26, table});
        return pop(2);
      case 7:
        expression(element, 0);
        small(3);
        ins({0xfc, 15, table});
        return pop_push(1, {wasm_i32});
      case 8:
        small(slots);
        push(wasm_i32);
        expression(element, 0);
        small(2);
        ins({0xfc, 17, table});
        return pop(2);
      case 9: {
        const u8 from = table == 1 ? 1 : static_cast<u8>(dice_.below(2) * 2);
        small(3), small(3), small(3);
        return ins({0xfc, 14, table, from});
      }
      case 10:
        small(3), small(2), small(2);
        return ins({0xfc, 12, static_cast<u8>(table == 1 ? 3 : dice_.between(1, 2)), table});
      default:
        need({dice_.once_in(2) ? wasm_funcref : wasm_externref});
        ins({0xd1});
        return pop_push(1, {wasm_i32});
    }
  }

  // --- Taking values off ----------------------------------------------------------
  void sink() {
    if (depth() == 0) return;
    const u8 type = stack_.back();
    u32 local = 0;
    if (dice_.once_in(3) && pick(settable_, local, [&](u32 i) { return locals_[i] == type; })) {
      ins(ByteString{0x21} + leb(local));
    } else if (dice_.once_in(8)) {
      ins({0x1a});
    } else {
      as_integer(type);
      if (type == wasm_i32 || type == wasm_f32 || type < wasm_f64)
        op(dice_.once_in(2) ? 0xac : 0xad);
      ins({0x23, 1});
      ins({0x42, 7});
      op(0x89);
      op(0x85);
      ins({0x24, 1});
    }
    pop(1);
  }
  // Brings the frame's stack to these types.
  void finish(const WasmTypes& types) {
    const bool may_miss = frames_.back().unreachable;
    while (depth() > types.size() || (depth() > 0 && !on_top(types, depth()))) sink();
    if (may_miss && depth() == 0 && dice_.once_in(2)) {
      stack_.insert(stack_.end(), types.begin(), types.end());
      return;
    }
    for (usize i = depth(); i < types.size(); ++i) expression(types[i], dice_.below(2));
  }

  // --- Control ----------------------------------------------------------
  template <class Stop>
  void count_down(Stop stop) {
    ins({0x23, 0});
    op(0x45);
    ins({0x04, 0x40});
    stop();
    ins({0x0b});
    ins({0x23, 0});
    i32_const(1);
    op(0x6b);
    ins({0x24, 0});
  }

  struct BlockType {
    ByteString code;
    WasmTypes params;
    WasmTypes results;
  };
  BlockType block_type() {
    if (dice_.once_in(3)) return {{0x40}, {}, {}};
    if (dice_.once_in(3)) {
      const u8 type = dice_.type(true);
      return {{type}, {}, {type}};
    }
    const u32 index = dice_.below(static_cast<u32>(env_.types.size()));
    return {sleb(index), env_.types[index].params, env_.types[index].results};
  }
  void enter(const BlockType& type, bool is_loop, bool open) {
    pop(type.params.size());
    const u32 height = static_cast<u32>(stack_.size());
    frames_.push_back({height, is_loop ? type.params : type.results, type.results, false, open});
    stack_.insert(stack_.end(), type.params.begin(), type.params.end());
  }
  void leave() {
    ins({0x0b});
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    stack_.resize(frame.height);
    stack_.insert(stack_.end(), frame.results.begin(), frame.results.end());
  }
  void body(u32 steps, const BlockType& type) { run(steps), finish(type.results); }

  void block_step(u32 steps) {
    const BlockType type = block_type();
    need(type.params);
    switch (dice_.below(4)) {
      case 0:
        ins(ByteString{0x02} + type.code);
        enter(type, false, true);
        body(steps, type);
        return leave();
      case 1:
        return if_step(type, steps);
      case 2:
        return loops_ < 3 ? loop_step(type, steps) : if_step(type, steps);
      default:
        return loops_ < 3 ? counted_step(type, steps) : if_step(type, steps);
    }
  }

  void if_step(const BlockType& type, u32 steps) {
    expression(wasm_i32, dice_.below(3));
    pop(1);
    ins(ByteString{0x04} + type.code);
    enter(type, false, true);
    body(steps / 2, type);
    if (type.params != type.results || dice_.once_in(2)) {
      ins({0x05});
      stack_.resize(frames_.back().height);
      stack_.insert(stack_.end(), type.params.begin(), type.params.end());
      frames_.back().unreachable = false;
      body(steps / 2, type);
    }
    leave();
  }

  // Any branch may go to its start; the block around it is where it ends after a few turns.
  void loop_step(const BlockType& type, u32 steps) {
    const u32 turns = reserve(wasm_i32);
    i32_const(dice_.between(1, 4));
    ins(ByteString{0x21} + leb(turns));
    ins(ByteString{0x02} + type.code);
    enter(type, false, true);
    ins(ByteString{0x03} + type.code);
    enter(type, true, true);
    ++loops_;
    ins(ByteString{0x20} + leb(turns));
    i32_const(1);
    op(0x6b);
    ins(ByteString{0x22} + leb(turns));
    op(0x45);
    ins({0x04, 0x40});
    for (const u8 each : type.results) constant(each);
    ins({0x0c, 2});
    ins({0x0b});
    run(steps);
    if (dice_.once_in(2)) {
      finish(type.params);
      const auto& rows = wasm_numerics();
      const WasmNumeric& compare = rows[dice_.between(1, 32)];
      get(any_local(compare.left));
      if (compare.right == 0 || compare.left == wasm_f32 || compare.left == wasm_f64) {
        if (compare.right != 0) get(any_local(compare.left));
      } else if (dice_.once_in(2)) {
        number(compare.left, dice_.below(50));
      } else {
        get(any_local(compare.left));
      }
      op(compare.code);
      ins({0x0d, 0});
      pop_push(type.params.size(), type.params);
    }
    finish(type.results);
    --loops_;
    leave();
    leave();
  }

  // A counter goes up to a limit, as compilers write loops; no other branch goes to its start.
  void counted_step(const BlockType& type, u32 steps) {
    const bool wide = dice_.once_in(3);
    const u8 word = wide ? wasm_i64 : wasm_i32;
    const u8 constant_code = wide ? 0x42 : 0x41;
    const u32 counter = reserve(word);
    const u32 limit = reserve(word);
    const i64 step = dice_.once_in(2) ? 1 : static_cast<i64>(dice_.between(1, 9));
    const i64 last = step * static_cast<i64>(dice_.between(1, 4));
    ins(ByteString{constant_code} + sleb(last));
    ins(ByteString{0x21} + leb(limit));
    ins({constant_code, 0});
    ins(ByteString{0x21} + leb(counter));
    ins(ByteString{0x03} + type.code);
    enter(type, true, false);
    ++loops_;
    run(steps);
    finish(type.params);
    ins(ByteString{0x20} + leb(counter));
    ins(ByteString{constant_code} + sleb(step));
    op(wide ? 0x7c : 0x6a);
    if (dice_.once_in(2)) {
      ins(ByteString{0x22} + leb(counter));
    } else {
      ins(ByteString{0x21} + leb(counter));
      ins(ByteString{0x20} + leb(counter));
    }
    ins(dice_.once_in(2) ? ByteString{0x20} + leb(limit) : ByteString{constant_code} + sleb(last));
    static constexpr u8 compares[] = {0x47, 0x48, 0x49};  // ne, lt_s, lt_u
    op(compares[dice_.below(3)] + (wide ? 0x0bu : 0u));
    ins({0x0d, 0});
    // Parameters that missed behind a jump are there now.
    pop_push(type.params.size(), type.params);
    finish(type.results);
    --loops_;
    leave();
  }

  void jumped() {
    stack_.resize(frames_.back().height);
    frames_.back().unreachable = true;
  }
  bool pick_label(u32& label) {
    return pick(frames_.size(), label, [&](u32 i) { return frames_[frames_.size() - 1 - i].open; });
  }
  const WasmTypes& branch_types(u32 label) { return frames_[frames_.size() - 1 - label].branch; }

  void branch_step() {
    u32 label = 0;
    if (!pick_label(label)) return;
    const WasmTypes types = branch_types(label);
    const u32 kind = dice_.below(12);
    need(types);
    if (kind == 0) {
      ins(ByteString{0x0c} + leb(label));
      return jumped();
    }
    expression(wasm_i32, dice_.below(3));
    pop(1);
    if (kind >= 3) {
      ins(ByteString{0x0d} + leb(label));
      return pop_push(types.size(), types);
    }
    ByteString labels;
    const u32 count = dice_.below(7);
    for (u32 i = 0; i < count; ++i) {
      u32 other = 0;
      if (!pick(frames_.size(), other, [&](u32 k) {
            return frames_[frames_.size() - 1 - k].open && branch_types(k) == types;
          })) {
        other = label;
      }
      labels = labels + leb(other);
    }
    i32_const(7);
    op(0x71);
    ins(ByteString{0x0e} + leb(count) + labels + leb(label));
    jumped();
  }

  // --- Calls ----------------------------------------------------------
  void call_step(bool tail) {
    u32 function = dice_.below(env_.callable);
    if (tail && !pick(env_.callable, function, [&](u32 i) {
          return i >= env_.imported && env_.types[env_.functions[i]].results == type_.results;
        })) {
      return;
    }
    const u32 index = env_.functions[function];
    const WasmType& type = env_.types[index];
    const bool plain = env_.plain_calls;
    const ByteString after = tail && plain ? ByteString{0x0f} : ByteString{};
    need(type.params);
    if (dice_.once_in(3)) {
      // Through a table; where it has changed, this may trap.
      if (dice_.once_in(10)) {
        expression(wasm_i32, 1);
        i32_const(15);
        op(0x71);
        pop(1);
      } else {
        i32_const(function);
      }
      ins(ByteString{static_cast<u8>(tail && !plain ? 0x13 : 0x11)} + leb(index) + ByteString{0} +
          after);
    } else {
      ins(ByteString{static_cast<u8>(tail && !plain ? 0x12 : 0x10)} + leb(function) + after);
    }
    pop_push(type.params.size(), type.results);
    if (tail) jumped();
  }

  // --- What compilers write ----------------------------------------------------------
  // Shapes that a translator may join to fewer instructions: wasm_idioms.hpp.
  void get(u32 local) { ins(ByteString{0x20} + leb(local)); }
  void set(u32 local) { ins(ByteString{0x21} + leb(local)); }
  void number(u8 type, u64 bits) {
    ins(type == wasm_i32 ? ByteString{0x41} + sleb(static_cast<i32>(bits))
                         : ByteString{0x42} + sleb(static_cast<i64>(bits)));
  }
  // A local of a type, of any that there is.
  u32 any_local(u8 type) {
    u32 found = 0;
    if (pick(locals_.size(), found, [&](u32 i) { return locals_[i] == type; })) return found;
    return reserve(type);
  }
  // A local that can be set.
  u32 own_local(u8 type) {
    u32 found = 0;
    if (pick(settable_, found, [&](u32 i) { return locals_[i] == type; })) return found;
    return reserve(type);
  }
  // A local that holds a small multiple of 8.
  u32 pointer(u32 most) {
    const u32 local = reserve(wasm_i32);
    i32_const(8 * dice_.below(most));
    set(local);
    return local;
  }
  static u8 load_of(u8 type) {
    static constexpr u8 loads[] = {0x2b, 0x2a, 0x29, 0x28};
    return loads[type - wasm_f64];
  }
  void inner(u8 type);
  void joined(u8 type);
  void joined_access();
  void joined_sum();
  void joined_steps();
  void scan();
  void test();
  void idiom_step();

  // --- Steps ----------------------------------------------------------
  void run(u32 steps) {
    while (steps > 0) {
      --steps;
      if (code_.starts.size() > 8000) return;
      if (frames_.back().unreachable && dice_.once_in(3)) return;
      const u32 kind = dice_.below(100);
      if (dice_.once_in(6)) {
        idiom_step();
      } else if (kind < 14) {
        expression(dice_.type(true), dice_.below(4));
      } else if (kind < 17) {
        for (u32 count = dice_.between(2, 30); count > 0; --count) value(dice_.type(true));
      } else if (kind < 36) {
        const auto& rows = wasm_numerics();
        const WasmNumeric& row = rows[dice_.below(static_cast<u32>(rows.size()))];
        if (row.right != 0) {
          need({row.left, row.right});
        } else {
          need({row.left});
        }
        numeric(row);
      } else if (kind < 50) {
        local_step();
      } else if (kind < 54) {
        u32 index = 0;
        if (!pick(env_.globals.size(), index,
                  [&](u32 i) { return i != 0 && env_.globals[i].is_mutable; })) {
          continue;
        }
        need({env_.globals[index].type});
        ins(ByteString{0x24} + leb(index));
        pop(1);
      } else if (kind < 57) {
        sink();
      } else if (kind < 61) {
        select_step();
      } else if (kind < 71) {
        memory_step();
      } else if (kind < 75) {
        bulk_step();
      } else if (kind < 84) {
        if (frames_.size() > 12) continue;
        const u32 inner = dice_.below(steps / 2 + 3);
        block_step(inner);
        steps -= std::min(steps, inner);
      } else if (kind < 91) {
        branch_step();
      } else if (kind < 97) {
        call_step(false);
      } else if (kind == 97) {
        if (frames_.size() > 1) call_step(true);
      } else if (kind == 98) {
        if (frames_.size() == 1) continue;
        need(type_.results);
        ins({0x0f});
        jumped();
      } else if (frames_.size() > 2 && dice_.once_in(4)) {
        ins({0x00});
        jumped();
      } else {
        ins({0x01});
      }
    }
  }

  void local_step() {
    if (settable_ == 0) return;
    const u32 local = dice_.below(settable_);
    need({locals_[local]});
    const bool tee = dice_.once_in(3);
    ins(ByteString{static_cast<u8>(tee ? 0x22 : 0x21)} + leb(local));
    pop(1);
    if (tee) push(locals_[local]);
  }

  void select_step() {
    const bool typed = env_.typed_selects && dice_.once_in(2);
    const u8 type = dice_.type(typed);
    need({type, type});
    expression(wasm_i32, dice_.below(3));
    ins(typed ? ByteString{0x1c, 1, type} : ByteString{0x1b});
    pop(1);
    pop_push(2, {type});
  }

  const WasmEnvironment& env_;
  const WasmType& type_;
  WasmDice& dice_;
  WasmCode code_;
  WasmTypes locals_;
  u32 settable_ = 0;
  WasmTypes stack_;
  std::vector<Frame> frames_;
  u32 loops_ = 0;
  u32 kept_f32_ = 0;  // one more than the local
  u32 kept_f64_ = 0;
};

}  // namespace atollvm::test

#include "tests/support/wasm_idioms.hpp"
