// Memories as a whole: size, growth, bulk operations, segments.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

namespace {

constexpr u64 page = 65536;
constexpr u32 refused = 0xffff'ffff;

u8 pattern(u64 address) { return static_cast<u8>(address * 29 + (address >> 8) * 7 + 0x51); }

void fill_pattern(runtime::Memory& memory) {
  for (u64 i = 0; i < memory.size(); ++i) memory.base()[i] = pattern(i);
}

std::vector<u8> contents(const runtime::Memory& memory) {
  return {memory.base(), memory.base() + memory.size()};
}

std::vector<u8> pattern_of(u64 size) {
  std::vector<u8> bytes(size);
  for (u64 i = 0; i < size; ++i) bytes[i] = pattern(i);
  return bytes;
}

// Function of three i32 operands without results around one bulk operation.
u32 add_bulk(ModuleBuilder& module, Op op, std::vector<Arg> fixed) {
  CodeBuilder code(module.type({ValType::i32, ValType::i32, ValType::i32}, {}), 3, 3);
  fixed.insert(fixed.end(), {0, 1, 2});
  code.emit(op, fixed).emit(Op::ret);
  return module.add(code);
}

u32 add_size(ModuleBuilder& module, u32 memory) {
  CodeBuilder code(module.type({}, {ValType::i32}), 0, 1);
  code.emit(Op::memory_size, {0, memory}).emit(Op::ret_1, {0});
  return module.add(code);
}

u32 add_grow(ModuleBuilder& module, u32 memory) {
  CodeBuilder code(module.type({ValType::i32}, {ValType::i32}), 1, 2);
  code.emit(Op::memory_grow, {1, memory, 0}).emit(Op::ret_1, {1});
  return module.add(code);
}

// Upper halves of i32 operands are never looked at.
u64 polluted(u32 value) { return u64{0xfeed'face} << 32 | value; }

void sizes_and_growth(const Tier& tier) {
  ModuleBuilder module;
  module.memory(1, 3, 16);
  module.memory(10, 1000, 0);
  module.memory(0, {}, 0);
  u32 size[3];
  u32 grow[3];
  for (u32 i = 0; i < 3; ++i) {
    size[i] = add_size(module, i);
    grow[i] = add_grow(module, i);
  }
  runtime::Options options;
  options.limits.memory_bytes = 4 * page;
  Vm vm(tier, module, options);
  CHECK(vm.result(size[0]) == 1);
  CHECK(vm.result(size[1]) == 10);
  CHECK(vm.result(size[2]) == 0);
  // Growth by nothing, up to the maximum, beyond it.
  CHECK(vm.result(grow[0], {polluted(0)}) == 1);
  CHECK(vm.result(grow[0], {polluted(3)}) == refused);
  CHECK(vm.result(grow[0], {polluted(1)}) == 1);
  CHECK(vm.result(grow[0], {polluted(0xffff'ffff)}) == refused);
  CHECK(vm.result(size[0]) == 2);
  CHECK(vm.result(grow[0], {1}) == 2);
  CHECK(vm.result(grow[0], {1}) == refused);
  CHECK(vm.result(grow[0], {0}) == 3);
  CHECK(vm.result(grow[1], {polluted(991)}) == refused);
  CHECK(vm.result(grow[1], {polluted(990)}) == 10);
  CHECK(vm.result(grow[1], {1}) == refused);
  CHECK(vm.result(size[1]) == 1000);
  // The limit of the process is for all memories together: 65,536 - 1,000 bytes are left.
  CHECK(vm.result(grow[2], {static_cast<u32>(page - 999)}) == refused);
  CHECK(vm.result(grow[2], {static_cast<u32>(page - 1000)}) == 0);
  CHECK(vm.result(grow[2], {1}) == refused);
  CHECK(vm.result(size[2]) == page - 1000);
}

// Contents stay and new bytes are zero, over many steps of growth.
void growth_keeps_contents(const Tier& tier) {
  for (u8 page_shift : {u8{0}, u8{16}}) {
    ModuleBuilder module;
    module.memory(1, {}, page_shift);
    const u32 grow = add_grow(module, 0);
    Vm vm(tier, module);
    std::vector<u8> expected(u64{1} << page_shift, 0);
    CHECK(contents(vm.memory()) == expected);
    for (u32 step = 1; step <= 12; ++step) {
      fill_pattern(vm.memory());
      expected = pattern_of(expected.size());
      const u32 delta = page_shift == 0 ? step * 997 : step % 3;
      CHECK(vm.result(grow, {delta}) == expected.size() >> page_shift);
      expected.resize(expected.size() + (u64{delta} << page_shift), 0);
      REQUIRE(contents(vm.memory()) == expected);
    }
  }
}

// The largest memories of both kinds: their sizes fit i32 results.
void largest(const Tier& tier) {
  ModuleBuilder pages;
  pages.memory(0, {}, 16);
  const u32 pages_grow = add_grow(pages, 0);
  runtime::Options options;
  options.limits.memory_bytes = u64{1} << 32;
  {
    Vm vm(tier, pages, options);
    CHECK(vm.result(pages_grow, {65537}) == refused);
    CHECK(vm.result(pages_grow, {65536}) == 0);
    CHECK(vm.result(pages_grow, {1}) == refused);
    CHECK(vm.result(pages_grow, {0}) == 65536);
    CHECK(vm.memory().size() == u64{1} << 32);
    vm.memory().base()[(u64{1} << 32) - 1] = 7;
  }
  ModuleBuilder bytes;
  bytes.memory(0, {}, 0);
  const u32 bytes_grow = add_grow(bytes, 0);
  Vm vm(tier, bytes, options);
  CHECK(vm.result(bytes_grow, {0xffff'0001}) == refused);
  CHECK(vm.result(bytes_grow, {0xffff'0000}) == 0);
  CHECK(vm.result(bytes_grow, {1}) == refused);
  CHECK(vm.result(bytes_grow, {0}) == 0xffff'0000);
}

// Two memories, byte-granular and of a page; bulk operations between all pairs.
struct BulkModule {
  ModuleBuilder module;
  static constexpr u64 small = 300;
  u32 fill[2], copy[2][2];

  BulkModule() {
    module.memory(small, {}, 0);
    module.memory(1, {}, 16);
    for (u32 to : {0u, 1u}) {
      fill[to] = add_bulk(module, Op::memory_fill, {to});
      for (u32 from : {0u, 1u}) copy[to][from] = add_bulk(module, Op::memory_copy, {to, from});
    }
  }
};

u64 size_of(u32 memory) { return memory == 0 ? BulkModule::small : page; }

void fill(const Tier& tier) {
  BulkModule bulk;
  Vm vm(tier, bulk.module);
  for (u32 memory : {0u, 1u}) {
    vm.renew();
    const u32 size = static_cast<u32>(size_of(memory));
    struct Case {
      u32 at, count;
    };
    for (const Case& test : {Case{0, 0},
                             {0, 1},
                             {3, 63},
                             {1, 65},
                             {0, size},
                             {size, 0},
                             {size - 1, 1},
                             {size - 100, 100}}) {
      fill_pattern(vm.memory(memory));
      std::vector<u8> expected = pattern_of(size);
      for (u32 i = 0; i < test.count; ++i) expected[test.at + i] = 0xa5;
      vm.results(bulk.fill[memory],
                 {polluted(test.at), polluted(0xffff'ffa5), polluted(test.count)});
      CHECK(contents(vm.memory(memory)) == expected);
    }
    for (const Case& test : {Case{0, size + 1},
                             {size, 1},
                             {size + 1, 0},
                             {1, size},
                             {0xffff'ffff, 0},
                             {0xffff'ffff, 1},
                             {1, 0xffff'ffff},
                             {0x8000'0000, 0x8000'0000}}) {
      INFO("at " << test.at << " count " << test.count);
      vm.renew();
      vm.traps(Trap::memory_bounds, bulk.fill[memory], {test.at, 0xa5, test.count});
      CHECK(contents(vm.memory(memory)) == std::vector<u8>(size, 0));
    }
  }
}

void copy(const Tier& tier) {
  BulkModule bulk;
  Vm vm(tier, bulk.module);
  for (u32 to : {0u, 1u}) {
    for (u32 from : {0u, 1u}) {
      vm.renew();
      const u32 to_size = static_cast<u32>(size_of(to));
      const u32 from_size = static_cast<u32>(size_of(from));
      struct Case {
        u32 at, source, count;
      };
      for (const Case& test : {Case{0, 0, 0},
                               {10, 20, 100},
                               {20, 10, 100},
                               {11, 10, 200},
                               {10, 11, 200},
                               {5, 5, 99},
                               {to_size, 0, 0},
                               {0, from_size, 0},
                               {to_size, from_size, 0},
                               {to_size - 1, 0, 1},
                               {0, from_size - 1, 1},
                               {to_size - 300, from_size - 300, 300}}) {
        INFO("memory " << to << " at " << test.at << ", from memory " << from << " at "
                       << test.source << ", count " << test.count);
        for (u32 memory : {0u, 1u}) fill_pattern(vm.memory(memory));
        if (to != from) {
          for (u64 i = 0; i < to_size; ++i) vm.memory(to).base()[i] ^= 0xff;
        }
        std::vector<u8> expected = contents(vm.memory(to));
        for (u32 i = 0; i < test.count; ++i) expected[test.at + i] = pattern(test.source + i);
        vm.results(bulk.copy[to][from],
                   {polluted(test.at), polluted(test.source), polluted(test.count)});
        CHECK(contents(vm.memory(to)) == expected);
      }
      for (const Case& test : {Case{to_size + 1, 0, 0},
                               {0, from_size + 1, 0},
                               {to_size, 0, 1},
                               {0, from_size, 1},
                               {to_size - 10, 0, 11},
                               {0, from_size - 10, 11},
                               {0xffff'ffff, 0, 1},
                               {0, 0xffff'ffff, 1},
                               {1, 1, 0xffff'ffff},
                               {0xffff'ffff, 0xffff'ffff, 0xffff'ffff}}) {
        INFO("memory " << to << " at " << test.at << ", from memory " << from << " at "
                       << test.source << ", count " << test.count);
        vm.renew();
        vm.traps(Trap::memory_bounds, bulk.copy[to][from], {test.at, test.source, test.count});
        CHECK(contents(vm.memory(to)) == std::vector<u8>(to_size, 0));
      }
    }
  }
}

// All lengths and overlaps that may be treated each in its own way, up to both ends of a memory.
void short_ranges(const Tier& tier) {
  for (const bool whole_pages : {false, true}) {
    const u32 size = whole_pages ? static_cast<u32>(page) : 700;
    ModuleBuilder module;
    module.memory(whole_pages ? 1 : size, {}, whole_pages ? 16 : 0);
    const u32 copy_function = add_bulk(module, Op::memory_copy, {0, 0});
    const u32 fill_function = add_bulk(module, Op::memory_fill, {0});
    Vm vm(tier, module);
    std::vector<u32> lengths = {0, 1, 3, 8, 31, 32, 64, 256, 257};
    for (u32 length = 2; length <= 70 && !whole_pages; ++length) lengths.push_back(length);
    for (u32 length = 240; length <= 260 && !whole_pages; ++length) lengths.push_back(length);
    for (u32 length : lengths) {
      INFO("length " << length);
      vm.renew();
      const auto copied = [&](u32 at, u32 source) {
        fill_pattern(vm.memory());
        std::vector<u8> expected = pattern_of(size);
        for (u32 i = 0; i < length; ++i) expected[at + i] = pattern(source + i);
        vm.results(copy_function, {polluted(at), polluted(source), polluted(length)});
        return contents(vm.memory()) == expected;
      };
      for (u32 distance : {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64, 255, 257}) {
        INFO("distance " << distance);
        CHECK(copied(100, 100 + distance));
        CHECK(copied(100 + distance, 100));
      }
      CHECK(copied(0, size - length));
      CHECK(copied(size - length, 0));
      for (u32 at : {0u, 100u, size - length}) {
        fill_pattern(vm.memory());
        std::vector<u8> expected = pattern_of(size);
        std::fill_n(expected.begin() + at, length, u8{0x9c});
        vm.results(fill_function, {polluted(at), polluted(0xffff'ff9c), polluted(length)});
        CHECK(contents(vm.memory()) == expected);
      }
      // One byte too far, with nothing written before.
      for (u32 at : {size - length + 1, 0xffff'ffff - length, 0xffff'ffff}) {
        const auto untouched = [&] { return contents(vm.memory()) == std::vector<u8>(size, 0); };
        for (const auto& arguments : {std::vector<u64>{at, 0, length}, {0, at, length}}) {
          vm.renew();
          vm.traps(Trap::memory_bounds, copy_function, arguments);
          CHECK(untouched());
        }
        vm.renew();
        vm.traps(Trap::memory_bounds, fill_function, {at, 1, length});
        CHECK(untouched());
      }
    }
  }
}

// Copies and fills longer than the pieces they are cut into.
void large(const Tier& tier) {
  ModuleBuilder module;
  constexpr u64 size = 64 * page;
  module.memory(size >> 16, {}, 16);
  const u32 copy_function = add_bulk(module, Op::memory_copy, {0, 0});
  const u32 fill_function = add_bulk(module, Op::memory_fill, {0});
  Vm vm(tier, module);
  constexpr u32 count = 3'000'001;
  struct Case {
    u32 at, source;
  };
  for (const Case& test : {Case{1, 0}, {0, 1}, {1'000'000, 7}, {7, 1'000'000}, {5, 5}}) {
    fill_pattern(vm.memory());
    std::vector<u8> expected = pattern_of(size);
    const std::vector<u8> before = expected;
    std::copy_n(before.begin() + test.source, count, expected.begin() + test.at);
    vm.results(copy_function, {test.at, test.source, count});
    CHECK(contents(vm.memory()) == expected);
  }
  fill_pattern(vm.memory());
  std::vector<u8> expected = pattern_of(size);
  std::fill_n(expected.begin() + 13, count, u8{0x77});
  vm.results(fill_function, {13, 0x77, count});
  CHECK(contents(vm.memory()) == expected);
}

void segments(const Tier& tier) {
  ModuleBuilder module;
  module.memory(100, {}, 0);
  module.memory(1, {}, 16);
  const std::string bytes = "0123456789abcdefghij";
  const u32 passive = module.data(bytes);
  const u32 empty = module.data("");
  const u32 active = module.data("ACTIVE");
  module.module.datas[active].mode = mod::SegmentMode::active;
  module.module.datas[active].offset = {ModuleBuilder::i32_const(4)};
  const u32 init = add_bulk(module, Op::memory_init, {0, passive});
  const u32 init_page = add_bulk(module, Op::memory_init, {1, passive});
  const u32 init_empty = add_bulk(module, Op::memory_init, {0, empty});
  const u32 init_active = add_bulk(module, Op::memory_init, {0, active});
  CodeBuilder drop(module.type({}, {}), 0, 0);
  drop.emit(Op::data_drop, {passive}).emit(Op::data_drop, {passive}).emit(Op::ret);
  const u32 drop_function = module.add(drop);
  Vm vm(tier, module);

  const auto text = [&](u32 memory, u64 at, u64 count) {
    const u8* base = vm.memory(memory).base();
    return std::string(base + at, base + at + count);
  };
  CHECK(text(0, 0, 12) == std::string("\0\0\0\0ACTIVE\0\0", 12));
  vm.results(init, {polluted(80), polluted(0), polluted(20)});
  CHECK(text(0, 79, 21) == '\0' + bytes);
  vm.results(init, {polluted(0), polluted(17), polluted(3)});
  CHECK(text(0, 0, 5) == std::string("hij\0A", 5));
  vm.results(init_page, {static_cast<u32>(page - 2), 4, 2});
  CHECK(text(1, page - 3, 3) == std::string("\0"
                                            "45",
                                            3));
  // Lengths of zero at both ends.
  vm.results(init, {100, 20, 0});
  vm.results(init_empty, {100, 0, 0});
  vm.results(init_active, {100, 0, 0});
  for (const auto& arguments : std::vector<std::vector<u64>>{{101, 0, 0},
                                                             {0, 21, 0},
                                                             {0, 0, 21},
                                                             {81, 0, 20},
                                                             {0, 20, 1},
                                                             {100, 0, 1},
                                                             {0xffff'ffff, 0, 1},
                                                             {0, 0xffff'ffff, 1},
                                                             {0, 0, 0xffff'ffff}}) {
    vm.renew();
    vm.traps(Trap::memory_bounds, init, arguments);
    CHECK(text(0, 0, 12) == std::string("\0\0\0\0ACTIVE\0\0", 12));
    CHECK(text(0, 12, 88) == std::string(88, '\0'));
  }
  vm.traps(Trap::memory_bounds, init_empty, {0, 0, 1});
  // An active segment was dropped by instantiation.
  vm.traps(Trap::memory_bounds, init_active, {0, 0, 1});
  vm.results(drop_function);
  vm.results(init, {0, 0, 0});
  vm.results(init, {100, 0, 0});
  vm.traps(Trap::memory_bounds, init, {0, 0, 1});
  // A drop is the process's own: a new one has the segment.
  vm.results(init, {0, 0, 1});
  vm.results(drop_function);
  vm.traps(Trap::memory_bounds, init, {0, 1, 0});
}

const Scenario scenarios[] = {
    {{Op::memory_size, Op::memory_grow}, "sizes and growth", sizes_and_growth},
    {{Op::memory_grow}, "growth keeps contents", growth_keeps_contents},
    {{Op::memory_grow}, "the largest memories", largest},
    {{Op::memory_fill}, "memory.fill", fill},
    {{Op::memory_copy}, "memory.copy", copy},
    {{Op::memory_copy, Op::memory_fill}, "short copies and fills", short_ranges, true},
    {{Op::memory_copy, Op::memory_fill}, "large copies and fills", large},
    {{Op::memory_init, Op::data_drop}, "segments", segments},
};

}  // namespace

std::span<const Scenario> memory_scenarios() { return scenarios; }

}  // namespace atollvm::test
