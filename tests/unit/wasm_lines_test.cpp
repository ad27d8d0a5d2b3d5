// Source lines of WebAssembly modules: DWARF line programs and source maps.
#include <doctest/doctest.h>

#include <string>

#include "assembler/wasm/dwarf_lines.hpp"
#include "assembler/wasm/source_map.hpp"
#include "tests/support/wasm_bytes.hpp"

using namespace atollvm;
using namespace atollvm::test;
using wasm::LineTable;

namespace {

constexpr u32 code_size = 1000;

ByteString u16_of(u32 number) { return {static_cast<u8>(number), static_cast<u8>(number >> 8)}; }
ByteString u32_of(u64 number) {
  return u16_of(static_cast<u32>(number)) + u16_of(static_cast<u32>(number >> 16));
}
ByteString zero_ended(std::string_view value) { return raw(value) + ByteString{0}; }

// The part of a header after its length, the same in versions 2 to 5: line base -3, range 12, 13 as
// the first special operation.
ByteString parameters(u32 version) {
  ByteString bytes = {1};
  if (version >= 4) bytes.push_back(1);
  return bytes + ByteString{1, 0xfd, 12, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
}
ByteString unit(u32 version, const ByteString& tables, const ByteString& program) {
  const ByteString header = parameters(version) + tables;
  ByteString rest = u16_of(version);
  if (version == 5) rest = rest + ByteString{4, 0};
  rest = rest + u32_of(header.size()) + header + program;
  return u32_of(rest.size()) + rest;
}

// Directory 1 "inc", files 1 "a.c" and 2 "inc/b.h", up to version 4.
ByteString tables_of_4() {
  return zero_ended("inc") + ByteString{0} + zero_ended("a.c") + ByteString{0, 0, 0} +
         zero_ended("b.h") + ByteString{1, 0, 0} + ByteString{0};
}

// Operations of line programs.
ByteString set_address(u32 address) { return ByteString{0, 5, 2} + u32_of(address); }
const ByteString end_sequence = {0, 1, 1};
const ByteString copy = {1};
ByteString advance(u32 bytes) { return ByteString{2} + leb(bytes); }
ByteString down(u8 lines) { return {3, lines}; }
ByteString file(u8 number) { return {4, number}; }
ByteString column(u8 number) { return {5, number}; }
ByteString special(u8 bytes, i32 lines) { return {static_cast<u8>(13 + bytes * 12 + lines + 3)}; }

LineTable dwarf(const ByteString& line, const ByteString& line_str = {},
                const ByteString& str = {}) {
  return wasm::dwarf_lines({.line = line, .line_str = line_str, .str = str}, code_size);
}

// "offset file:line:column" of each entry; "offset -" where there is no line.
std::string show(const LineTable& table) {
  std::string all;
  for (const wasm::CodeLine& line : table.lines) {
    all += std::to_string(line.offset) + ' ';
    if (line.line == 0) {
      all += "-\n";
      continue;
    }
    all += table.files.at(line.file) + ':' + std::to_string(line.line) + ':' +
           std::to_string(line.column) + '\n';
  }
  return all;
}

const ByteString program = set_address(100) + down(9) + copy + column(7) + special(3, 2) + file(2) +
                           special(4, -3) + advance(10) + end_sequence;
const char* const shown = "100 a.c:10:0\n103 a.c:12:7\n107 inc/b.h:9:7\n117 -\n";

// A module with code of 12 bytes, the section's contents beginning at 18, and custom sections
// after it.
WasmBytes with_code() {
  return WasmBytes()
      .section(1, list({func_type({}, {})}))
      .section(3, list({leb(0)}))
      .section(10, list({sized({0, 1, 1, 1, 1, 1, 1, 1, 1, 0x0b})}));
}
wasm::Image image_of(const WasmBytes& module) {
  base::Result<wasm::Image> image = wasm::read_image(module.bytes);
  if (!image) FAIL(image.error().text());
  return std::move(*image);
}

std::string mapped(std::string_view json) {
  const WasmBytes module = with_code();
  const wasm::Image image = image_of(module);
  REQUIRE(image.code_offset == 20);
  return show(wasm::source_map_lines(json, image));
}

}  // namespace

TEST_CASE("dwarf lines: line programs of versions 2, 3 and 4") {
  for (u32 version = 2; version <= 4; ++version) {
    CAPTURE(version);
    CHECK(show(dwarf(unit(version, tables_of_4(), program))) == shown);
  }
}

TEST_CASE("dwarf lines: version 5 names files from two string sections or in place") {
  const ByteString line_str = zero_ended("/home/me") + zero_ended("inc");
  const ByteString str = zero_ended("x") + zero_ended("b.h");
  const ByteString directories =
      ByteString{1, 1, 0x1f} +
      list({u32_of(0), u32_of(9)});  // one field: a path in .debug_line_str
  // A path, a directory's number, a check sum of 16 bytes.
  const auto files = [](u8 form, u8 number, const ByteString& first, const ByteString& second) {
    return ByteString{3, 1, form, 2, number, 5, 0x1e} +
           list({first + ByteString(number == 0x05 ? 2 : 1) + ByteString(16),
                 second + (number == 0x05 ? u16_of(1) : ByteString{1}) + ByteString(16),
                 second + (number == 0x05 ? u16_of(1) : ByteString{1}) + ByteString(16)});
  };
  const auto check = [&](const ByteString& tables) {
    const LineTable table = dwarf(unit(5, directories + tables, file(0) + program), line_str, str);
    CHECK(show(table) == "100 a.c:10:0\n103 a.c:12:7\n107 inc/b.h:9:7\n117 -\n");
    CHECK(table.files.size() == 2);
  };
  check(files(0x08, 0x0b, zero_ended("a.c"), zero_ended("b.h")));
  check(files(0x08, 0x0f, zero_ended("a.c"), zero_ended("b.h")));
  check(files(0x08, 0x05, zero_ended("a.c"), zero_ended("b.h")));
  const ByteString with_a = str + zero_ended("a.c");
  const LineTable table =
      dwarf(unit(5, directories + files(0x0e, 0x0b, u32_of(6), u32_of(2)), file(0) + program),
            line_str, with_a);
  CHECK(show(table) == shown);
  // An absolute name stays, and one beyond its section is no file.
  CHECK(show(dwarf(unit(5, directories + files(0x08, 0x0b, zero_ended("/a.c"), zero_ended("b.h")),
                        file(0) + program),
                   line_str)) == "100 /a.c:10:0\n103 /a.c:12:7\n107 inc/b.h:9:7\n117 -\n");
  CHECK(show(dwarf(
            unit(5, directories + files(0x0e, 0x0b, u32_of(6), u32_of(600)), file(0) + program),
            line_str, with_a)) == "100 a.c:10:0\n103 a.c:12:7\n107 -\n");
}

TEST_CASE("dwarf lines: further operations") {
  const ByteString tables = tables_of_4();
  const auto lines = [&](const ByteString& operations) {
    return show(dwarf(unit(4, tables, operations + end_sequence)));
  };
  // const_add_pc goes on by (255 - 13) / 12 = 20, fixed_advance_pc by its operand.
  CHECK(lines(set_address(1) + copy + ByteString{8} + down(1) + copy) == "1 a.c:1:0\n21 a.c:2:0\n");
  CHECK(lines(set_address(1) + copy + ByteString{9} + u16_of(300) + down(1) + copy) ==
        "1 a.c:1:0\n301 a.c:2:0\n");
  // Those that change nothing here: statement, block, prologue, epilogue, isa; a discriminator, an
  // unknown extended operation.
  CHECK(lines(set_address(1) + ByteString{6, 7, 10, 11, 12, 9} + ByteString{0, 2, 4, 1} +
              ByteString{0, 3, 0x80, 1, 2} + copy) == "1 a.c:1:0\n");
  // A file that the program defines.
  CHECK(lines(set_address(1) + ByteString{0, 8, 3} + zero_ended("z.c") + ByteString{1, 0, 0} +
              file(3) + copy) == "1 inc/z.c:1:0\n");
  // An address of 64 bits.
  CHECK(lines(ByteString{0, 9, 2} + u32_of(5) + u32_of(0) + copy) == "5 a.c:1:0\n");
}

TEST_CASE("dwarf lines: order, neighbours that say the same, ends of sequences") {
  const ByteString two = set_address(200) + down(4) + copy + advance(10) + end_sequence +
                         set_address(100) + down(1) + copy + advance(5) + copy + advance(95) +
                         end_sequence;
  const LineTable table = dwarf(unit(4, tables_of_4(), two));
  CHECK(show(table) == "100 a.c:2:0\n200 a.c:5:0\n210 -\n");
  CHECK(table.at(99) == nullptr);
  CHECK(table.at(100)->line == 2);
  CHECK(table.at(199)->line == 2);
  CHECK(table.at(209)->line == 5);
  CHECK(table.at(210) == nullptr);
  // The last of several rows for one place.
  CHECK(show(dwarf(unit(4, tables_of_4(),
                        set_address(9) + copy + down(1) + copy + advance(1) + end_sequence))) ==
        "9 a.c:2:0\n10 -\n");
  // Units share files.
  CHECK(dwarf(unit(4, tables_of_4(), program) + unit(3, tables_of_4(), program)).files.size() == 2);
}

TEST_CASE("dwarf lines: code that is not there") {
  const auto lines = [](const ByteString& operations) {
    return show(dwarf(unit(4, tables_of_4(), operations)));
  };
  const ByteString rows = copy + advance(10) + down(1) + copy + end_sequence;
  CHECK(lines(set_address(0) + rows).empty());
  CHECK(lines(set_address(0xffff'ffff) + rows).empty());
  CHECK(lines(set_address(code_size) + rows).empty());
  CHECK(lines(rows).empty());  // no address at all
  CHECK(lines(set_address(code_size - 10) + rows) == "990 a.c:1:0\n");
}

TEST_CASE("dwarf lines: lines and files that do not exist") {
  const auto lines = [](const ByteString& operations) {
    return show(dwarf(unit(4, tables_of_4(), set_address(1) + operations + end_sequence)));
  };
  CHECK(lines(down(0x7f) + copy) == "1 -\n");  // line 0
  CHECK(lines(down(0x7e) + copy) == "1 -\n");  // line -1
  CHECK(lines(ByteString{3} + leb(0xffff'ffffu) + copy) == "1 -\n");
  CHECK(lines(file(3) + copy) == "1 -\n");
  CHECK(lines(file(0) + copy) == "1 -\n");
}

TEST_CASE("dwarf lines: a broken unit ends, those before and after it stay") {
  const ByteString good = unit(4, tables_of_4(), program);
  const auto after = [&](const ByteString& unit_bytes) { return show(dwarf(unit_bytes + good)); };
  CHECK(after(unit(1, tables_of_4(), program)) == shown);
  CHECK(after(unit(6, tables_of_4(), program)) == shown);
  CHECK(after(u32_of(0)) == shown);
  CHECK(after(unit(5, ByteString{0, 1}, program)) == shown);              // an entry without fields
  CHECK(after(unit(5, ByteString{1, 1, 0x77, 1, 0}, program)) == shown);  // an unknown form
  ByteString no_range = good;
  no_range[14] = 0;  // the range of lines
  CHECK(after(no_range) == shown);
  // A sequence without an end.
  CHECK(after(unit(4, tables_of_4(), set_address(500) + copy)) == shown);
  CHECK(after(unit(4, tables_of_4(), set_address(500) + copy + ByteString{0, 0})) == shown);
  CHECK(after(unit(4, tables_of_4(), set_address(500) + copy + ByteString{0, 99, 1})) == shown);
  // Every cut and every changed byte of two units: no crash, and always in order.
  const ByteString both =
      good + unit(5,
                  ByteString{1, 1, 8} + list({zero_ended("d")}) + ByteString{2, 1, 8, 2, 11} +
                      list({zero_ended("f") + ByteString{0}}),
                  file(0) + program);
  const auto ordered = [](const LineTable& table) {
    for (usize i = 0; i < table.lines.size(); ++i) {
      if (i != 0 && table.lines[i - 1].offset >= table.lines[i].offset) return false;
      if (table.lines[i].line != 0 && table.lines[i].file >= table.files.size()) return false;
    }
    return true;
  };
  for (usize at = 0; at < both.size(); ++at) {
    CAPTURE(at);
    CHECK(ordered(dwarf({both.begin(), both.begin() + static_cast<std::ptrdiff_t>(at)})));
    for (u32 value = 0; value < 256; ++value) {
      ByteString changed = both;
      changed[at] = static_cast<u8>(value);
      REQUIRE(ordered(dwarf(changed)));
    }
  }
}

TEST_CASE("dwarf lines: few bytes cannot make long names again and again") {
  // 20,000 files that each name most of a string of 1 MB, at different places.
  ByteString str;
  for (u32 i = 0; str.size() < 1'000'000; ++i) {
    const std::string number = std::to_string(i);
    str.insert(str.end(), number.begin(), number.end());
  }
  ByteString files = ByteString{1, 1, 0x0e} + leb(20'000);
  ByteString operations = set_address(1);
  for (u32 i = 0; i < 20'000; ++i) {
    files = std::move(files) + u32_of(i);
    operations = std::move(operations) + ByteString{4} + leb(i) + special(1, 1);
  }
  const ByteString line = unit(5, ByteString{0, 0} + files, operations + advance(1) + end_sequence);
  const LineTable table = wasm::dwarf_lines({.line = line, .line_str = {}, .str = str}, 1'000'000);
  usize bytes = 0;
  for (const std::string& name : table.files) bytes += name.size();
  CHECK(bytes > 100'000);
  CHECK(bytes <= 1'000'000 + 16 * line.size());
}

TEST_CASE("dwarf lines: addresses begin with the code section's contents") {
  const ByteString debug =
      unit(4, tables_of_4(), set_address(3) + copy + advance(4) + down(1) + copy + end_sequence);
  const WasmBytes module = with_code().custom(".debug_line", debug);
  CHECK(show(wasm::dwarf_lines(image_of(module))) == "3 a.c:1:0\n7 a.c:2:0\n");
  const WasmBytes beyond = with_code().custom(
      ".debug_line", unit(4, tables_of_4(), set_address(12) + copy + end_sequence));
  CHECK(wasm::dwarf_lines(image_of(beyond)).lines.empty());
  const WasmBytes none = with_code();
  CHECK(wasm::dwarf_lines(image_of(none)).lines.empty());
}

TEST_CASE("source maps: mappings are differences of byte offsets in the file") {
  // 22 = "sB", 24 - 22 = "E".
  CHECK(mapped(R"({"version":3,"sources":["a.ts","b.ts"],"mappings":"sBAAA,ECEE,EDDF,C"})") ==
        "2 a.ts:1:1\n4 b.ts:3:3\n6 a.ts:2:1\n7 -\n");
  CHECK(
      mapped(R"({"version":3,"sourceRoot":"src","sources":["a.ts",7],"mappings":"sBAAA,ECAAA"})") ==
      "2 src/a.ts:1:1\n4 src/?:1:1\n");
  // Only the first generated line, empty mappings, offsets before and behind the code.
  CHECK(mapped(R"({"version":3,"sources":["a"],"mappings":"AAAA,,sBAAA;EAAA"})") == "2 a:1:1\n");
  CHECK(mapped(R"({"version":3,"sources":["a"],"mappings":"sBAAA,wCACA"})") == "2 a:1:1\n");
  // A source, a line, a column that does not exist.
  CHECK(mapped(R"({"version":3,"sources":["a"],"mappings":"sBCAA"})") == "2 -\n");
  CHECK(mapped(R"({"version":3,"sources":["a"],"mappings":"sBADA"})") == "2 -\n");
  CHECK(mapped(R"({"version":3,"sources":["a"],"mappings":"sBAAD"})") == "2 a:1:0\n");
}

TEST_CASE("source maps: what is broken") {
  for (const char* text :
       {"", "{", "[]", "7", "\"x\"", R"({"version":2,"sources":["a"],"mappings":"sBAAA"})",
        R"({"sources":["a"],"mappings":"sBAAA"})", R"({"version":3,"mappings":"sBAAA"})",
        R"({"version":3,"sources":["a"]})", R"({"version":3,"sources":{},"mappings":"sBAAA"})",
        R"({"version":3,"sources":["a"],"mappings":["sBAAA"]})",
        R"({"version":3,"sections":[]})"}) {
    CAPTURE(text);
    CHECK(mapped(text).empty());
  }
  // Mappings end at the first broken one: a letter, two or six fields, a number without an end.
  for (const char* bad : {"sB*AA", "EA", "EAA", "EAAAAA", "Eg", "gggggggggC"}) {
    CAPTURE(bad);
    CHECK(mapped(std::string(R"({"version":3,"sources":["a"],"mappings":"sBAAA,)") + bad +
                 R"(,ECAA"})") == "2 a:1:1\n");
  }
}

TEST_CASE("source maps: a root does not multiply without bound") {
  std::string json =
      R"({"version":3,"mappings":"","sourceRoot":")" + std::string(4000, 'x') + R"(","sources":[0)";
  for (u32 i = 0; i < 50'000; ++i) json += ",0";
  json += "]}";
  const WasmBytes module = with_code();
  const LineTable table = wasm::source_map_lines(json, image_of(module));
  CHECK(table.files.size() > 100);
  CHECK(table.files.size() < 1000);
}

TEST_CASE("source maps: the URL of a module's map") {
  const WasmBytes named = with_code().custom("sourceMappingURL", text("./a.wasm.map"));
  CHECK(wasm::source_map_url(image_of(named)) == "./a.wasm.map");
  const WasmBytes cut = with_code().custom("sourceMappingURL", ByteString{9, 'a'});
  CHECK(wasm::source_map_url(image_of(cut)).empty());
  const WasmBytes none = with_code();
  CHECK(wasm::source_map_url(image_of(none)).empty());
}
