// Loads and stores of every width in the three forms, at the edges of memories of both kinds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>

#include "tests/isa/values.hpp"
#include "vm/runtime/guard.hpp"

namespace atollvm::test {

namespace {

enum class Form : u8 {
  short_offset,
  long_offset,
  indexed,
  byte_indexed,
  indexed_sum,
  byte_indexed_sum,
  stepped,
  wrapped,
};

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
  } else if (info.name.ends_with(".w")) {
    access.form = Form::wrapped;
  } else if (info.name.ends_with(".xb")) {
    access.form = Form::byte_indexed;
  } else if (info.name.ends_with(".xw")) {
    access.form = Form::indexed_sum;
  } else if (info.name.ends_with(".xbw")) {
    access.form = Form::byte_indexed_sum;
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
    const std::string_view name = isa::op_table[number].name;
    for (const char* form : {".step", ".w", ".xb", ".xw", ".xbw"}) {
      if (name.ends_with(form)) ops.push_back(static_cast<Op>(number));
    }
  }
  return ops;
}

u8 pattern(u64 address) { return static_cast<u8>(address * 37 + (address >> 8) * 11 + 0x83); }

void fill_pattern(runtime::Memory& memory) {
  for (u64 i = 0; i < memory.size(); ++i) memory.base()[i] = pattern(i);
}

// Of bytes, and of pages where guards are to be tried: elsewhere nothing relies on them.
void add_memory(ModuleBuilder& module, const Tier& tier, u64 bytes) {
  const u32 shift = tier.memory == MemoryStrategy::guarded ? 16 : 0;
  module.memory(bytes >> shift, {}, static_cast<u8>(shift));
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
  u64 offset = 0;  // of the short and long form; the step; the immediate
  u32 index = 0;   // of the indexed forms
  u64 address = 0;
};

bool is_indexed(const Access& access) {
  return access.form == Form::indexed || access.form == Form::byte_indexed ||
         access.form == Form::indexed_sum || access.form == Form::byte_indexed_sum;
}
bool has_immediate(const Access& access) {
  return access.form != Form::indexed && access.form != Form::byte_indexed;
}

std::vector<Place> places(const Access& access, u64 size) {
  const u64 width = access.width;
  std::vector<u32> bases = {0, 1, 3, 0x7fff'ffff, 0x8000'0000, 0xffff'fff8, 0xffff'ffff};
  for (u64 end : {size - width - 1, size - width, size - width + 1, size - 1, size, size + 1}) {
    bases.push_back(static_cast<u32>(end));
  }
  std::vector<Place> all;
  const auto add = [&](u32 base, u64 offset) { all.push_back({base, offset, 0, base + offset}); };
  if (is_indexed(access)) {
    const bool scaled = access.form == Form::indexed || access.form == Form::indexed_sum;
    const u64 scale = scaled ? width : 1;
    // a + b * scale + imm wraps at 2^32, so all of these reach inside too. One immediate for each
    // pair: traps cost a process each.
    constexpr i32 immediates[] = {0, 1, -1, 4, 32767, -32768, 100};
    usize next = 0;
    for (u32 base : bases) {
      for (u32 index : {u32{0}, u32{1}, u32{2}, ~u32{0}, ~u32{0} - 1, u32{0x2000'0000},
                        u32{0x4000'0000}, u32{0x8000'0000}, static_cast<u32>(size / scale)}) {
        const i32 immediate =
            has_immediate(access) ? immediates[next++ % std::size(immediates)] : 0;
        const u32 address = base + index * static_cast<u32>(scale) + static_cast<u32>(immediate);
        all.push_back({base, static_cast<u64>(immediate), index, address});
      }
    }
    return all;
  }
  if (access.form == Form::stepped || access.form == Form::wrapped) {
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
      for (u64 offset :
           {u64{65536}, size, runtime::guard_bytes - width, runtime::guard_bytes - width + 1,
            u64{0x7fff'ffff}, u64{0x8000'0000}, u64{0xffff'fff8}, u64{0xffff'ffff}}) {
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
  const bool indexed = is_indexed(access);
  const u32 operands = 1 + (indexed ? 1 : 0) + (access.is_store ? 1 : 0);
  const u32 type = module.type(std::vector(operands, ValType::i64), {ValType::i64, ValType::i64});
  CodeBuilder code(type, operands, operands + 2);
  std::vector<Arg> args;
  if (!access.is_store) args.emplace_back(operands);
  if (access.form == Form::long_offset) args.emplace_back(memory);
  args.emplace_back(0);
  if (indexed) args.emplace_back(1);
  if (has_immediate(access)) args.emplace_back(offset);
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
    if (is_indexed(access)) arguments.push_back(polluted(place.index));
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
    if (is_indexed(access)) arguments.push_back(0);
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
      if (is_indexed(access)) arguments.push_back(0);
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

// Arithmetic with an operand from memory does what a load and the plain operation do.
void operands_in_memory(const Tier& tier) {
  constexpr u64 size = 131'072;
  for (u32 number = 0; number < isa::op_count; ++number) {
    const isa::OpInfo& info = isa::op_table[number];
    if (info.format != isa::Format::dsm) continue;
    INFO(info.name);
    const Op op = static_cast<Op>(number);
    const std::string type(info.name.substr(0, 3));
    const Op load = *isa::find(type + ".load.long");
    const Op plain = *isa::find(info.name.substr(0, info.name.find(".load")));
    const u64 width = type.ends_with("64") ? 8 : 4;
    ModuleBuilder module;
    add_memory(module, tier, size);
    const u32 function_type = module.type({ValType::i64, ValType::i64}, {ValType::i64});
    struct Made {
      u64 offset;
      u32 fused, apart;
    };
    std::vector<Made> made;
    for (u64 offset :
         {u64{0}, u64{7}, u64{65'536}, runtime::guard_bytes - width, u64{0xffff'ffff}}) {
      CodeBuilder fused(function_type, 2, 3);
      fused.emit(op, {2, 0, 1, offset}).emit(Op::ret_1, {2});
      CodeBuilder apart(function_type, 2, 3);
      apart.emit(load, {2, 0, 1, offset}).emit(plain, {2, 0, 2}).emit(Op::ret_1, {2});
      made.push_back({offset, module.add(fused), module.add(apart)});
    }
    Vm vm(tier, module);
    constexpr u64 values[] = {0,
                              1,
                              0x3fc0'0000'4000'0000,
                              0x4004'0000'0000'0001,
                              0xffff'ffff'ffff'ffff,
                              0x7fc0'1234'7fc0'1234,
                              0x8000'0000'8000'0000};
    const u64 pollution = u64{0xfeed'0001} << 32;
    for (const Made& each : made) {
      for (u64 address : {each.offset, u64{131'000}, size - width}) {
        if (address < each.offset || address + width > size) continue;
        const u64 base = pollution | (address - each.offset);
        for (u64 value : values) {
          std::memcpy(vm.memory().base() + address, &value, width);
          for (u64 left : values) {
            const u64 fused = vm.result(each.fused, {left, base});
            const u64 apart = vm.result(each.apart, {left, base});
            // Of two NaN operands either may be the result's.
            const bool any_nan =
                !tier.fuel && (type == "f32"   ? FloatBits<u32>::is_nan(static_cast<u32>(apart))
                               : type == "f64" ? FloatBits<u64>::is_nan(apart)
                                               : false);
            if (!any_nan) CHECK(fused == apart);
            if (type == "f32")
              CHECK(FloatBits<u32>::is_nan(static_cast<u32>(fused)) ==
                    FloatBits<u32>::is_nan(static_cast<u32>(apart)));
            if (type == "f64")
              CHECK(FloatBits<u64>::is_nan(fused) == FloatBits<u64>::is_nan(apart));
          }
        }
      }
    }
    for (const Made& each : made) {
      for (u64 address : {size - width + 1, size, u64{0xffff'ffff} + each.offset}) {
        if (address < each.offset) continue;
        vm.traps(Trap::memory_bounds, each.fused, {1, pollution | (address - each.offset)});
      }
    }
  }
}

// Sums into memory do what a load, the sum and a store do; a trapping one writes nothing.
void sums_into_memory(const Tier& tier) {
  constexpr u64 size = 131'072;
  for (Op op : {Op::i32_add_store, Op::i64_add_store, Op::f32_add_store, Op::f64_add_store}) {
    const std::string_view name = isa::info(op).name;
    INFO(name);
    const std::string type(name.substr(0, 3));
    const u64 width = type.ends_with("64") ? 8 : 4;
    ModuleBuilder module;
    add_memory(module, tier, size);
    const u32 function_type = module.type({ValType::i64, ValType::i64}, {ValType::i64});
    struct Made {
      u64 offset;
      u32 fused, apart;
    };
    std::vector<Made> made;
    for (u64 offset :
         {u64{0}, u64{7}, u64{65'536}, runtime::guard_bytes - width, u64{0xffff'ffff}}) {
      CodeBuilder fused(function_type, 2, 3);
      fused.emit(op, {1, offset, 0});
      fused.emit(Op::i64_load_long, {2, 0, 1, offset}).emit(Op::ret_1, {2});
      CodeBuilder apart(function_type, 2, 3);
      apart.emit(*isa::find(type + ".load.long"), {2, 0, 1, offset});
      apart.emit(*isa::find(type + ".add"), {2, 0, 2});
      apart.emit(*isa::find(type + ".store.long"), {0, 1, offset, 2});
      apart.emit(Op::i64_load_long, {2, 0, 1, offset}).emit(Op::ret_1, {2});
      made.push_back({offset, module.add(fused), module.add(apart)});
    }
    Vm vm(tier, module);
    constexpr u64 values[] = {0,
                              1,
                              0x3fc0'0000'4000'0000,
                              0x4004'0000'0000'0001,
                              0xbfff'ffff'ffff'fff0,
                              0x8000'0000'8000'0000};
    const u64 pollution = u64{0xfeed'0001} << 32;
    for (const Made& each : made) {
      for (u64 address : {each.offset, u64{131'000}, size - 8}) {
        if (address < each.offset || address + 8 > size) continue;
        const u64 base = pollution | (address - each.offset);
        for (u64 value : values) {
          for (u64 left : values) {
            std::memcpy(vm.memory().base() + address, &value, 8);
            const u64 fused = vm.result(each.fused, {left, base});
            std::memcpy(vm.memory().base() + address, &value, 8);
            CHECK(fused == vm.result(each.apart, {left, base}));
          }
        }
      }
    }
    fill_pattern(vm.memory());
    for (const Made& each : made) {
      for (u64 address : {size - width + 1, size, u64{0xffff'ffff} + each.offset}) {
        if (address < each.offset) continue;
        vm.traps(Trap::memory_bounds, each.fused, {1, pollution | (address - each.offset)});
      }
    }
  }
}

std::vector<Op> operand_ops() {
  std::vector<Op> ops;
  for (u32 number = 0; number < isa::op_count; ++number) {
    if (isa::op_table[number].format == isa::Format::dsm) ops.push_back(static_cast<Op>(number));
  }
  return ops;
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
  constexpr u64 size = 131'072;
  for (Op op : memory_branches()) {
    const std::string_view name = isa::info(op).name;
    INFO(name);
    const u32 width = name.find("load8") != name.npos ? 1 : 4;
    const bool if_zero = name.ends_with(".z");
    ModuleBuilder module;
    add_memory(module, tier, size);
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

std::vector<Op> scans() {
  std::vector<Op> ops;
  for (u32 number = 0; number < isa::op_count; ++number) {
    if (isa::op_table[number].format == isa::Format::load_scan) {
      ops.push_back(static_cast<Op>(number));
    }
  }
  return ops;
}

// Whether a scan goes on, from the end of its name.
bool scan_holds(Op op, u64 loaded, u64 bound) {
  const std::string_view name = isa::info(op).name;
  const bool wide = name.find(".i64.") != name.npos;
  const std::string_view relation = name.substr(name.rfind('.') + 1);
  const u64 a = wide ? loaded : static_cast<u32>(loaded);
  const u64 b = wide ? bound : static_cast<u32>(bound);
  if (relation == "eq") return a == b;
  if (relation == "ne") return a != b;
  const u64 flip = relation.ends_with("_s") ? (wide ? u64{1} << 63 : u64{1} << 31) : 0;
  const u64 x = a ^ flip;
  const u64 y = b ^ flip;
  if (relation.starts_with("lt")) return x < y;
  if (relation.starts_with("gt")) return x > y;
  return relation.starts_with("le") ? x <= y : x >= y;
}

// Scans over all starts, steps and bounds; their turns are counted where the loop is not the scan
// alone. A scan that finds nothing leaves the memory, in the end, and traps.
void scans_of_memory(const Tier& tier) {
  const u64 size = tier.memory == MemoryStrategy::guarded ? 65'536 : 256;
  for (Op op : scans()) {
    INFO(isa::info(op).name);
    const bool wide = isa::info(op).name.find(".i64.") != std::string_view::npos;
    const u32 width = wide ? 8 : 4;
    ModuleBuilder module;
    add_memory(module, tier, size);
    struct Made {
      i64 step;
      bool alone;
      u32 function;
    };
    std::vector<Made> made;
    // (address, bound) -> the value, the address, the turns before the last one, the bound
    const u32 type = module.type({ValType::i64, ValType::i64}, std::vector(4, ValType::i64));
    for (i64 step : {i64{4}, i64{-8}, i64{1}, i64{32767}}) {
      for (bool alone : {true, false}) {
        CodeBuilder code(type, 4, 8);
        const Label again = code.label();
        code.emit(Op::i64_const, {3, -1});
        code.bind(again);
        if (!alone) code.emit(Op::i64_add_i, {3, 3, 1});
        code.emit(op, {2, 0, step, 1, again});
        code.emit(Op::mov, {4, 2}).emit(Op::mov, {5, 0}).emit(Op::mov, {6, 3});
        code.emit(Op::mov, {7, 1}).emit(Op::ret_n, {4, 4});
        made.push_back({step, alone, module.add(code)});
      }
    }
    Vm vm(tier, module);
    const u64 bounds[] = {0, 5, 0x7fff'ffff, 0x8000'0000, 0xffff'fff0, u64{1} << 63, ~u64{0}};
    const u64 words[] = {5, ~u64{0}, 0x8000'0000'8000'0000, 0, 0x7fff'ffff'7fff'ffff, 5, 7};
    const auto fill = [&] {
      for (u64 at = 0; at + 8 <= size; at += 8) {
        std::memcpy(vm.memory().base() + at, &words[at / 8 % std::size(words)], 8);
      }
    };
    fill();
    bool trapped = false;
    for (const Made& each : made) {
      for (u64 start : {u64{0}, u64{64}, u64{200}, size - width, u64{0xffff'fffc}}) {
        for (u64 bound : bounds) {
          u32 address = static_cast<u32>(start);
          u64 value = 0;
          u64 turns = 0;
          bool leaves = false;
          for (;; ++turns) {
            address += static_cast<u32>(each.step);
            leaves = u64{address} + width > size;
            if (leaves) break;
            value = 0;
            std::memcpy(&value, vm.memory().base() + address, width);
            if (!scan_holds(op, value, bound)) break;
          }
          const std::vector<u64> arguments = {u64{0xfeed'0001} << 32 | start, bound};
          if (leaves) {
            vm.traps(Trap::memory_bounds, each.function, arguments);
            vm.renew();
            fill();
            trapped = true;
            continue;
          }
          const std::vector<u64> results = vm.results(each.function, arguments);
          CHECK(results == std::vector<u64>{value, address, each.alone ? ~u64{0} : turns, bound});
        }
      }
    }
    CHECK(trapped);
  }
}

// The bound is read before anything is written, and the value wins over the address.
void scans_with_one_register(const Tier& tier) {
  ModuleBuilder module;
  module.memory(64, {}, 0);
  const u32 type = module.type({ValType::i64, ValType::i64}, {ValType::i64, ValType::i64});
  const auto add = [&](u32 value, u32 address, u32 bound) {
    CodeBuilder code(type, 2, 4);
    const Label again = code.label();
    code.bind(again).emit(Op::back_i32_load_step_gt_u, {value, address, 4, bound, again});
    return module.add(code.emit(Op::mov_n, {2, 0, 2}).emit(Op::ret_n, {2, 2}));
  };
  const u32 bound_is_address = add(1, 0, 0);
  const u32 bound_is_value = add(1, 0, 1);
  const u32 value_is_address = add(0, 0, 1);
  Vm vm(tier, module);
  const u32 words[] = {0, 12, 8, 20, 1};
  std::memcpy(vm.memory().base(), words, sizeof words);
  CHECK(vm.results(bound_is_address, {0, 7}) == std::vector<u64>{16, 1});
  CHECK(vm.results(bound_is_value, {0, 5}) == std::vector<u64>{8, 8});
  CHECK(vm.results(value_is_address, {0, 8}) == std::vector<u64>{1, 8});
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
      {operand_ops(), "operands in memory", operands_in_memory},
      {{Op::i32_add_store, Op::i64_add_store, Op::f32_add_store, Op::f64_add_store},
       "sums into memory",
       sums_into_memory},
      {memory_branches(), "branches on memory", branches_on_memory},
      {scans(), "scans of memory", scans_of_memory},
      {{Op::back_i32_load_step_gt_u}, "scans with one register", scans_with_one_register},
  };
  return scenarios;
}

}  // namespace atollvm::test
