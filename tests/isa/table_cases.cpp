// Globals, tables and references.
#include <doctest/doctest.h>

#include "tests/isa/suite.hpp"

namespace atollvm::test {

namespace {

constexpr ValType i32 = ValType::i32;
constexpr ValType i64 = ValType::i64;
constexpr ValType funcref = ValType::funcref;
constexpr ValType externref = ValType::externref;
constexpr u32 refused = 0xffff'ffff;

u64 polluted(u32 value) { return u64{0xfeed'face} << 32 | value; }

void globals(const Tier& tier) {
  ModuleBuilder module;
  const u32 first = module.global(i64, true, ModuleBuilder::i64_const(0x0123'4567'89ab'cdef));
  const u32 second = module.global(i32, true, ModuleBuilder::i32_const(0xffff'fff0));
  const u32 constant = module.global(i64, false, ModuleBuilder::i64_const(42));
  const u32 read_type = module.type({}, {i64});
  const u32 write_type = module.type({i64}, {});
  const auto reader = [&](u32 global) {
    CodeBuilder code(read_type, 0, 1);
    code.emit(Op::global_get, {0, global}).emit(Op::ret_1, {0});
    return module.add(code);
  };
  const auto writer = [&](u32 global) {
    CodeBuilder code(write_type, 1, 1);
    code.emit(Op::global_set, {global, 0}).emit(Op::ret);
    return module.add(code);
  };
  const u32 read_first = reader(first);
  const u32 read_second = reader(second);
  const u32 read_constant = reader(constant);
  const u32 write_first = writer(first);
  Vm vm(tier, module);
  CHECK(vm.result(read_first) == 0x0123'4567'89ab'cdef);
  CHECK(vm.result(read_second) == 0xffff'fff0);
  CHECK(vm.result(read_constant) == 42);
  vm.results(write_first, {0xfedc'ba98'7654'3210});
  CHECK(vm.result(read_first) == 0xfedc'ba98'7654'3210);
  CHECK(vm.result(read_second) == 0xffff'fff0);
  CHECK(vm.result(read_constant) == 42);
  // Each process has its own.
  vm.renew();
  CHECK(vm.result(read_first) == 0x0123'4567'89ab'cdef);
}

// Imported globals are cells of another instance; the cells are linked by hand here.
void imported_globals(const Tier& tier) {
  ModuleBuilder module;
  const u32 first = module.import_global("env", "first", {i64, true});
  const u32 second = module.import_global("env", "second", {i64, true});
  const u32 own = module.global(i64, true, ModuleBuilder::i64_const(5));
  // Swaps `second` with the argument; returns first, the old second, and the own global.
  CodeBuilder code(module.type({i64}, {i64, i64, i64}), 1, 4);
  code.emit(Op::global_get_import, {1, first}).emit(Op::global_get_import, {2, second});
  code.emit(Op::global_get, {3, own}).emit(Op::global_set_import, {second, 0});
  code.emit(Op::ret_n, {1, 3});
  const u32 function = module.add(code);
  auto verified = verify::verify(module.module);
  REQUIRE(verified.ok());
  note_operations(module.module);

  Vm vm(tier, ModuleBuilder{});
  runtime::Instance& instance = vm.process().instance();
  runtime::GlobalCell cells[2] = {{11, 0}, {0xfedc'ba98'7654'3210, 0}};
  const auto program = runtime::Program::make(std::move(*verified));
  instance.program = program.get();
  instance.globals.push_back({5, 0});
  instance.imported_globals.reset(new runtime::GlobalCell*[2]{&cells[0], &cells[1]});
  instance.imported_global_count = 2;
  vm.process().enter(instance);
  CHECK(vm.results(function, {77}) == std::vector<u64>{11, 0xfedc'ba98'7654'3210, 5});
  CHECK(cells[0].low == 11);
  CHECK(cells[1].low == 77);
  CHECK(vm.results(function, {78}) == std::vector<u64>{11, 77, 5});
}

// A module with two funcref tables and one of externref, and functions around each operation.
struct Tables {
  ModuleBuilder module;
  u32 f0, f1, f2;
  u32 get[3], set[3], size[3], grow[3], fill[3];
  u32 copy_same, copy_other, copy_extern;
  u32 init, init_null, init_active, init_extern, drop;
  static constexpr u32 sizes[3] = {10, 6, 4};

  Tables() {
    const auto constant = [&](int value) {
      CodeBuilder code(module.type({}, {ValType::i64}), 0, 1);
      code.emit(Op::i64_const, {0, value}).emit(Op::ret_1, {0});
      return module.add(code);
    };
    f0 = constant(0);
    f1 = constant(1);
    f2 = constant(2);
    module.table(sizes[0], 20);
    module.table(sizes[1]);
    module.table(sizes[2], {}, externref);
    const u32 passive = module.elem({f0, f1, f2, f1});
    mod::ElemSegment with_null;
    with_null.items = {{ModuleBuilder::ref_null()}, {ModuleBuilder::ref_func(f2)}};
    module.module.elems.push_back(with_null);
    mod::ElemSegment active;
    active.mode = mod::SegmentMode::active;
    active.table = 1;
    active.offset = {ModuleBuilder::i32_const(2)};
    active.items = {{ModuleBuilder::ref_func(f1)}, {ModuleBuilder::ref_func(f2)}};
    module.module.elems.push_back(active);
    mod::ElemSegment external;
    external.type = externref;
    external.items = {{ModuleBuilder::ref_null()}};
    module.module.elems.push_back(external);

    for (u32 table = 0; table < 3; ++table) {
      const ValType element = table == 2 ? externref : funcref;
      get[table] = make({i32}, {element}, Op::table_get, {1, table, 0});
      set[table] = make({i32, element}, {}, Op::table_set, {table, 0, 1});
      size[table] = make({}, {i32}, Op::table_size, {0, table});
      grow[table] = make({element, i32}, {i32}, Op::table_grow, {2, table, 0, 1});
      fill[table] = make({i32, element, i32}, {}, Op::table_fill, {table, 0, 1, 2});
    }
    const std::vector<ValType> three = {i32, i32, i32};
    copy_same = make(three, {}, Op::table_copy, {0, 0, 0, 1, 2});
    copy_other = make(three, {}, Op::table_copy, {0, 1, 0, 1, 2});
    copy_extern = make(three, {}, Op::table_copy, {2, 2, 0, 1, 2});
    init = make(three, {}, Op::table_init, {0, passive, 0, 1, 2});
    init_null = make(three, {}, Op::table_init, {1, passive + 1, 0, 1, 2});
    init_active = make(three, {}, Op::table_init, {0, passive + 2, 0, 1, 2});
    init_extern = make(three, {}, Op::table_init, {2, passive + 3, 0, 1, 2});
    drop = make({}, {}, Op::elem_drop, {passive});
  }

  // "op args", whose result, if any, is in the slot after the parameters.
  u32 make(const std::vector<ValType>& params, const std::vector<ValType>& results, Op op,
           const std::vector<Arg>& args) {
    const u32 count = static_cast<u32>(params.size());
    CodeBuilder code(module.type(params, results), count, count + 1);
    code.emit(op, args);
    if (results.empty()) {
      code.emit(Op::ret);
    } else {
      code.emit(Op::ret_1, {count});
    }
    return module.add(code);
  }
};

std::vector<u64> elements(Vm& vm, u32 table) {
  const auto& all = vm.process().instance().tables[table]->elements;
  return {all.begin(), all.end()};
}

// Elements that tell their places apart.
void mark(Vm& vm, u32 table) {
  auto& all = vm.process().instance().tables[table]->elements;
  for (usize i = 0; i < all.size(); ++i) all[i] = runtime::function_reference(0, 0) + i * 7 + table;
}

void get_and_set(const Tier& tier) {
  Tables tables;
  Vm vm(tier, tables.module);
  const u64 f1 = runtime::function_reference(0, tables.f1);
  for (u32 table = 0; table < 3; ++table) {
    const u32 size = Tables::sizes[table];
    vm.renew();
    CHECK(vm.result(tables.size[table]) == size);
    for (u32 index : {0u, size - 1}) {
      CHECK(vm.result(tables.get[table], {polluted(index)}) == 0);
      vm.results(tables.set[table], {polluted(index), f1 + index});
      CHECK(vm.result(tables.get[table], {polluted(index)}) == f1 + index);
    }
    CHECK(elements(vm, table)[0] == f1);
    for (u32 index : {size, size + 1, 0x8000'0000u, 0xffff'ffffu}) {
      vm.traps(Trap::table_bounds, tables.get[table], {polluted(index)});
      vm.traps(Trap::table_bounds, tables.set[table], {polluted(index), f1});
    }
  }
  CHECK(vm.result(tables.get[1], {2}) == f1);
  CHECK(vm.result(tables.get[1], {3}) == runtime::function_reference(0, tables.f2));
}

void grow(const Tier& tier) {
  Tables tables;
  runtime::Options options;
  options.limits.table_elements = 100;
  Vm vm(tier, tables.module, options);
  constexpr u64 value = 0x1'0000'0001;
  CHECK(vm.result(tables.grow[0], {value, polluted(0)}) == 10);
  CHECK(vm.result(tables.grow[0], {value, polluted(11)}) == refused);
  CHECK(vm.result(tables.grow[0], {value, polluted(10)}) == 10);
  CHECK(vm.result(tables.grow[0], {value, polluted(1)}) == refused);
  CHECK(vm.result(tables.grow[0], {value, polluted(0)}) == 20);
  CHECK(vm.result(tables.size[0]) == 20);
  CHECK(vm.result(tables.get[0], {9}) == 0);
  CHECK(vm.result(tables.get[0], {10}) == value);
  CHECK(vm.result(tables.get[0], {19}) == value);
  // The limit of the process is for all tables together: 20 + 6 + 4 are in use.
  for (u32 delta : {71u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) {
    CHECK(vm.result(tables.grow[1], {0, delta}) == refused);
    CHECK(vm.result(tables.grow[2], {0, delta}) == refused);
  }
  CHECK(vm.result(tables.grow[2], {77, 70}) == 4);
  CHECK(vm.result(tables.grow[1], {0, 1}) == refused);
  CHECK(vm.result(tables.grow[1], {0, 0}) == 6);
  CHECK(vm.result(tables.get[2], {73}) == 77);
  CHECK(vm.process().usage().table_elements == 100);
}

void fill(const Tier& tier) {
  Tables tables;
  Vm vm(tier, tables.module);
  constexpr u64 value = 0x1'0000'0002;
  for (u32 table = 0; table < 3; ++table) {
    const u32 size = Tables::sizes[table];
    struct Case {
      u32 at, count;
    };
    for (const Case& test : {Case{0, 0}, {1, 2}, {0, size}, {size, 0}, {size - 1, 1}}) {
      mark(vm, table);
      std::vector<u64> expected = elements(vm, table);
      for (u32 i = 0; i < test.count; ++i) expected[test.at + i] = value;
      vm.results(tables.fill[table], {polluted(test.at), value, polluted(test.count)});
      CHECK(elements(vm, table) == expected);
    }
    for (const Case& test :
         {Case{0, size + 1}, {size, 1}, {size + 1, 0}, {1, 0xffff'ffff}, {0xffff'ffff, 1}}) {
      vm.renew();
      vm.traps(Trap::table_bounds, tables.fill[table], {test.at, value, test.count});
      CHECK(elements(vm, 0) == std::vector<u64>(Tables::sizes[0], 0));
    }
    vm.renew();
    vm.results(tables.fill[table], {0, 0, 0});
  }
}

void copy(const Tier& tier) {
  Tables tables;
  Vm vm(tier, tables.module);
  struct Case {
    u32 to, from, count;
  };
  struct Way {
    u32 function, to_table, from_table;
  };
  for (const Way& way :
       {Way{tables.copy_same, 0, 0}, {tables.copy_other, 0, 1}, {tables.copy_extern, 2, 2}}) {
    const u32 to_size = Tables::sizes[way.to_table];
    const u32 from_size = Tables::sizes[way.from_table];
    vm.renew();
    vm.results(way.function, {0, 0, 0});
    for (const Case& test : {Case{0, 0, 0},
                             {0, 1, 3},
                             {1, 0, 3},
                             {0, 0, 4},
                             {to_size, from_size, 0},
                             {to_size - 1, from_size - 1, 1},
                             {to_size - 4, from_size - 4, 4},
                             {0, from_size - 3, 3},
                             {to_size - 3, 0, 3}}) {
      mark(vm, way.to_table);
      mark(vm, way.from_table);
      std::vector<u64> expected = elements(vm, way.to_table);
      const std::vector<u64> source = elements(vm, way.from_table);
      for (u32 i = 0; i < test.count; ++i) expected[test.to + i] = source[test.from + i];
      vm.results(way.function, {polluted(test.to), polluted(test.from), polluted(test.count)});
      CHECK(elements(vm, way.to_table) == expected);
    }
    for (const Case& test : {Case{to_size + 1, 0, 0},
                             {0, from_size + 1, 0},
                             {to_size, 0, 1},
                             {0, from_size, 1},
                             {to_size - 1, 0, 2},
                             {0, from_size - 1, 2},
                             {0, 0, 0xffff'ffff},
                             {0xffff'ffff, 0, 1},
                             {0, 0xffff'ffff, 1}}) {
      INFO("to " << test.to << " from " << test.from << " count " << test.count);
      vm.renew();
      vm.traps(Trap::table_bounds, way.function, {test.to, test.from, test.count});
      CHECK(elements(vm, way.to_table) == std::vector<u64>(to_size, 0));
    }
  }
}

void init(const Tier& tier) {
  Tables tables;
  Vm vm(tier, tables.module);
  const u64 f0 = runtime::function_reference(0, tables.f0);
  const u64 f1 = runtime::function_reference(0, tables.f1);
  const u64 f2 = runtime::function_reference(0, tables.f2);
  vm.results(tables.init, {polluted(3), polluted(1), polluted(3)});
  CHECK(elements(vm, 0) == std::vector<u64>{0, 0, 0, f1, f2, f1, 0, 0, 0, 0});
  vm.results(tables.init, {6, 0, 4});
  CHECK(elements(vm, 0) == std::vector<u64>{0, 0, 0, f1, f2, f1, f0, f1, f2, f1});
  vm.results(tables.init, {10, 4, 0});
  CHECK(elements(vm, 1) == std::vector<u64>{0, 0, f1, f2, 0, 0});
  vm.results(tables.init_null, {2, 0, 2});
  CHECK(elements(vm, 1) == std::vector<u64>{0, 0, 0, f2, 0, 0});
  vm.results(tables.init_extern, {3, 0, 1});
  for (const auto& arguments : std::vector<std::vector<u64>>{{11, 0, 0},
                                                             {0, 5, 0},
                                                             {0, 0, 5},
                                                             {7, 0, 4},
                                                             {10, 0, 1},
                                                             {0, 4, 1},
                                                             {0, 0, 0xffff'ffff},
                                                             {0xffff'ffff, 0, 1},
                                                             {0, 0xffff'ffff, 1}}) {
    vm.renew();
    vm.traps(Trap::table_bounds, tables.init, arguments);
    CHECK(elements(vm, 0) == std::vector<u64>(10, 0));
  }
  // Active segments are dropped by instantiation, passive ones by elem.drop.
  vm.results(tables.init_active, {0, 0, 0});
  vm.traps(Trap::table_bounds, tables.init_active, {0, 0, 1});
  vm.results(tables.init, {0, 0, 4});
  vm.results(tables.drop);
  vm.results(tables.drop);
  vm.results(tables.init, {10, 0, 0});
  vm.traps(Trap::table_bounds, tables.init, {0, 0, 1});
  vm.results(tables.init, {0, 0, 4});
}

// Longer than the pieces that bulk operations are cut into.
void large(const Tier& tier) {
  constexpr u32 size = 300'000;
  ModuleBuilder module;
  module.table(size);
  const u32 type = module.type({i32, i32, i32}, {});
  CodeBuilder copy_code(type, 3, 3);
  copy_code.emit(Op::table_copy, {0, 0, 0, 1, 2}).emit(Op::ret);
  const u32 copy_function = module.add(copy_code);
  CodeBuilder fill_code(module.type({i32, funcref, i32}, {}), 3, 3);
  fill_code.emit(Op::table_fill, {0, 0, 1, 2}).emit(Op::ret);
  const u32 fill_function = module.add(fill_code);
  Vm vm(tier, module);
  struct Case {
    u32 to, from;
  };
  constexpr u32 count = 250'001;
  for (const Case& test : {Case{1, 0}, {0, 1}, {40'000, 3}, {3, 40'000}}) {
    mark(vm, 0);
    std::vector<u64> expected = elements(vm, 0);
    const std::vector<u64> source = expected;
    for (u32 i = 0; i < count; ++i) expected[test.to + i] = source[test.from + i];
    vm.results(copy_function, {test.to, test.from, count});
    CHECK(elements(vm, 0) == expected);
  }
  std::vector<u64> expected = elements(vm, 0);
  for (u32 i = 0; i < count; ++i) expected[17 + i] = 0x1'0000'0001;
  vm.results(fill_function, {17, 0x1'0000'0001, count});
  CHECK(elements(vm, 0) == expected);
}

void references(const Tier& tier) {
  ModuleBuilder module;
  CodeBuilder first(module.type({}, {funcref}), 0, 1);
  first.emit(Op::ref_func, {0, 1}).emit(Op::ret_1, {0});
  const u32 first_function = module.add(first);
  CodeBuilder is_null(module.type({funcref}, {i32}), 1, 2);
  is_null.emit(Op::ref_is_null, {1, 0}).emit(Op::ret_1, {1});
  const u32 is_null_function = module.add(is_null);
  Vm vm(tier, module);
  const u64 reference = vm.result(first_function);
  CHECK(reference == runtime::function_reference(0, is_null_function));
  CHECK(vm.result(is_null_function, {reference}) == 0);
  CHECK(vm.result(is_null_function, {0}) == 1);
  // A reference is all 64 bits of its slot.
  CHECK(vm.result(is_null_function, {u64{1} << 32}) == 0);
  CHECK(vm.result(is_null_function, {1}) == 0);
}

const Scenario scenarios[] = {
    {{Op::global_get, Op::global_set}, "globals", globals},
    {{Op::global_get_import, Op::global_set_import}, "imported globals", imported_globals},
    {{Op::table_get, Op::table_set, Op::table_size}, "table.get and table.set", get_and_set},
    {{Op::table_grow}, "table.grow", grow},
    {{Op::table_fill}, "table.fill", fill},
    {{Op::table_copy}, "table.copy", copy},
    {{Op::table_init, Op::elem_drop}, "table.init", init},
    {{Op::table_copy, Op::table_fill}, "large table copies and fills", large},
    {{Op::ref_func, Op::ref_is_null}, "references", references},
};

}  // namespace

std::span<const Scenario> table_scenarios() { return scenarios; }

}  // namespace atollvm::test
