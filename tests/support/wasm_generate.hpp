// Valid WebAssembly modules from a seed, that end whatever they do, and whose results do not depend
// on what the specification leaves open (the bits of NaNs).
//
// Imports: functions of the module "host", which return zeros. Exports: functions without
// parameters whose results are integers; the last one sums up memory and globals.
#pragma once

#include <algorithm>

#include "tests/support/wasm_body.hpp"

namespace atollvm::test {

struct GeneratedWasm {
  ByteString head;  // up to the code section
  std::vector<WasmCode> bodies;
  ByteString tail;  // behind the code section
  std::vector<WasmType> imports;
  std::vector<std::string> exports;

  [[nodiscard]] ByteString bytes() const {
    ByteString code = leb(bodies.size());
    for (const WasmCode& body : bodies) {
      const ByteString one = sized(body.locals + body.bytes);
      code.insert(code.end(), one.begin(), one.end());
    }
    ByteString all = head;
    all.push_back(10);
    const ByteString section = sized(code);
    all.insert(all.end(), section.begin(), section.end());
    all.insert(all.end(), tail.begin(), tail.end());
    return all;
  }
};

class WasmGenerator {
 public:
  explicit WasmGenerator(u64 seed) : dice_(seed) {}
  // The same module, but with a call and a return in place of each tail call.
  WasmGenerator& plain_calls() { return env_.plain_calls = true, *this; }
  // Another module: without selects that state their type.
  WasmGenerator& no_typed_selects() { return env_.typed_selects = false, *this; }

  GeneratedWasm make() {
    shape();
    for (u32 i = 0; i < own_; ++i) {
      const u32 steps = dice_.once_in(12) ? dice_.between(150, 500) : dice_.between(5, 70);
      const WasmType& type = env_.types[env_.functions[env_.imported + i]];
      made_.bodies.push_back(WasmBody(env_, type, dice_).make(steps));
    }
    for (u32 i = 0; i < 2 * own_; ++i) wrapper(env_.imported + i % own_, "f" + std::to_string(i));
    summary();
    sections();
    return std::move(made_);
  }

 private:
  std::vector<u8> some_types(u32 most, bool references) {
    std::vector<u8> types(dice_.below(most + 1));
    for (u8& each : types) each = dice_.type(references);
    return types;
  }

  void shape() {
    const u32 types = dice_.between(5, 12);
    for (u32 i = 0; i < types; ++i) {
      const bool wide = dice_.once_in(10);
      env_.types.push_back({some_types(wide ? 40 : 5, true), some_types(wide               ? 20
                                                                        : dice_.once_in(2) ? 1
                                                                                           : 3,
                                                                        true)});
      // So that blocks can be entered with what they give.
      if (dice_.once_in(3)) env_.types.back().results = env_.types.back().params;
    }
    env_.imported = dice_.below(3);
    own_ = dice_.between(3, 10);
    for (u32 i = 0; i < env_.imported; ++i) {
      WasmType type{some_types(4, false), {}};
      if (dice_.once_in(2)) type.results.push_back(dice_.type(false));
      env_.types.push_back(type);
      env_.functions.push_back(static_cast<u32>(env_.types.size() - 1));
      made_.imports.push_back(type);
    }
    for (u32 i = 0; i < own_; ++i) env_.functions.push_back(dice_.below(types));
    env_.callable = env_.imported + own_;
    env_.globals = {{wasm_i32, true}, {wasm_i64, true}};
    for (u32 count = dice_.below(8); count > 0; --count) {
      env_.globals.push_back({dice_.type(true), !dice_.once_in(4)});
    }
  }

  u32 add_type(WasmType type) {
    env_.types.push_back(std::move(type));
    return static_cast<u32>(env_.types.size() - 1);
  }

  // An export without parameters that calls a function and gives its results as integers.
  void wrapper(u32 function, std::string name) {
    const WasmType called = env_.types[env_.functions[function]];
    WasmType type;
    for (const u8 each : called.results) {
      type.results.push_back(each == wasm_i64 || each == wasm_f64 ? wasm_i64 : wasm_i32);
    }
    WasmBody body(env_, type, dice_);
    made_.bodies.push_back(body.make_wrapper(function, called));
    env_.functions.push_back(add_type(type));
    made_.exports.push_back(std::move(name));
  }

  void summary() {
    WasmType type{{}, {wasm_i64, wasm_i32}};
    for (const WasmGlobal& global : env_.globals) {
      type.results.push_back(global.type == wasm_i64 || global.type == wasm_f64 ? wasm_i64
                                                                                : wasm_i32);
    }
    made_.bodies.push_back(WasmBody(env_, type, dice_).make_summary());
    env_.functions.push_back(add_type(type));
    made_.exports.push_back("summary");
  }

  ByteString init_of(u8 type) {
    ByteString code;
    switch (type) {
      case wasm_i32:
        code = ByteString{0x41} + sleb(static_cast<i32>(dice_.number(32)));
        if (dice_.once_in(3)) code = code + ByteString{0x41, 0x05, 0x6c};  // mul
        break;
      case wasm_i64:
        code = ByteString{0x42} + sleb(static_cast<i64>(dice_.number(64)));
        if (dice_.once_in(3)) code = code + ByteString{0x42, 0x05, 0x7d};  // sub
        break;
      case wasm_f32:
        code = ByteString{0x43} + little(dice_.float32(), 4);
        break;
      case wasm_f64:
        code = ByteString{0x44} + little(dice_.float64(), 8);
        break;
      case wasm_funcref:
        code = dice_.once_in(2) ? ByteString{0xd2} + leb(dice_.below(env_.callable))
                                : ByteString{0xd0, 0x70};
        break;
      default:
        code = {0xd0, 0x6f};
    }
    return code + ByteString{0x0b};
  }

  static void append(ByteString& to, const ByteString& what) {
    to.insert(to.end(), what.begin(), what.end());
  }

  void sections() {
    WasmBytes module;
    ByteString part = leb(env_.types.size());
    for (const WasmType& type : env_.types) {
      append(part, func_type(type.params, type.results));
    }
    module.section(1, part);
    part = leb(env_.imported);
    for (u32 i = 0; i < env_.imported; ++i) {
      append(part,
             text("host") + text("h" + std::to_string(i)) + ByteString{0} + leb(env_.functions[i]));
    }
    if (env_.imported != 0) module.section(2, part);
    part = leb(made_.bodies.size());
    for (usize i = env_.imported; i < env_.functions.size(); ++i) {
      append(part, leb(env_.functions[i]));
    }
    module.section(3, part);
    module.section(4, list({ByteString{0x70, 1, table_slots, 30}, ByteString{0x6f, 1, 5, 9},
                            ByteString{0x70, 0, 3}}));
    module.section(5, list({ByteString{1, 1, 3}}));
    part = leb(env_.globals.size());
    for (const WasmGlobal& global : env_.globals) {
      append(part, ByteString{global.type, global.is_mutable} + init_of(global.type));
    }
    module.section(6, part);
    part = leb(made_.exports.size());
    const u32 first = env_.callable;
    for (u32 i = 0; i < made_.exports.size(); ++i) {
      append(part, text(made_.exports[i]) + ByteString{0} + leb(first + i));
    }
    module.section(7, part);
    // Segment 0: all functions to table 0; 1: passive; 2: passive expressions; 3: of externref;
    // 4: declares all.
    ByteString all = leb(env_.callable);
    for (u32 i = 0; i < env_.callable; ++i) append(all, leb(i));
    module.section(
        9,
        list({ByteString{0, 0x41, 0, 0x0b} + all, ByteString{1, 0} + all,
              ByteString{5, 0x70, 3, 0xd0, 0x70, 0x0b, 0xd2, 0, 0x0b, 0xd0, 0x70, 0x0b},
              ByteString{5, 0x6f, 2, 0xd0, 0x6f, 0x0b, 0xd0, 0x6f, 0x0b}, ByteString{3, 0} + all}));
    module.section(12, leb(2));
    made_.head = std::move(module.bytes);
    WasmBytes tail;
    tail.bytes.clear();
    ByteString first_data;
    ByteString second_data;
    for (u32 i = 0; i < 300; ++i) first_data.push_back(static_cast<u8>(dice_.below(256)));
    for (u32 i = 0; i < 40; ++i) second_data.push_back(static_cast<u8>(dice_.below(256)));
    tail.section(11, list({ByteString{0, 0x41, 0, 0x0b} + sized(first_data),
                           ByteString{1} + sized(second_data)}));
    made_.tail = std::move(tail.bytes);
  }

  WasmDice dice_;
  WasmEnvironment env_;
  GeneratedWasm made_;
  u32 own_ = 0;
};

// A module with one to three mistakes, or none by luck.
inline ByteString mutate(const GeneratedWasm& original, WasmDice& dice) {
  static const std::vector<ByteString> pieces = {
      {0x00},    {0x01},       {0x02, 0x40}, {0x03, 0x40},    {0x04, 0x40},
      {0x05},    {0x0b},       {0x0c, 0},    {0x0c, 1},       {0x0d, 0},
      {0x0f},    {0x1a},       {0x1b},       {0x20, 0},       {0x21, 0},
      {0x22, 1}, {0x41, 0},    {0x42, 0},    {0xd0, 0x70},    {0xd1},
      {0x02, 0}, {0x04, 0x7f}, {0x0e, 0, 0}, {0x0e, 1, 0, 1}, {0x10, 1},
      {0x12, 1}, {0x23, 0},    {0x24, 1},    {0x28, 2, 0},    {0x28, 3, 0},
      {0x45},    {0x50},       {0x6a},       {0xa7},          {0xfc, 0},
      {0xd2, 0}, {0x40, 0},    {0xfc, 9, 0}, {0x11, 0, 0},    {0x43, 0, 0, 0, 0}};
  GeneratedWasm module = original;
  for (u32 count = dice.between(1, 3); count > 0; --count) {
    WasmCode& body = module.bodies[dice.below(static_cast<u32>(module.bodies.size()))];
    // Instruction number i: bytes from .. to.
    const u32 i = dice.below(static_cast<u32>(body.starts.size()));
    const auto from = body.bytes.begin() + body.starts[i];
    const auto to =
        i + 1 < body.starts.size() ? body.bytes.begin() + body.starts[i + 1] : body.bytes.end();
    const ByteString instruction(from, to);
    switch (dice.below(8)) {
      case 0:
        body.bytes.erase(from, to);
        break;
      case 1:
        body.bytes.insert(from, instruction.begin(), instruction.end());
        break;
      case 2:
        *from = static_cast<u8>(dice.below(256));
        break;
      case 3:
        *from = static_cast<u8>(0x45 + dice.below(0x80));
        break;
      case 4:
        body.bytes[body.starts[i] + dice.below(static_cast<u32>(instruction.size()))] ^=
            static_cast<u8>(1u << dice.below(8));
        break;
      case 5:
      case 6: {
        const ByteString& piece = pieces[dice.below(static_cast<u32>(pieces.size()))];
        body.bytes.insert(from, piece.begin(), piece.end());
        break;
      }
      default: {
        ByteString& part = dice.once_in(2) ? module.head : module.tail;
        part[dice.below(static_cast<u32>(part.size()))] ^= static_cast<u8>(1u << dice.below(8));
      }
    }
    // Starts behind the change are wrong now: the next change is somewhere, which is fine, as long
    // as it is inside.
    while (!body.starts.empty() && body.starts.back() >= body.bytes.size()) body.starts.pop_back();
    if (body.starts.empty()) break;
  }
  ByteString bytes = module.bytes();
  if (dice.once_in(20)) bytes.resize(dice.below(static_cast<u32>(bytes.size())));
  return bytes;
}

}  // namespace atollvm::test
