// Loads and stores of every width in the three forms, at the edges of memories of both kinds.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/isa/values.hpp"

namespace atollvm::test {

namespace {

enum class Form : u8 { short_offset, long_offset, indexed, stepped };

// What a row does, read from its name and format.
struct Access {
  Op op;
  Form form;
  bool is_store;
  u32 width;         // bytes
  bool wide_result;  // of loads: 64 bits
  bool sign_extends;
};

Access access_of(Op op) {
  const isa::OpInfo& info = isa::info(op);
  const auto has = [&](std::string_view part) { return info.name.find(part) != info.name.npos; };
  Access access{op, Form::indexed, has("store"), 0, has("i64.") || has("f64."), has("_s")};
  if (has("8_") || has("store8")) {
    access.width = 1;
  } else if (has("16")) {
    access.width = 2;
  } else if (has("load32") || has("store32")) {
    access.width = 4;
  } else {
    access.width = access.wide_result ? 8 : 4;
  }
  if (info.format == isa::Format::load || info.format == isa::Format::store) {
    access.form = Form::short_offset;
  } else if (info.format == isa::Format::load_long || info.format == isa::Format::store_long) {
    access.form = Form::long_offset;
  } else if (info.name.ends_with(".step")) {
    access.form = Form::stepped;
  }
  return access;
}

std::vector<Op> access_ops() {
  std::vector<Op> ops;
  for (u32 number = static_cast<u32>(Op::i32_load); number <= static_cast<u32>(Op::i64_store32_x);
       ++number) {
    ops.push_back(static_cast<Op>(number));
  }
  for (u32 number = 0; number < isa::op_count; ++number) {
    if (isa::op_table[number].name.ends_with(".step")) ops.push_back(static_cast<Op>(number));
  }
  return ops;
}

u8 pattern(u64 address) { return static_cast<u8>(address * 37 + (address >> 8) * 11 + 0x83); }

void fill_pattern(runtime::Memory& memory) {
  for (u64 i = 0; i < memory.size(); ++i) memory.base()[i] = pattern(i);
}

// All memories hold the pattern.
void check_pattern(Vm& vm) {
  for (runtime::Memory* memory : vm.process().instance().memories) {
    u64 wrong = 0;
    for (u64 i = 0; i < memory->size(); ++i) wrong += memory->base()[i] != pattern(i);
    CHECK(wrong == 0);
  }
}

u64 loaded_value(const Access& access, u64 address) {
  u64 value = 0;
  for (u32 i = 0; i < access.width; ++i) value |= u64{pattern(address + i)} << (i * 8);
  if (access.sign_extends && (value >> (access.width * 8 - 1) & 1) != 0) {
    value |= ~u64{0} << (access.width * 8 - 1);
  }
  return access.wide_result ? value : static_cast<u32>(value);
}

// One access: its operands, and the address that they mean.
struct Place {
  u32 base = 0;
  u64 offset = 0;  // of the short and long form; the step
  u32 index = 0;   // of the indexed form
  u64 address = 0;
};

std::vector<Place> places(const Access& access, u64 size) {
  const u64 width = access.width;
  std::vector<u32> bases = {0, 1, 3, 0x7fff'ffff, 0x8000'0000, 0xffff'fff8, 0xffff'ffff};
  for (u64 end : {size - width - 1, size - width, size - width + 1, size - 1, size, size + 1}) {
    bases.push_back(static_cast<u32>(end));
  }
  std::vector<Place> all;
  const auto add = [&](u32 base, u64 offset) { all.push_back({base, offset, 0, base + offset}); };
  if (access.form == Form::indexed) {
    // a + b * width wraps at 2^32, so all of these reach inside too.
    for (u32 base : bases) {
      for (u32 index : {u32{0}, u32{1}, u32{2}, ~u32{0}, ~u32{0} - 1, u32{0x2000'0000},
                        u32{0x4000'0000}, u32{0x8000'0000}, static_cast<u32>(size / width)}) {
        const u32 address = base + index * static_cast<u32>(width);
        all.push_back({base, 0, index, address});
      }
    }
    return all;
  }
  if (access.form == Form::stepped) {
    // a + imm wraps too.
    for (u32 base : bases) {
      for (i32 step : {0, 1, -1, 4, -8, 255, 32767, -32768}) {
        const u32 address = base + static_cast<u32>(step);
        all.push_back({base, static_cast<u64>(step), 0, address});
      }
    }
    return all;
  }
  for (u32 base : bases) {
    for (u64 offset : {u64{0}, u64{1}, u64{8}, u64{255}, size - width, u64{65535}}) {
      if (offset <= 65535) add(base, offset);
    }
    if (access.form == Form::long_offset) {
      for (u64 offset : {u64{65536}, size, u64{0x7fff'ffff}, u64{0x8000'0000}, u64{0xffff'fff8},
                         u64{0xffff'ffff}}) {
        add(base, offset);
      }
    }
  }
  return all;
}

// A module with a byte-granular memory and one of a page, in the given order.
struct Memories {
  ModuleBuilder module;
  u64 sizes[2];

  explicit Memories(bool page_first) {
    constexpr u64 bytes = 1003;
    if (page_first) module.memory(1, {}, 16);
    module.memory(bytes, {}, 0);
    if (!page_first) module.memory(1, {}, 16);
    sizes[0] = page_first ? 65536 : bytes;
    sizes[1] = page_first ? bytes : 65536;
  }
};

constexpr u64 stored = 0x8182'c384'8586'f788;  // no byte is zero

// Adds "the access, with its dynamic operands as parameters"; its results are what a load gives (a
// store: 0), and the base register afterwards.
u32 add_access(ModuleBuilder& module, const Access& access, u64 offset, u32 memory) {
  const bool indexed = access.form == Form::indexed;
  const u32 operands = 1 + (indexed ? 1 : 0) + (access.is_store ? 1 : 0);
  const u32 type = module.type(std::vector(operands, ValType::i64), {ValType::i64, ValType::i64});
  CodeBuilder code(type, operands, operands + 2);
  std::vector<Arg> args;
  if (!access.is_store) args.emplace_back(operands);
  if (access.form == Form::long_offset) args.emplace_back(memory);
  args.emplace_back(0);
  if (indexed) args.emplace_back(1);
  if (!indexed) args.emplace_back(offset);
  if (access.is_store) args.emplace_back(operands - 1);
  code.emit(access.op, args);
  if (access.is_store) code.emit(Op::i64_const, {operands, 0});
  code.emit(Op::mov, {operands + 1, 0}).emit(Op::ret_n, {operands, 2});
  return module.add(code);
}

void check_places(const Tier& tier, const Access& access, bool page_first, u32 memory_index) {
  Memories memories(page_first);
  const u64 size = memories.sizes[memory_index];
  std::vector<Place> all = places(access, size);
  const auto inside = [&](const Place& place) { return place.address + access.width <= size; };
  // Traps last: each costs a process.
  std::stable_partition(all.begin(), all.end(), inside);
  std::map<u64, u32> functions;  // by offset
  for (const Place& place : all) {
    const auto [at, added] = functions.try_emplace(place.offset);
    if (added) at->second = add_access(memories.module, access, place.offset, memory_index);
  }
  Vm vm(tier, memories.module);
  for (runtime::Memory* memory : vm.process().instance().memories) fill_pattern(*memory);
  bool trapped = false;
  u32 pollution = 0x1234'5678;
  const auto polluted = [&](u64 value) { return u64{pollution} << 32 | static_cast<u32>(value); };
  for (const Place& place : all) {
    INFO(isa::info(access.op).name << " base " << place.base << " offset " << place.offset
                                   << " index " << place.index << " size " << size);
    pollution = pollution * 5 + 1;
    std::vector<u64> arguments = {polluted(place.base)};
    if (access.form == Form::indexed) arguments.push_back(polluted(place.index));
    if (access.is_store) arguments.push_back(access.wide_result ? stored : polluted(stored));
    if (!inside(place)) {
      if (!trapped) check_pattern(vm);
      trapped = true;
      vm.traps(Trap::memory_bounds, functions[place.offset], arguments);
      continue;
    }
    const std::vector<u64> results = vm.results(functions[place.offset], arguments);
    CHECK(results[1] == (access.form == Form::stepped ? place.address : arguments[0]));
    if (!access.is_store) {
      CHECK(results[0] == loaded_value(access, place.address));
      continue;
    }
    // The bytes are there, and what is around is as it was.
    u8* const base = vm.memory(memory_index).base();
    u32 wrong = 0;
    for (u32 k = 0; k < access.width; ++k) {
      wrong += base[place.address + k] != static_cast<u8>(stored >> (k * 8));
      base[place.address + k] = pattern(place.address + k);
    }
    const u64 low = place.address < 64 ? 0 : place.address - 64;
    const u64 high = std::min(size, place.address + access.width + 64);
    for (u64 at = low; at < high; ++at) wrong += base[at] != pattern(at);
    CHECK(wrong == 0);
  }
  CHECK(trapped);
}

void all_places(const Tier& tier) {
  for (Op op : access_ops()) {
    const Access access = access_of(op);
    for (bool page_first : {true, false}) {
      check_places(tier, access, page_first, 0);
      if (access.form == Form::long_offset) check_places(tier, access, page_first, 1);
    }
  }
}

// A store that reaches over the end leaves the bytes before the end alone.
void trapping_stores(const Tier& tier) {
  for (Op op : access_ops()) {
    const Access access = access_of(op);
    if (!access.is_store || access.width == 1) continue;
    INFO(isa::info(op).name);
    Memories memories(false);
    const u32 function = add_access(memories.module, access, 0, 0);
    Vm vm(tier, memories.module);
    for (runtime::Memory* memory : vm.process().instance().memories) fill_pattern(*memory);
    std::vector<u64> arguments = {vm.memory().size() - access.width + 1};
    if (access.form == Form::indexed) arguments.push_back(0);
    arguments.push_back(stored);
    vm.traps(Trap::memory_bounds, function, arguments);
    check_pattern(vm);
  }
}

// Every access to an empty memory traps.
void empty_memory(const Tier& tier) {
  for (u8 page_shift : {u8{0}, u8{16}}) {
    for (Op op : access_ops()) {
      const Access access = access_of(op);
      ModuleBuilder module;
      module.memory(0, {}, page_shift);
      const u32 function = add_access(module, access, 0, 0);
      Vm vm(tier, module);
      std::vector<u64> arguments = {0};
      if (access.form == Form::indexed) arguments.push_back(0);
      if (access.is_store) arguments.push_back(stored);
      vm.traps(Trap::memory_bounds, function, arguments);
    }
  }
}

// A stepped store of the address register itself stores it as it was before.
void stepped_store_of_address(const Tier& tier) {
  for (Op op : access_ops()) {
    const Access access = access_of(op);
    if (access.form != Form::stepped || !access.is_store) continue;
    INFO(isa::info(op).name);
    ModuleBuilder module;
    module.memory(1000, {}, 0);
    CodeBuilder code(module.type({ValType::i64}, {ValType::i64}), 1, 1);
    const u32 function = module.add(code.emit(op, {0, 100, 0}).emit(Op::ret_1, {0}));
    Vm vm(tier, module);
    CHECK(vm.result(function, {0x1'0000'0155}) == 0x155 + 100);
    const u8* stored_at = vm.memory().base() + 0x155 + 100;
    CHECK(stored_at[0] == 0x55);
    if (access.width > 1) CHECK(stored_at[1] == 0x01);
    if (access.width > 4) CHECK(stored_at[4] == 0x01);
  }
}

// A stepped load into the address register itself leaves what it loaded.
void stepped_load_of_address(const Tier& tier) {
  for (Op op : access_ops()) {
    const Access access = access_of(op);
    if (access.form != Form::stepped || access.is_store) continue;
    INFO(isa::info(op).name);
    ModuleBuilder module;
    module.memory(1000, {}, 0);
    CodeBuilder code(module.type({ValType::i64}, {ValType::i64}), 1, 1);
    const u32 function = module.add(code.emit(op, {0, 0, -100}).emit(Op::ret_1, {0}));
    Vm vm(tier, module);
    fill_pattern(vm.memory());
    CHECK(vm.result(function, {0x1'0000'0155}) == loaded_value(access, 0x155 - 100));
  }
}

std::vector<Op> memory_branches() {
  std::vector<Op> ops;
  for (u32 number = 0; number < isa::op_count; ++number) {
    const std::string_view format = isa::info(isa::op_table[number].format).name;
    if (format.starts_with("mem_")) ops.push_back(static_cast<Op>(number));
  }
  return ops;
}

// Branches that load: taken and not, at the edges, for each byte that is not zero.
void branches_on_memory(const Tier& tier) {
  constexpr u64 size = 70'000;
  for (Op op : memory_branches()) {
    const std::string_view name = isa::info(op).name;
    INFO(name);
    const u32 width = name.find("load8") != name.npos ? 1 : 4;
    const bool if_zero = name.ends_with(".z");
    ModuleBuilder module;
    module.memory(size, {}, 0);
    const auto add = [&](u32 offset) {
      CodeBuilder code(module.type({ValType::i32}, {ValType::i32}), 1, 2);
      const Label taken = code.label();
      const auto leave = [&](u32 result) {
        code.emit(Op::i32_const, {1, result}).emit(Op::ret_1, {1});
      };
      const bool backward = name.starts_with("back");
      if (backward) {
        const Label start = code.label();
        code.emit(Op::br, {start}).bind(taken);
        leave(1);
        code.bind(start);
      }
      code.emit(op, {0, offset, taken});
      leave(0);
      if (!backward) {
        code.bind(taken);
        leave(1);
      }
      return module.add(code);
    };
    struct Made {
      u32 offset, function;
    };
    std::vector<Made> made;
    for (u32 offset : {0u, 1u, 9u, 65535u}) made.push_back({offset, add(offset)});
    Vm vm(tier, module);
    const u64 pollution = u64{0xfeed'0001} << 32;
    for (const Made& each : made) {
      for (u64 address : {u64{65535}, u64{65541}, size - width}) {
        const u64 base = pollution | (address - each.offset);
        u8* const bytes = vm.memory().base() + address;
        CHECK(vm.result(each.function, {base}) == (if_zero ? 1 : 0));
        // Neighbours do not count.
        bytes[-1] = 1;
        if (address + width < size) bytes[width] = 1;
        CHECK(vm.result(each.function, {base}) == (if_zero ? 1 : 0));
        for (u32 i = 0; i < width; ++i) {
          bytes[i] = 0x80;
          CHECK(vm.result(each.function, {base}) == (if_zero ? 0 : 1));
          bytes[i] = 0;
        }
        bytes[-1] = 0;
        if (address + width < size) bytes[width] = 0;
      }
    }
    for (const Made& each : made) {
      for (u64 address : {size - width + 1, size, u64{0x8000'0000}, u64{0xffff'ffff},
                          u64{0xffff'ffff} + each.offset}) {
        vm.traps(Trap::memory_bounds, each.function, {pollution | (address - each.offset)});
      }
    }
  }
}

}  // namespace

std::span<const Scenario> load_store_scenarios() {
  static const std::vector<Op> stores = [] {
    std::vector<Op> ops;
    for (Op op : access_ops()) {
      if (access_of(op).is_store && access_of(op).width > 1) ops.push_back(op);
    }
    return ops;
  }();
  static const Scenario scenarios[] = {
      {access_ops(), "loads and stores at the edges", all_places, true},
      {stores, "a trapping store writes nothing", trapping_stores},
      {access_ops(), "an empty memory", empty_memory},
      {{Op::i32_store_step}, "a stepped store of its address", stepped_store_of_address},
      {{Op::i32_load_step}, "a stepped load of its address", stepped_load_of_address},
      {memory_branches(), "branches on memory", branches_on_memory},
  };
  return scenarios;
}

}  // namespace atollvm::test
