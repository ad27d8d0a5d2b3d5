// The reader of WebAssembly modules: what each section becomes, and each reason to refuse one.
#include <doctest/doctest.h>

#include <string>

#include "assembler/wasm/image.hpp"
#include "tests/support/wasm_bytes.hpp"
#include "vm/module/limits.hpp"

using namespace atollvm;
using namespace atollvm::test;
using base::ErrorCode;
using mod::ConstOp;
using mod::ExternKind;
using mod::SegmentMode;
using mod::ValType;
using Kind = mod::ConstOp::Kind;

namespace {

enum Id : u8 {
  id_custom,
  id_type,
  id_import,
  id_function,
  id_table,
  id_memory,
  id_global,
  id_export,
  id_start,
  id_element,
  id_code,
  id_data,
  id_data_count,
  id_tag,
};

namespace type {
constexpr u8 i32 = 0x7f;
constexpr u8 i64 = 0x7e;
constexpr u8 f32 = 0x7d;
constexpr u8 f64 = 0x7c;
constexpr u8 funcref = 0x70;
constexpr u8 externref = 0x6f;
}  // namespace type

const ByteString zero = {0x41, 0x00, 0x0b};  // i32.const 0, end
const ByteString no_body = {0x00, 0x0b};     // no locals, end

wasm::Image accepts(const WasmBytes& module) {
  base::Result<wasm::Image> image = wasm::read_image(module.bytes);
  if (!image) FAIL(image.error().text());
  return std::move(*image);
}

void refuses(const ByteString& bytes, ErrorCode code, std::string_view place,
             std::string_view message) {
  const base::Result<wasm::Image> image = wasm::read_image(bytes);
  REQUIRE_FALSE(image.ok());
  CAPTURE(image.error().text());
  CHECK(image.error().code == code);
  CHECK(image.error().place == place);
  CHECK(image.error().message.find(message) != std::string::npos);
}
void refuses(const WasmBytes& module, ErrorCode code, std::string_view place,
             std::string_view message) {
  refuses(module.bytes, code, place, message);
}

WasmBytes with(u8 id, const ByteString& contents) { return WasmBytes().section(id, contents); }

// Types 0: () -> (), 1: (i32) -> (i64); imports: functions 0 and 1 of those types, table 0 of 1 or
// more funcref, memory 0, globals 0: i32, 1: mutable i64, 2: externref.
WasmBytes importing() {
  const ByteString from = text("m");
  return WasmBytes()
      .section(id_type, list({func_type({}, {}), func_type({type::i32}, {type::i64})}))
      .section(id_import,
               list({from + text("f") + ByteString{0, 0}, from + text("g") + ByteString{0, 1},
                     from + text("t") + ByteString{1, type::funcref, 0, 1},
                     from + text("mem") + ByteString{2, 0, 1},
                     from + text("a") + ByteString{3, type::i32, 0},
                     from + text("b") + ByteString{3, type::i64, 1},
                     from + text("c") + ByteString{3, type::externref, 0}}));
}
// importing() and functions 2 and 3, of types 0 and 1.
WasmBytes defining() { return importing().section(id_function, list({leb(0), leb(1)})); }
WasmBytes& with_code(WasmBytes& module) {
  return module.section(id_code, list({sized(no_body), sized({0x00, 0x42, 0x00, 0x0b})}));
}

std::string place_of(usize offset, std::string_view where) {
  char hex[20];
  std::snprintf(hex, sizeof hex, "0x%zx", offset);
  return std::string(hex) + " (" + std::string(where) + ")";
}

}  // namespace

TEST_CASE("wasm image: the least module, header and version") {
  CHECK(accepts(WasmBytes()).module.functions.empty());
  refuses(ByteString{}, ErrorCode::malformed, "0x0", "unexpected end");
  refuses(ByteString{0, 'a', 's'}, ErrorCode::malformed, "0x0", "unexpected end");
  refuses(ByteString{0, 'A', 's', 'm', 1, 0, 0, 0}, ErrorCode::malformed, "0x0", "magic header");
  refuses(ByteString{0, 'a', 's', 'm', 1, 0, 0}, ErrorCode::malformed, "0x4", "unexpected end");
  refuses(ByteString{0, 'a', 's', 'm', 2, 0, 0, 0}, ErrorCode::malformed, "0x4",
          "unknown binary version 2.0.0.0");
  refuses(ByteString{0, 'a', 's', 'm', 0x0d, 0, 1, 0}, ErrorCode::unsupported, "0x4",
          "component model");
  CHECK(wasm::is_wasm(WasmBytes().bytes));
  CHECK(wasm::is_wasm(ByteString{0, 'a', 's', 'm', 0x0d, 0, 1, 0}));
  CHECK_FALSE(wasm::is_wasm(ByteString{0, 'a', 's'}));
  CHECK_FALSE(wasm::is_wasm(raw("module x")));
}

TEST_CASE("wasm image: sections have an order, sizes and known ids") {
  refuses(with(14, {0}), ErrorCode::malformed, "0x8", "malformed section id 14");
  refuses(with(0x80, {0}), ErrorCode::malformed, "0x8", "malformed section id 128");
  refuses(with(id_type, {0}).section(id_type, {0}), ErrorCode::malformed, "0xb",
          "the type section here");
  refuses(with(id_memory, {0}).section(id_table, {0}), ErrorCode::malformed, "0xb",
          "the table section here");
  refuses(with(id_data_count, {0}).section(id_element, {0}), ErrorCode::malformed, "0xb",
          "the element section here");
  accepts(with(id_memory, {0})
              .custom("a", {})
              .section(id_global, {0})
              .section(id_element, {0})
              .section(id_data_count, {0})
              .section(id_code, {0})
              .section(id_data, {0})
              .custom("a", {1, 2, 3}));
  refuses(with(id_type, {0, 0}), ErrorCode::malformed, "0xb (type section)",
          "section size mismatch: 1 bytes too many");
  refuses(WasmBytes().bytes + ByteString{id_type, 5, 0}, ErrorCode::malformed, "0x8",
          "the type section has 5 bytes, 1 are left");
  refuses(WasmBytes().bytes + ByteString{id_type}, ErrorCode::malformed, "0x9", "unexpected end");
  refuses(WasmBytes().bytes + ByteString{id_type, 0x80, 0x80, 0x80, 0x80, 0x10},
          ErrorCode::malformed, "0xd", "integer too large");
  refuses(WasmBytes().bytes + ByteString{id_type, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00},
          ErrorCode::malformed, "0xd", "integer representation too long");
}

TEST_CASE("wasm image: custom sections need a name; those with debug information are remembered") {
  refuses(with(id_custom, {}), ErrorCode::malformed, "0xa (custom section)", "unexpected end");
  refuses(with(id_custom, {5, 'a'}), ErrorCode::malformed, "0xa (custom section)",
          "the name of a custom section has 5 bytes, 1 are left");
  refuses(with(id_custom, {1, 0xff}), ErrorCode::malformed, "0xa (custom section)",
          "malformed UTF-8 encoding");
  const WasmBytes module = WasmBytes()
                               .custom(".debug_line", raw("line"))
                               .custom(".debug_line_str", raw("line_str"))
                               .custom(".debug_str", raw("str"))
                               .custom("name", raw("names"))
                               .custom("sourceMappingURL", text("a.map"))
                               .custom(".debug_line", raw("second"));
  const wasm::Image image = accepts(module);
  const auto contents = [&](wasm::Extent extent) {
    return std::string(module.bytes.begin() + extent.begin, module.bytes.begin() + extent.end);
  };
  CHECK(contents(image.debug_line) == "line");
  CHECK(contents(image.debug_line_str) == "line_str");
  CHECK(contents(image.debug_str) == "str");
  CHECK(contents(image.names) == "names");
  CHECK(contents(image.source_map_url) ==
        "\x05"
        "a.map");
  CHECK(accepts(WasmBytes()).debug_line.end == 0);
}

TEST_CASE("wasm image: types") {
  const wasm::Image image = accepts(
      with(id_type, list({func_type({}, {}), func_type({type::i32, type::i64, type::f32, type::f64,
                                                        type::funcref, type::externref},
                                                       {type::i64, type::externref})})));
  REQUIRE(image.module.types.size() == 2);
  CHECK(image.module.types[0] == mod::FuncType{});
  CHECK(image.module.types[1].params == std::vector{ValType::i32, ValType::i64, ValType::f32,
                                                    ValType::f64, ValType::funcref,
                                                    ValType::externref});
  CHECK(image.module.types[1].results == std::vector{ValType::i64, ValType::externref});

  refuses(with(id_type, list({{0x61, 0, 0}})), ErrorCode::malformed, "0xb (type section, entry 0)",
          "malformed type definition 0x61");
  refuses(with(id_type, list({func_type({}, {}), func_type({0x40}, {})})), ErrorCode::malformed,
          "0x10 (type section, entry 1)", "malformed value type 0x40");
  refuses(with(id_type, list({func_type({0x7b}, {})})), ErrorCode::unsupported,
          "0xd (type section, entry 0)", "SIMD");
  refuses(with(id_type, list({func_type({}, {0x69})})), ErrorCode::unsupported,
          "0xe (type section, entry 0)", "exception handling");
  refuses(with(id_type, list({func_type({}, {0x64, 0x70})})), ErrorCode::unsupported,
          "0xe (type section, entry 0)", "typed function references");
  refuses(with(id_type, list({func_type({0x6b}, {})})), ErrorCode::unsupported,
          "0xd (type section, entry 0)", "garbage collection");
  for (const u8 form : {0x5f, 0x5e, 0x50, 0x4f, 0x4e}) {
    refuses(with(id_type, list({{form, 0, 0}})), ErrorCode::unsupported,
            "0xb (type section, entry 0)", "garbage collection");
  }
  refuses(with(id_type, {2, 0x60, 0, 0}), ErrorCode::malformed, "0xa (type section)",
          "2 types in 3 bytes");
  refuses(with(id_type, list({{0x60, 5, type::i32}})), ErrorCode::malformed,
          "0xc (type section, entry 0)", "5 parameters in 1 bytes");
}

TEST_CASE("wasm image: imports") {
  const wasm::Image image = accepts(importing());
  const std::vector<mod::Import>& imports = image.module.imports;
  REQUIRE(imports.size() == 7);
  CHECK(imports[0].module == "m");
  CHECK(imports[0].name == "f");
  CHECK(imports[1].kind == ExternKind::function);
  CHECK(imports[1].func_type == 1);
  CHECK(imports[2].kind == ExternKind::table);
  CHECK(imports[2].table == mod::TableType{ValType::funcref, {1, {}}});
  CHECK(imports[3].kind == ExternKind::memory);
  CHECK(imports[3].memory == mod::MemoryType{{1, {}}, 16});
  CHECK(imports[5].global == mod::GlobalType{ValType::i64, true});
  CHECK(image.function_types == std::vector<u32>{0, 1});
  CHECK(image.imported_functions() == 2);
  CHECK(image.tables.size() == 1);
  CHECK(image.memories.size() == 1);
  CHECK(image.globals.size() == 3);
  CHECK(image.declared == std::vector<bool>{false, false});

  const auto importing_one = [](const ByteString& description) {
    return with(id_import, list({text("m") + text("n") + description}));
  };
  const std::string at = "0xf (import section, entry 0)";
  refuses(importing_one({5, 0}), ErrorCode::malformed, at, "malformed import kind 0x05");
  refuses(importing_one({4, 0}), ErrorCode::malformed, at, "malformed import kind 0x04");
  refuses(importing_one({4, 0, 0}), ErrorCode::unsupported, at, "exception handling");
  const std::string after = "0x10 (import section, entry 0)";
  refuses(importing_one({0, 0}), ErrorCode::invalid, after, "unknown type 0: there are 0");
  refuses(importing_one({3, type::i32, 2}), ErrorCode::malformed, "0x11 (import section, entry 0)",
          "malformed mutability 0x02");
  refuses(importing_one({2, 3, 1, 1}), ErrorCode::unsupported, after, "threads");
  refuses(with(id_import, list({ByteString{1, 0x80, 0} + ByteString{3, type::i32, 0}})),
          ErrorCode::malformed, "0xb (import section, entry 0)",
          "malformed UTF-8 encoding of the module's name");
  refuses(with(id_import, list({text("m") + ByteString{9, 'a', 0, 0}})), ErrorCode::malformed,
          "0xd (import section, entry 0)", "the name has 9 bytes, 3 are left");
}

TEST_CASE("wasm image: functions and their code") {
  WasmBytes module = defining();
  const wasm::Image image = accepts(with_code(module));
  REQUIRE(image.module.functions.size() == 2);
  CHECK(image.module.functions[1].type == 1);
  CHECK(image.function_types == std::vector<u32>{0, 1, 0, 1});
  CHECK(image.imported_functions() == 2);
  REQUIRE(image.bodies.size() == 2);
  CHECK(image.bodies[1].end == module.bytes.size());
  CHECK(image.bodies[1].end - image.bodies[1].begin == 4);
  CHECK(image.bodies[0].end + 1 == image.bodies[1].begin);
  CHECK(image.bodies[0].end - image.bodies[0].begin == 2);
  CHECK(image.code_offset == image.bodies[0].begin - 2);

  const usize end = defining().bytes.size();
  refuses(importing().section(id_function, list({leb(2)})), ErrorCode::invalid,
          place_of(importing().bytes.size() + 3, "function section, entry 0"),
          "unknown type 2: there are 2");
  refuses(defining(), ErrorCode::malformed, place_of(end, "").substr(0, 4),
          "function and code section have inconsistent lengths: 2 and 0");
  refuses(defining().section(id_code, list({sized(no_body)})), ErrorCode::malformed,
          place_of(end + 2, "code section"), "inconsistent lengths: 2 and 1");
  refuses(with(id_code, list({sized(no_body)})), ErrorCode::malformed, "0xa (code section)",
          "inconsistent lengths: 0 and 1");
  refuses(defining().section(id_code, ByteString{2} + sized(no_body) + ByteString{9, 0}),
          ErrorCode::malformed, place_of(end + 6, "code section, entry 1"),
          "a body of 9 bytes, 1 are left");
}

TEST_CASE("wasm image: tables and memories") {
  const wasm::Image image =
      accepts(with(id_table, list({{type::funcref, 0, 3},
                                   {type::externref, 1, 1, 2},
                                   ByteString{type::funcref, 1, 0} + leb(0xffff'ffff)}))
                  .section(id_memory, list({ByteString{1, 1} + leb(65'536)})));
  CHECK(image.module.tables.size() == 3);
  CHECK(image.tables[1] == mod::TableType{ValType::externref, {1, 2}});
  CHECK(image.tables[2].size.max == 0xffff'ffff);
  CHECK(image.memories[0] == mod::MemoryType{{1, 65'536}, 16});

  const std::string table = "0xb (table section, entry 0)";
  refuses(with(id_table, list({{type::i32, 0, 0}})), ErrorCode::malformed, table,
          "malformed reference type 0x7f");
  refuses(with(id_table, list({{0x7b, 0, 0}})), ErrorCode::malformed, table,
          "malformed reference type 0x7b");
  refuses(with(id_table, list({{0x6e, 0, 0}})), ErrorCode::unsupported, table,
          "garbage collection");
  refuses(with(id_table, list({{0x40, 0, type::funcref, 0, 0, 0xd0, type::funcref, 0x0b}})),
          ErrorCode::unsupported, table, "typed function references");
  const std::string flags = "0xc (table section, entry 0)";
  refuses(with(id_table, list({{type::funcref, 2, 0}})), ErrorCode::malformed, flags,
          "malformed limits flags 0x02");
  refuses(with(id_table, list({{type::funcref, 5, 0, 0}})), ErrorCode::unsupported, flags,
          "memory64");
  refuses(with(id_table, list({{type::funcref, 1, 2, 1}})), ErrorCode::invalid, flags,
          "the minimum size 2 is greater than the maximum 1");
  refuses(with(id_table, list({ByteString{type::funcref, 0} + leb(10'000'001)})), ErrorCode::limit,
          flags, "10000001 elements of a table are more than the limit of 10000000");

  const std::string memory = "0xb (memory section, entry 0)";
  refuses(with(id_memory, list({{2, 0}})), ErrorCode::malformed, memory,
          "malformed limits flags 0x02");
  refuses(with(id_memory, list({{3, 1, 1}})), ErrorCode::unsupported, memory, "threads");
  refuses(with(id_memory, list({{4, 1}})), ErrorCode::unsupported, memory, "memory64");
  refuses(with(id_memory, list({{8, 1}})), ErrorCode::malformed, memory,
          "malformed limits flags 0x08");
  refuses(with(id_memory, list({ByteString{0} + leb(65'537)})), ErrorCode::invalid, memory,
          "65537 pages of a memory: at most 65536");
  refuses(with(id_memory, list({ByteString{1, 0} + leb(65'537)})), ErrorCode::invalid, memory,
          "65537 pages of a memory: at most 65536");
  refuses(with(id_memory, list({{1, 2, 1}})), ErrorCode::invalid, memory,
          "greater than the maximum");
  refuses(with(id_memory, list({{0, 0}, {0, 0}})), ErrorCode::invalid,
          "0xd (memory section, entry 1)", "multi-memory");
  refuses(importing().section(id_memory, list({{0, 0}})), ErrorCode::invalid,
          place_of(importing().bytes.size() + 3, "memory section, entry 0"), "multi-memory");
}

TEST_CASE("wasm image: globals and constant expressions") {
  const wasm::Image image = accepts(importing().section(
      id_global,
      list({{type::i32, 1, 0x41, 0x7f, 0x0b},
            {type::i64, 0, 0x42, 0x7f, 0x0b},
            {type::f32, 0, 0x43, 0, 0, 0xc0, 0x7f, 0x0b},
            {type::f64, 0, 0x44, 1, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0x0b},
            {type::funcref, 0, 0xd2, 1, 0x0b},
            {type::externref, 0, 0xd0, type::externref, 0x0b},
            {type::externref, 0, 0x23, 2, 0x0b},
            {type::i32, 0, 0x23, 0, 0x41, 2, 0x6c, 0x41, 3, 0x6a, 0x41, 1, 0x6b, 0x0b},
            {type::i64, 0, 0x42, 2, 0x42, 3, 0x7e, 0x42, 4, 0x7c, 0x42, 1, 0x7d, 0x0b}})));
  const std::vector<mod::Global>& globals = image.module.globals;
  REQUIRE(globals.size() == 9);
  CHECK(image.globals.size() == 12);
  CHECK(globals[0].type == mod::GlobalType{ValType::i32, true});
  CHECK(globals[0].init == mod::ConstExpr{{Kind::i32_const, 0xffff'ffff}});
  CHECK(globals[1].init == mod::ConstExpr{{Kind::i64_const, ~u64{0}}});
  CHECK(globals[2].init == mod::ConstExpr{{Kind::f32_const, 0x7fc0'0000}});
  CHECK(globals[3].init == mod::ConstExpr{{Kind::f64_const, 0x7ff0'0000'0000'0001}});
  CHECK(globals[4].init == mod::ConstExpr{{Kind::ref_func, 1}});
  CHECK(globals[5].init == mod::ConstExpr{{Kind::ref_null, 0}});
  CHECK(globals[6].init == mod::ConstExpr{{Kind::global_get, 2}});
  CHECK(globals[7].init == mod::ConstExpr{{Kind::global_get, 0},
                                          {Kind::i32_const, 2},
                                          {Kind::i32_mul, 0},
                                          {Kind::i32_const, 3},
                                          {Kind::i32_add, 0},
                                          {Kind::i32_const, 1},
                                          {Kind::i32_sub, 0}});
  CHECK(globals[8].init == mod::ConstExpr{{Kind::i64_const, 2},
                                          {Kind::i64_const, 3},
                                          {Kind::i64_mul, 0},
                                          {Kind::i64_const, 4},
                                          {Kind::i64_add, 0},
                                          {Kind::i64_const, 1},
                                          {Kind::i64_sub, 0}});
  CHECK(image.declared == std::vector<bool>{false, true});

  const usize start = importing().bytes.size() + 3;  // of the only global of the section
  const auto global = [&](const ByteString& contents, ErrorCode code, usize offset,
                          std::string_view message) {
    refuses(importing().section(id_global, list({contents})), code,
            place_of(start + offset, "global section, entry 0"), message);
  };
  global({type::i32, 0, 0x42, 0, 0x0b}, ErrorCode::invalid, 2, "a constant of type i64 where i32");
  global({type::funcref, 0, 0xd0, type::externref, 0x0b}, ErrorCode::invalid, 2,
         "a constant of type externref where funcref");
  global({type::i32, 0, 0x0b}, ErrorCode::invalid, 2, "leaves 0 values");
  global({type::i32, 0, 0x41, 0, 0x41, 0, 0x0b}, ErrorCode::invalid, 2, "leaves 2 values");
  global({type::i32, 0, 0x41, 0, 0x6a, 0x0b}, ErrorCode::invalid, 4, "two operands of type i32");
  global({type::i32, 0, 0x41, 0, 0x42, 0, 0x6a, 0x0b}, ErrorCode::invalid, 6,
         "two operands of type i32");
  global({type::i64, 0, 0x41, 0, 0x41, 0, 0x7c, 0x0b}, ErrorCode::invalid, 6,
         "two operands of type i64");
  global({type::i64, 0, 0x23, 1, 0x0b}, ErrorCode::invalid, 3, "global 1 is mutable");
  global({type::i32, 0, 0x23, 3, 0x0b}, ErrorCode::invalid, 3, "unknown global 3: there are 3");
  global({type::funcref, 0, 0xd2, 2, 0x0b}, ErrorCode::invalid, 3,
         "unknown function 2: there are 2");
  global({type::i32, 0, 0x01, 0x0b}, ErrorCode::invalid, 2, "constant expression required");
  global({type::i32, 0, 0xfc, 0, 0x0b}, ErrorCode::invalid, 2, "constant expression required");
  global({type::i32, 0, 0x12, 0, 0x0b}, ErrorCode::invalid, 2, "constant expression required");
  global({type::i32, 0, 0xff, 0x0b}, ErrorCode::malformed, 2, "illegal opcode 0xff");
  global({type::i32, 0, 0x27, 0x0b}, ErrorCode::malformed, 2, "illegal opcode 0x27");
  global({type::i32, 0, 0xfd, 0x0c}, ErrorCode::unsupported, 2, "SIMD");
  global({type::i32, 0, 0xfb, 0x1c}, ErrorCode::unsupported, 2, "garbage collection");
  global({type::i32, 0, 0xfe, 0x10}, ErrorCode::unsupported, 2, "threads");
  global({type::i32, 0, 0x06, 0x40}, ErrorCode::unsupported, 2, "exception handling");
  global({type::i32, 0, 0x14, 0}, ErrorCode::unsupported, 2, "typed function references");
  global({type::funcref, 0, 0xd0, 0x7f, 0x0b}, ErrorCode::malformed, 3,
         "malformed reference type 0x7f");
  global({type::funcref, 0, 0xd0, 0x73, 0x0b}, ErrorCode::unsupported, 3, "garbage collection");
  global({type::i32, 0, 0x41, 0}, ErrorCode::malformed, 4, "unexpected end");
  global({type::f32, 0, 0x43, 0, 0, 0}, ErrorCode::malformed, 3, "unexpected end");
  global({type::i32, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x70, 0x0b}, ErrorCode::malformed, 7,
         "integer too large");
  global({type::i32, 2, 0x41, 0, 0x0b}, ErrorCode::malformed, 1, "malformed mutability 0x02");
}

TEST_CASE("wasm image: a global's value cannot name a global of the module itself") {
  const WasmBytes module =
      with(id_global, list({ByteString{type::i32, 0} + zero, {type::i32, 0, 0x23, 0, 0x0b}}));
  refuses(module, ErrorCode::invalid, "0x13 (global section, entry 1)",
          "unknown global 0: there are 0");
}

TEST_CASE("wasm image: exports") {
  WasmBytes module = defining().section(
      id_export, list({text("f") + ByteString{0, 3}, text("t") + ByteString{1, 0},
                       text("m") + ByteString{2, 0}, text("g") + ByteString{3, 2},
                       text("") + ByteString{0, 0}}));
  const wasm::Image image = accepts(with_code(module));
  REQUIRE(image.module.exports.size() == 5);
  CHECK(image.module.exports[0].name == "f");
  CHECK(image.module.exports[0].kind == ExternKind::function);
  CHECK(image.module.exports[0].index == 3);
  CHECK(image.module.exports[3].kind == ExternKind::global);
  CHECK(image.module.exports[4].name.empty());
  CHECK(image.declared == std::vector<bool>{true, false, false, true});

  const usize start = defining().bytes.size() + 3;
  const auto exporting = [&](u8 kind, u8 index, ErrorCode code, usize offset,
                             std::string_view message) {
    refuses(defining().section(id_export, list({text("x") + ByteString{kind, index}})), code,
            place_of(start + offset, "export section, entry 0"), message);
  };
  exporting(0, 4, ErrorCode::invalid, 3, "unknown function 4: there are 4");
  exporting(1, 1, ErrorCode::invalid, 3, "unknown table 1: there are 1");
  exporting(2, 1, ErrorCode::invalid, 3, "unknown memory 1: there are 1");
  exporting(3, 3, ErrorCode::invalid, 3, "unknown global 3: there are 3");
  exporting(4, 0, ErrorCode::unsupported, 2, "exception handling");
  exporting(5, 0, ErrorCode::malformed, 2, "malformed export kind 0x05");
  refuses(defining().section(id_export,
                             list({text("x") + ByteString{0, 0}, text("x") + ByteString{1, 0}})),
          ErrorCode::invalid, place_of(start + 4, "export section, entry 1"),
          "duplicate export name");
  refuses(defining().section(id_export, list({{1, 0xc0, 0, 0}})), ErrorCode::malformed,
          place_of(start, "export section, entry 0"), "malformed UTF-8 encoding of the name");
}

TEST_CASE("wasm image: the start function takes and gives nothing") {
  WasmBytes module = defining().section(id_start, {2});
  const wasm::Image image = accepts(with_code(module));
  CHECK(image.module.start == 2);
  CHECK(image.declared == std::vector<bool>(4));
  const std::string at = place_of(defining().bytes.size() + 2, "start section");
  refuses(defining().section(id_start, {3}), ErrorCode::invalid, at,
          "1 parameters and 1 results instead of none");
  refuses(defining().section(id_start, {4}), ErrorCode::invalid, at, "unknown function 4");
}

TEST_CASE("wasm image: element segments of all eight kinds") {
  const wasm::Image image = accepts(importing().section(
      id_element, list({ByteString{0} + zero + ByteString{2, 0, 1}, ByteString{1, 0, 1, 0},
                        ByteString{2, 0} + zero + ByteString{0, 1, 1}, ByteString{3, 0, 1, 1},
                        ByteString{4} + zero + ByteString{1, 0xd2, 1, 0x0b},
                        ByteString{5, type::externref, 1, 0xd0, type::externref, 0x0b},
                        ByteString{6, 0} + zero + ByteString{type::funcref, 0},
                        ByteString{7, type::externref, 1, 0x23, 2, 0x0b}})));
  const std::vector<mod::ElemSegment>& elems = image.module.elems;
  REQUIRE(elems.size() == 8);
  const SegmentMode modes[] = {SegmentMode::active,   SegmentMode::passive, SegmentMode::active,
                               SegmentMode::declared, SegmentMode::active,  SegmentMode::passive,
                               SegmentMode::active,   SegmentMode::declared};
  for (usize i = 0; i < 8; ++i) {
    CAPTURE(i);
    CHECK(elems[i].mode == modes[i]);
    CHECK(elems[i].offset.empty() == (modes[i] != SegmentMode::active));
    CHECK(elems[i].type == (i == 5 || i == 7 ? ValType::externref : ValType::funcref));
  }
  CHECK(elems[0].items ==
        std::vector<mod::ConstExpr>{{{Kind::ref_func, 0}}, {{Kind::ref_func, 1}}});
  CHECK(elems[3].items == std::vector<mod::ConstExpr>{{{Kind::ref_func, 1}}});
  CHECK(elems[4].items == std::vector<mod::ConstExpr>{{{Kind::ref_func, 1}}});
  CHECK(elems[5].items == std::vector<mod::ConstExpr>{{{Kind::ref_null, 0}}});
  CHECK(elems[6].items.empty());
  CHECK(elems[7].items == std::vector<mod::ConstExpr>{{{Kind::global_get, 2}}});
  CHECK(image.declared == std::vector<bool>{true, true});

  const usize start = importing().bytes.size() + 3;
  const auto element = [&](const ByteString& contents, ErrorCode code, usize offset,
                           std::string_view message) {
    refuses(importing().section(id_element, list({contents})), code,
            place_of(start + offset, "element section, entry 0"), message);
  };
  element({8, 0, 0}, ErrorCode::malformed, 0, "malformed element segment kind 8");
  element({1, 1, 0}, ErrorCode::malformed, 1, "malformed element kind 0x01");
  element({5, type::i32, 0}, ErrorCode::malformed, 1, "malformed reference type 0x7f");
  element(ByteString{2, 1} + zero + ByteString{0, 0}, ErrorCode::invalid, 1, "unknown table 1");
  element(ByteString{6, 0} + zero + ByteString{type::externref, 0}, ErrorCode::invalid, 5,
          "elements of type externref for table 0 of funcref");
  element(ByteString{0, 0x42, 0, 0x0b, 0}, ErrorCode::invalid, 1, "a constant of type i64");
  element({1, 0, 1, 2}, ErrorCode::invalid, 3, "unknown function 2");
  element({5, type::funcref, 1, 0xd0, type::externref, 0x0b}, ErrorCode::invalid, 3,
          "a constant of type externref where funcref is needed");
  element({1, 0, 9, 0}, ErrorCode::malformed, 2, "9 elements in 1 bytes");
  refuses(with(id_element, list({ByteString{0} + zero + ByteString{0}})), ErrorCode::invalid,
          "0xc (element section, entry 0)", "unknown table 0: there are 0");
  refuses(with(id_table, list({{type::externref, 0, 0}}))
              .section(id_element, list({ByteString{0} + zero + ByteString{0}})),
          ErrorCode::invalid, "0x15 (element section, entry 0)",
          "elements of type funcref for table 0 of externref");
}

TEST_CASE("wasm image: data segments and their count") {
  const WasmBytes module =
      importing()
          .section(id_data_count, {3})
          .section(id_data, list({ByteString{0} + zero + text("abc"), ByteString{1} + text(""),
                                  ByteString{2, 0, 0x23, 0, 0x0b} + text("d")}));
  const wasm::Image image = accepts(module);
  const std::vector<mod::DataSegment>& datas = image.module.datas;
  REQUIRE(datas.size() == 3);
  CHECK(image.data_count == 3);
  CHECK(datas[0].mode == SegmentMode::active);
  CHECK(datas[0].bytes == "abc");
  CHECK(datas[0].offset == mod::ConstExpr{{Kind::i32_const, 0}});
  CHECK(datas[1].mode == SegmentMode::passive);
  CHECK(datas[1].offset.empty());
  CHECK(datas[2].mode == SegmentMode::active);
  CHECK(datas[2].offset == mod::ConstExpr{{Kind::global_get, 0}});
  CHECK_FALSE(accepts(importing().section(id_data, list({{1, 0}}))).data_count.has_value());

  const usize start = importing().bytes.size() + 3;
  const auto data = [&](const ByteString& contents, ErrorCode code, usize offset,
                        std::string_view message) {
    refuses(importing().section(id_data, list({contents})), code,
            place_of(start + offset, "data section, entry 0"), message);
  };
  data({3, 0}, ErrorCode::malformed, 0, "malformed data segment kind 3");
  data(ByteString{2, 1} + zero + text(""), ErrorCode::invalid, 1, "unknown memory 1: there are 1");
  data({0, 0x23, 1, 0x0b, 0}, ErrorCode::invalid, 2, "global 1 is mutable");
  data({1, 5, 'a'}, ErrorCode::malformed, 1, "5 bytes of data, 1 are left");
  refuses(with(id_data, list({ByteString{0} + zero + text("")})), ErrorCode::invalid,
          "0xc (data section, entry 0)", "unknown memory 0: there are 0");
  refuses(with(id_data_count, {2}).section(id_data, list({{1, 0}})), ErrorCode::malformed,
          "0xd (data section)", "inconsistent lengths: 2 and 1");
  refuses(with(id_data_count, {1}), ErrorCode::malformed, "0xb", "inconsistent lengths: 1 and 0");
  refuses(with(id_data_count, leb(65'537)), ErrorCode::limit, "0xa (data count section)",
          "65537 data segments are more than the limit of 65536");
}

TEST_CASE("wasm image: the tag section belongs to a proposal") {
  refuses(with(id_memory, {0}).section(id_tag, list({{0, 0}})), ErrorCode::unsupported,
          "0xd (tag section)", "exception handling");
}

TEST_CASE("wasm image: counts are checked before anything is allocated, and against limits") {
  for (const u8 id : {id_type, id_import, id_function, id_table, id_memory, id_global, id_export,
                      id_element, id_code, id_data}) {
    CAPTURE(u32{id});
    const base::Result<wasm::Image> image =
        wasm::read_image(with(id, leb(0xffff'ffff) + ByteString(20)).bytes);
    REQUIRE_FALSE(image.ok());
    CHECK(image.error().code == ErrorCode::malformed);
    CHECK(image.error().message.find("unexpected end: 4294967295 ") == 0);
  }
  const auto many = [](u32 count, const ByteString& entry) {
    ByteString bytes = leb(count);
    for (u32 i = 0; i < count; ++i) bytes.insert(bytes.end(), entry.begin(), entry.end());
    return bytes;
  };
  accepts(with(id_type, many(mod::limits::types, func_type({}, {}))));
  refuses(with(id_type, many(mod::limits::types + 1, func_type({}, {}))), ErrorCode::limit,
          "0xc (type section)", "65537 types are more than the limit of 65536");
  refuses(with(id_type, list({func_type(ByteString(1001, type::i32), {})})), ErrorCode::limit,
          "0xd (type section, entry 0)", "1001 parameters are more than the limit of 1000");
  refuses(with(id_table, many(10'001, {type::funcref, 0, 0})), ErrorCode::limit,
          "0xc (table section)", "10001 tables are more than the limit of 10000");

  const auto sum = [](u32 terms) {
    ByteString bytes = {type::i32, 0, 0x41, 1};
    for (u32 i = 1; i < terms; ++i) bytes = bytes + ByteString{0x41, 1, 0x6a};
    return bytes + ByteString{0x0b};
  };
  accepts(with(id_global, list({sum(50)})));
  refuses(with(id_global, list({sum(51)})), ErrorCode::limit, "0xa5 (global section, entry 0)",
          "101 operations of a constant expression are more than the limit of 100");
  const ByteString passive = ByteString{1, 0} + many(300'000, {0});
  accepts(importing().section(id_element, list({passive})));
  WasmBytes module = importing().section(id_element, list({passive, {1, 0, 1, 0}}));
  refuses(module, ErrorCode::limit, place_of(module.bytes.size() - 1, "element section, entry 1"),
          "300001 operations of constant expressions are more than the limit of 300000");
}

TEST_CASE("wasm image: every cut of a module is refused or ends between two sections") {
  WasmBytes module = defining()
                         .section(id_export, list({text("f") + ByteString{0, 3}}))
                         .section(id_element, list({ByteString{0} + zero + ByteString{2, 0, 1}}))
                         .section(id_data_count, {1});
  with_code(module).section(id_data, list({ByteString{0} + zero + text("abc")}));
  accepts(module);
  for (usize size = 0; size < module.bytes.size(); ++size) {
    const ByteString cut(module.bytes.begin(),
                         module.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const base::Result<wasm::Image> image = wasm::read_image(cut);
    CAPTURE(size);
    if (image.ok()) {
      CHECK((size == 8 || size == 8 + 11 || size == importing().bytes.size()));
    } else {
      CHECK(image.error().code == ErrorCode::malformed);
    }
  }
}
