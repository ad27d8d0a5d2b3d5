// The verifier's rules outside of code, each with what it accepts and what it refuses.
#include <functional>

#include "tests/verify/expect.hpp"
#include "vm/module/limits.hpp"

using namespace atollvm;
using namespace atollvm::test;
using Kind = mod::ConstOp::Kind;

namespace {

// every_section() with one change.
mod::Module changed(const std::function<void(mod::Module&)>& change) {
  mod::Module module = every_section();
  change(module);
  return module;
}

mod::ConstExpr constant(Kind kind, u64 value = 0) { return {{kind, value}}; }

}  // namespace

TEST_CASE("types: number of parameters and results, known types, no v128") {
  accepts(changed([](mod::Module& m) {
    m.types.push_back(
        {std::vector<ValType>(1000, ValType::i32), std::vector<ValType>(1000, ValType::externref)});
  }));
  refuses(changed([](mod::Module& m) {
            m.types.push_back({std::vector<ValType>(1001, ValType::i32), {}});
          }),
          "section types, entry 4", "1001 parameters and 0 results: at most 1000 and 1000");
  refuses(changed([](mod::Module& m) {
            m.types[1].results = std::vector<ValType>(1001, ValType::i32);
          }),
          "section types, entry 1", "2 parameters and 1001 results");
  refuses(changed([](mod::Module& m) { m.types[2].results[0] = ValType::v128; }),
          "section types, entry 2", "v128 is reserved");
  refuses(changed([](mod::Module& m) { m.types[1].params[1] = static_cast<ValType>(3); }),
          "section types, entry 1", "type 0x3 is unknown");
}

TEST_CASE("imports: types exist and keep their own rules") {
  refuses(changed([](mod::Module& m) { m.imports[0].func_type = 4; }), "section imports, entry 0",
          "type 4 does not exist: there are 4");
  refuses(changed([](mod::Module& m) { m.imports[1].global.type = ValType::v128; }),
          "section imports, entry 1", "v128 is reserved");
  refuses(changed([](mod::Module& m) { m.imports[2].table.size.max = 0; }),
          "section imports, entry 2", "the least size 1 is above the largest, 0");
  refuses(changed([](mod::Module& m) { m.imports[3].memory.page_shift = 12; }),
          "section imports, entry 3", "a page shift of 12");
  refuses(changed([](mod::Module& m) { m.imports[3].kind = static_cast<mod::ExternKind>(4); }),
          "section imports, entry 3", "kind 4 is unknown");
  refuses(changed([](mod::Module& m) { m.imports[3].name = "\xff"; }), "section imports, entry 3",
          "the name is not UTF-8");
  refuses(changed([](mod::Module& m) { m.imports[3].module = "\xc0\x80"; }),
          "section imports, entry 3", "the module's name is not UTF-8");
}

TEST_CASE("functions: they cover code and labels, in order") {
  refuses(changed([](mod::Module& m) { m.functions[1].type = 9; }), "section functions, entry 1",
          "type 9 does not exist");
  refuses(changed([](mod::Module& m) { m.functions[1].code_begin += 1; }),
          "section functions, entry 1", "code from word 3 and labels from 0");
  refuses(changed([](mod::Module& m) { m.functions[1].label_begin += 1; }),
          "section functions, entry 1", "code from word 2 and labels from 1");
  refuses(changed([](mod::Module& m) { m.functions[2].code_size += 1; }),
          "section functions, entry 2", "code up to word 10");
  refuses(changed([](mod::Module& m) { m.functions[2].label_count += 1; }),
          "section functions, entry 2", "labels up to 3");
  refuses(changed([](mod::Module& m) { m.functions[0].code_size = 0; }),
          "section functions, entry 0", "a function without code");
  refuses(changed([](mod::Module& m) { m.code.push_back(0); }), "section code",
          "10 words, but the functions have 9");
  refuses(changed([](mod::Module& m) { m.labels.push_back({}); }), "section labels",
          "3 labels, but the functions have 2");
  refuses(changed([](mod::Module& m) {
            m.functions[1].code_size = 0xffff'ffff;
            m.functions[1].label_count = 0xffff'ffff;
          }),
          "section functions, entry 1", "code up to word 4294967297");
}

TEST_CASE("tables and memories: sizes") {
  refuses(changed([](mod::Module& m) { m.tables[0].type.size = {9, 8}; }),
          "section tables, entry 0", "the least size 9 is above the largest, 8");
  accepts(changed([](mod::Module& m) { m.tables[0].type.size = {10'000'000, 0xffff'ffff}; }));
  refuses(changed([](mod::Module& m) { m.tables[0].type.size = {10'000'001, {}}; }),
          "section tables, entry 0", "10000001 elements are more than the limit of 10000000");
  refuses(changed([](mod::Module& m) { m.tables[0].type.size = {1, 0x1'0000'0000}; }),
          "section tables, entry 0", "4294967296 elements are more");
  refuses(changed([](mod::Module& m) { m.tables[0].type.element = ValType::i32; }),
          "section tables, entry 0", "a table of i32: only references");
  accepts(changed([](mod::Module& m) { m.memories[0] = {{0, 65'536}, 16}; }));
  refuses(changed([](mod::Module& m) { m.memories[0] = {{0, 65'537}, 16}; }),
          "section memories, entry 0", "65537 pages are more than the limit of 65536");
  accepts(changed([](mod::Module& m) { m.memories[0] = {{0xffff'0000, 0xffff'0000}, 0}; }));
  refuses(changed([](mod::Module& m) { m.memories[0] = {{0xffff'0001, {}}, 0}; }),
          "section memories, entry 0", "4294901761 bytes are more than the limit of 4294901760");
  refuses(changed([](mod::Module& m) { m.memories[0] = {{2, 1}, 0}; }), "section memories, entry 0",
          "the least size 2 is above the largest, 1");
  refuses(changed([](mod::Module& m) { m.memories[0].page_shift = 1; }),
          "section memories, entry 0", "a page shift of 1");
}

TEST_CASE("exports: they exist, each name once") {
  using mod::ExternKind;
  const auto last = [](ExternKind kind, u32 index) {
    return changed([=](mod::Module& m) { m.exports[3] = {"last", kind, index}; });
  };
  accepts(last(ExternKind::function, 4));
  accepts(last(ExternKind::table, 1));
  accepts(last(ExternKind::memory, 1));
  accepts(last(ExternKind::global, 6));
  refuses(last(ExternKind::function, 5), "section exports, entry 3", "function 5 does not exist");
  refuses(last(ExternKind::table, 2), "section exports, entry 3", "table 2 does not exist");
  refuses(last(ExternKind::memory, 2), "section exports, entry 3", "memory 2 does not exist");
  refuses(last(ExternKind::global, 7), "section exports, entry 3", "global 7 does not exist");
  refuses(last(static_cast<ExternKind>(4), 0), "section exports, entry 3", "kind 4 is unknown");
  refuses(changed([](mod::Module& m) { m.exports[3].name = "memory"; }), "section exports, entry 3",
          "the name memory is that of entry 1");
  refuses(changed([](mod::Module& m) { m.exports[0].name = "\xed\xa0\x80"; }),
          "section exports, entry 0", "not UTF-8");
}

TEST_CASE("start: a function without parameters and results") {
  refuses(changed([](mod::Module& m) { m.start = 5; }), "section start",
          "function 5 does not exist");
  refuses(changed([](mod::Module& m) { m.start = 4; }), "section start",
          "function 4 has 2 parameters and 1 results");
}

TEST_CASE("constant expressions: types, stack, what they may read") {
  const auto global = [](ValType type, mod::ConstExpr init) {
    return changed([&](mod::Module& m) { m.globals[2] = {{type, false}, init}; });
  };
  const std::string place = "section globals, entry 2";
  accepts(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i32_const, 2}, {Kind::i32_add, 0}}));
  accepts(global(ValType::i64, {{Kind::i64_const, 1}, {Kind::i64_const, 2}, {Kind::i64_sub, 0}}));
  accepts(global(ValType::funcref, constant(Kind::ref_func, 4)));
  accepts(global(ValType::funcref, constant(Kind::ref_null)));
  accepts(global(ValType::externref, constant(Kind::ref_null)));
  accepts(global(ValType::f32, constant(Kind::global_get, 2)));
  refuses(global(ValType::i32, {}), place, "leaves 0 values instead of 1");
  refuses(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i32_const, 2}}), place,
          "leaves 2 values instead of 1");
  refuses(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i32_mul, 0}}), place,
          "needs two operands of type i32");
  refuses(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i64_const, 2}, {Kind::i32_add, 0}}),
          place, "needs two operands of type i32");
  refuses(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i32_const, 2}, {Kind::i64_add, 0}}),
          place, "needs two operands of type i64");
  refuses(global(ValType::i64, constant(Kind::i32_const)), place,
          "a constant of type i32 where i64 is needed");
  refuses(global(ValType::i32, constant(Kind::ref_null)), place,
          "a constant of type funcref where i32 is needed");
  refuses(global(ValType::externref, constant(Kind::ref_func, 0)), place,
          "a constant of type funcref where externref is needed");
  refuses(global(ValType::i32, constant(Kind::i32_const, 0x1'0000'0000)), place,
          "more than 32 bits");
  refuses(global(ValType::f32, constant(Kind::f32_const, 0x1'0000'0000)), place,
          "more than 32 bits");
  refuses(global(ValType::externref, constant(Kind::ref_null, 1)), place,
          "a null reference with value 1");
  refuses(global(ValType::i32, {{Kind::i32_const, 1}, {Kind::i32_const, 2}, {Kind::i32_add, 1}}),
          place, "an operation with value 1");
  refuses(global(ValType::funcref, constant(Kind::ref_func, 5)), place,
          "function 5 does not exist");
  refuses(global(ValType::f64, constant(Kind::global_get, 3)), place,
          "global 3 cannot be read here: only 3 come before");
  refuses(global(ValType::i64, constant(Kind::global_get, 1)), place, "global 1 can change");
  refuses(global(ValType::i32, constant(static_cast<Kind>(13))), place,
          "constant operation 13 is unknown");
  refuses(global(ValType::v128, constant(Kind::i32_const)), place, "v128 is reserved");
  mod::ConstExpr longest = constant(Kind::i32_const, 1);
  for (u32 i = 0; i < 49; ++i) {
    longest.push_back({Kind::i32_const, i});
    longest.push_back({Kind::i32_add, 0});
  }
  accepts(global(ValType::i32, longest));
  longest.push_back({Kind::i32_const, 0});
  longest.push_back({Kind::i32_add, 0});
  refuses(global(ValType::i32, longest), place, "at most 100 operations");
}

TEST_CASE("constant expressions of tables read imported globals only") {
  const auto table = [](u32 index, bool is_mutable) {
    return changed([&](mod::Module& m) {
      m.imports[1].global = {ValType::funcref, is_mutable};
      m.tables[0].init = constant(Kind::global_get, index);
    });
  };
  accepts(table(0, false));
  refuses(table(0, true), "section tables, entry 0", "global 0 can change");
  refuses(table(1, false), "section tables, entry 0", "only 1 come before");
  refuses(changed([](mod::Module& m) { m.tables[0].init = constant(Kind::i32_const); }),
          "section tables, entry 0", "a constant of type i32 where funcref is needed");
}

TEST_CASE("segments: mode, target, type") {
  const auto elem = [](const std::function<void(mod::ElemSegment&)>& change) {
    return changed([&](mod::Module& m) { change(m.elems[1]); });
  };
  const std::string place = "section elements, entry 1";
  refuses(elem([](mod::ElemSegment& s) { s.mode = static_cast<mod::SegmentMode>(3); }), place,
          "mode 3 is unknown");
  refuses(elem([](mod::ElemSegment& s) { s.table = 2; }), place, "table 2 does not exist");
  refuses(elem([](mod::ElemSegment& s) { s.type = ValType::i64; }), place, "a segment of i64");
  refuses(elem([](mod::ElemSegment& s) {
            s.type = ValType::externref;
            s.items.clear();
          }),
          place, "a segment of externref for table 1 of funcref");
  refuses(elem([](mod::ElemSegment& s) { s.offset = constant(Kind::i64_const); }), place,
          "a constant of type i64 where i32 is needed");
  refuses(elem([](mod::ElemSegment& s) { s.offset.clear(); }), place, "leaves 0 values");
  refuses(elem([](mod::ElemSegment& s) { s.mode = mod::SegmentMode::passive; }), place,
          "only an active segment has a table and an offset");
  refuses(elem([](mod::ElemSegment& s) { s.items[0] = constant(Kind::ref_func, 5); }), place,
          "function 5 does not exist");
  refuses(elem([](mod::ElemSegment& s) { s.items[0].clear(); }), place, "leaves 0 values");

  const auto data = [](const std::function<void(mod::DataSegment&)>& change) {
    return changed([&](mod::Module& m) { change(m.datas[1]); });
  };
  const std::string data_place = "section data, entry 1";
  refuses(data([](mod::DataSegment& s) { s.mode = mod::SegmentMode::declared; }), data_place,
          "mode 2 is not active or passive");
  refuses(data([](mod::DataSegment& s) { s.memory = 2; }), data_place, "memory 2 does not exist");
  refuses(data([](mod::DataSegment& s) { s.offset = constant(Kind::f32_const); }), data_place,
          "a constant of type f32 where i32 is needed");
  refuses(data([](mod::DataSegment& s) { s.mode = mod::SegmentMode::passive; }), data_place,
          "only an active segment has a memory and an offset");
}

TEST_CASE("names: sorted, of things that exist") {
  using Space = mod::NameSpace;
  const auto last = [](mod::Name name) {
    return changed([&](mod::Module& m) { m.names = {name}; });
  };
  const std::string place = "section names, entry 0";
  const std::pair<Space, u32> counts[] = {
      {Space::function, 5}, {Space::global, 7}, {Space::table, 2}, {Space::memory, 2},
      {Space::type, 4},     {Space::data, 2},   {Space::elem, 3},  {Space::local, 5}};
  for (const auto& [space, count] : counts) {
    accepts(last({space, count - 1, 0, "x"}));
    refuses(last({space, count, 0, "x"}), place,
            "index " + std::to_string(count) + " does not exist: there are");
  }
  accepts(last({Space::local, 0, 1, "b"}));  // imported: parameters
  refuses(last({Space::local, 0, 2, "c"}), place, "slot 2 does not exist: there are 2");
  accepts(last({Space::local, 4, 3, "temporary"}));  // own: the frame
  refuses(last({Space::local, 4, 4, "x"}), place, "slot 4 does not exist: there are 4");
  refuses(last({Space::function, 0, 1, "x"}), place, "slot 1 does not exist: there are 1");
  refuses(last({static_cast<Space>(8), 0, 0, "x"}), place, "name space 8 is unknown");
  refuses(last({Space::function, 0, 0, ""}), place, "an empty name");
  refuses(last({Space::function, 0, 0, "\x80"}), place, "not UTF-8");
  refuses(changed([](mod::Module& m) { std::swap(m.names[0], m.names[1]); }),
          "section names, entry 1", "not in order");
  refuses(changed([](mod::Module& m) { m.names[1].index = m.names[0].index; }),
          "section names, entry 1", "not in order");
  refuses(changed([](mod::Module& m) { m.name = "\xf5"; }), "section names", "not UTF-8");
}

TEST_CASE("lines: sorted, in the code, of known files, from 1") {
  refuses(changed([](mod::Module& m) { m.lines[3].pc = 9; }), "section lines, entry 3",
          "word 9 does not exist: there are 9");
  refuses(changed([](mod::Module& m) { m.lines[1].file = 2; }), "section lines, entry 1",
          "file 2 does not exist: there are 2");
  refuses(changed([](mod::Module& m) { m.lines[2].line = 0; }), "section lines, entry 2",
          "lines are counted from 1");
  refuses(changed([](mod::Module& m) { m.lines[2].pc = 2; }), "section lines, entry 2",
          "not in order: word 2 comes after word 2");
  refuses(changed([](mod::Module& m) { m.files[1] = "\xe0\x80\x80"; }), "section lines",
          "not UTF-8");
  refuses(changed([](mod::Module& m) { m.customs[1].name = "\xf4\x90\x80\x80"; }),
          "section custom, entry 1", "not UTF-8");
}

TEST_CASE("limits: counts") {
  namespace limits = mod::limits;
  const auto over = [](const std::function<void(mod::Module&)>& change, const char* place) {
    refuses(changed(change), place, "more than the limit of");
  };
  over([](mod::Module& m) { m.types.resize(limits::types + 1); }, "section types");
  over([](mod::Module& m) { m.imports.resize(limits::imports + 1); }, "section imports");
  over([](mod::Module& m) { m.functions.resize(limits::functions + 1); }, "section functions");
  over([](mod::Module& m) { m.tables.resize(limits::tables + 1); }, "section tables");
  over([](mod::Module& m) { m.memories.resize(limits::memories + 1); }, "section memories");
  over([](mod::Module& m) { m.globals.resize(limits::globals + 1); }, "section globals");
  over([](mod::Module& m) { m.exports.resize(limits::exports + 1); }, "section exports");
  over([](mod::Module& m) { m.elems.resize(limits::elem_segments + 1); }, "section elements");
  over([](mod::Module& m) { m.datas.resize(limits::data_segments + 1); }, "section data");
  over([](mod::Module& m) { m.names.resize(limits::names + 1); }, "section names");
  over([](mod::Module& m) { m.files.resize(limits::files + 1); }, "section lines");
  over([](mod::Module& m) { m.customs.resize(limits::customs + 1); }, "section custom");
  const auto items = [](u32 count) {
    ModuleBuilder m = universe();
    m.module.elems[0].items.assign(count, constant(Kind::ref_null));
    return std::move(m.module);
  };
  accepts(items(limits::const_ops - 1));  // one operation is the global's
  refuses(items(limits::const_ops), "section elements, entry 0", "300000 in all");
}
