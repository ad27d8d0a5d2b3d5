// Reading and writing of module files: the same bytes again, and every refusal with its place.
#include "vm/module/codec.hpp"

#include "tests/verify/expect.hpp"
#include "vm/module/limits.hpp"
#include "vm/module/sections.hpp"

using namespace atollvm;
using namespace atollvm::test;
using mod::SectionId;

namespace {

base::Result<mod::Module> read(const std::string& bytes) {
  return mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
}

std::string leb(u64 value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}

std::string text(const std::string& value) { return leb(value.size()) + value; }

// Bytes from numbers, so that tests can be read.
std::string raw(std::initializer_list<int> bytes) {
  std::string out;
  for (int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}

const std::string header = raw({0, 'a', 't', 'b', 1, 0, 0, 0});

std::string section(SectionId id, const std::string& payload) {
  return static_cast<char>(id) + leb(payload.size()) + payload;
}

void unreadable(const std::string& bytes, const std::string& place, const std::string& message) {
  const auto result = read(bytes);
  INFO("expected: " << place << ": " << message);
  REQUIRE(!result.ok());
  INFO("got: " << result.error().text());
  CHECK(result.error().place == place);
  CHECK(result.error().message.find(message) != std::string::npos);
}

void readable(const std::string& bytes) {
  const auto result = read(bytes);
  INFO((result.ok() ? std::string() : result.error().text()));
  REQUIRE(result.ok());
  CHECK(mod::write(*result) == bytes);
}

// A file with this section alone, whose payload starts at 0xa.
void bad_section(SectionId id, const std::string& payload, const std::string& place,
                 const std::string& message) {
  unreadable(header + section(id, payload),
             "section " + std::string(mod::section_names[static_cast<u8>(id)]) + place, message);
}

// A function section entry: type 0, code words, labels, no locals, frame of 1.
std::string function(u32 words, u32 labels) {
  return leb(1) + raw({0}) + leb(words) + leb(labels) + raw({0, 1});
}

}  // namespace

TEST_CASE("round trip: the same bytes, the same module") {
  for (const mod::Module& module :
       {mod::Module{}, every_op(), every_section(), universe().module, many_functions(50, 7)}) {
    const std::string bytes = mod::write(module);
    CHECK(bytes == mod::write(module));
    readable(bytes);
    accepts(*read(bytes));
  }
}

TEST_CASE("round trip: every field of every section") {
  const mod::Module before = every_section();
  const auto result = read(mod::write(before));
  REQUIRE(result.ok());
  const mod::Module& after = *result;
  CHECK(after.name == before.name);
  CHECK(after.types == before.types);
  CHECK(after.code == before.code);
  CHECK(after.labels == before.labels);
  CHECK(after.lines == before.lines);
  CHECK(after.files == before.files);
  CHECK(after.start == before.start);
  CHECK(after.memories == before.memories);
  REQUIRE(after.imports.size() == before.imports.size());
  for (usize i = 0; i < before.imports.size(); ++i) {
    CHECK(after.imports[i].module == before.imports[i].module);
    CHECK(after.imports[i].name == before.imports[i].name);
    CHECK(after.imports[i].kind == before.imports[i].kind);
    CHECK(after.imports[i].func_type == before.imports[i].func_type);
    CHECK(after.imports[i].table == before.imports[i].table);
    CHECK(after.imports[i].memory == before.imports[i].memory);
    CHECK(after.imports[i].global == before.imports[i].global);
  }
  REQUIRE(after.functions.size() == before.functions.size());
  for (usize i = 0; i < before.functions.size(); ++i) {
    CHECK(after.functions[i].type == before.functions[i].type);
    CHECK(after.functions[i].code_begin == before.functions[i].code_begin);
    CHECK(after.functions[i].code_size == before.functions[i].code_size);
    CHECK(after.functions[i].label_begin == before.functions[i].label_begin);
    CHECK(after.functions[i].label_count == before.functions[i].label_count);
    CHECK(after.functions[i].local_slots == before.functions[i].local_slots);
    CHECK(after.functions[i].frame_slots == before.functions[i].frame_slots);
  }
  REQUIRE(after.tables.size() == before.tables.size());
  CHECK(after.tables[0].type == before.tables[0].type);
  CHECK(after.tables[0].init == before.tables[0].init);
  REQUIRE(after.globals.size() == before.globals.size());
  for (usize i = 0; i < before.globals.size(); ++i) {
    CHECK(after.globals[i].type == before.globals[i].type);
    CHECK(after.globals[i].init == before.globals[i].init);
  }
  REQUIRE(after.exports.size() == before.exports.size());
  for (usize i = 0; i < before.exports.size(); ++i) {
    CHECK(after.exports[i].name == before.exports[i].name);
    CHECK(after.exports[i].kind == before.exports[i].kind);
    CHECK(after.exports[i].index == before.exports[i].index);
  }
  REQUIRE(after.elems.size() == before.elems.size());
  for (usize i = 0; i < before.elems.size(); ++i) {
    CHECK(after.elems[i].mode == before.elems[i].mode);
    CHECK(after.elems[i].type == before.elems[i].type);
    CHECK(after.elems[i].table == before.elems[i].table);
    CHECK(after.elems[i].offset == before.elems[i].offset);
    CHECK(after.elems[i].items == before.elems[i].items);
  }
  REQUIRE(after.datas.size() == before.datas.size());
  for (usize i = 0; i < before.datas.size(); ++i) {
    CHECK(after.datas[i].mode == before.datas[i].mode);
    CHECK(after.datas[i].memory == before.datas[i].memory);
    CHECK(after.datas[i].offset == before.datas[i].offset);
    CHECK(after.datas[i].bytes == before.datas[i].bytes);
  }
  REQUIRE(after.names.size() == before.names.size());
  for (usize i = 0; i < before.names.size(); ++i) {
    CHECK(after.names[i].space == before.names[i].space);
    CHECK(after.names[i].index == before.names[i].index);
    CHECK(after.names[i].slot == before.names[i].slot);
    CHECK(after.names[i].text == before.names[i].text);
  }
  REQUIRE(after.customs.size() == before.customs.size());
  for (usize i = 0; i < before.customs.size(); ++i) {
    CHECK(after.customs[i].name == before.customs[i].name);
    CHECK(after.customs[i].bytes == before.customs[i].bytes);
  }
}

TEST_CASE("bytes of a small module, as docs/format.md has them") {
  ModuleBuilder m;
  CodeBuilder f(m.type({}, {ValType::i32}), 0, 1);
  f.emit(Op::i32_const, {0, 42}).emit(Op::ret_1, {0});
  m.export_function("main", m.add(f));
  const std::string expected = header + raw({1, 4, 1, 0, 1, 0x7f}) + raw({3, 6, 1, 0, 2, 0, 0, 1}) +
                               raw({7, 8, 1, 4, 'm', 'a', 'i', 'n', 0, 0}) +
                               raw({12, 22, 0, 0, 0, 0, 0, 0}) + raw({4, 0, 0, 0, 42, 0, 0, 0}) +
                               raw({0x60, 1, 0, 0, 0, 0, 0, 0});
  CHECK(mod::write(m.module) == expected);
  readable(expected);
}

TEST_CASE("every beginning of a file is refused, or is a module with the same bytes") {
  const std::string whole = mod::write(every_section());
  u32 read_again = 0;
  for (usize size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    const auto result = read(part);
    if (result.ok()) {
      CHECK(mod::write(*result) == part);
      ++read_again;
    } else {
      CHECK(!result.error().place.empty());
      CHECK(!result.error().message.empty());
    }
  }
  CHECK(read_again > 3);
}

TEST_CASE("header") {
  unreadable("", "offset 0x0", "not an Atoll module");
  unreadable(header.substr(0, 7), "offset 0x0", "not an Atoll module");
  unreadable(raw({0, 'a', 's', 'm', 1, 0, 0, 0}), "offset 0x0", "not an Atoll module");
  unreadable(raw({0, 'a', 't', 'b', 2, 0, 0, 0}), "offset 0x4",
             "module format 2: this build reads format 1 only");
  CHECK(read(raw({0, 'a', 't', 'b', 2, 0, 0, 0})).error().code == base::ErrorCode::unsupported);
  readable(header);
}

TEST_CASE("sections: known, in order, once, of their size") {
  const std::string types = section(SectionId::types, raw({1, 0, 0}));
  const std::string memories = section(SectionId::memories, raw({1, 16, 0, 1}));
  const std::string custom = section(SectionId::custom, text("x"));
  readable(header + types + memories + custom + custom);
  unreadable(header + raw({0, 0}), "offset 0x8", "section id 0 is unknown");
  unreadable(header + types + raw({16, 0}), "offset 0xd", "section id 16 is unknown");
  unreadable(header + memories + types, "section types at 0xe",
             "section types after section memories");
  unreadable(header + types + types, "section types at 0xd", "section types after section types");
  unreadable(header + custom + types, "section types at 0xc", "section types after section custom");
  unreadable(header + raw({1}), "section types at 0x9", "the data ends too early");
  unreadable(header + raw({1, 3, 0}), "section types at 0xa",
             "3 bytes of payload, but only 1 are left");
  bad_section(SectionId::types, raw({1, 0, 0, 0}), " at 0xd", "1 bytes too many at the end");
  bad_section(SectionId::types, raw({1, 0}), " at 0xb", "1 types do not fit into the 1 bytes");
  bad_section(SectionId::types, "", " at 0xa", "the data ends too early");
}

TEST_CASE("numbers: shortest form, no more bits than the field has") {
  bad_section(SectionId::types, raw({0x81, 0, 0, 0}), " at 0xc", "not in its shortest form");
  bad_section(SectionId::start, raw({0x80, 0}), " at 0xc", "not in its shortest form");
  bad_section(SectionId::start, raw({0xff, 0xff, 0xff, 0xff, 0x1f}), " at 0xf",
              "more than 32 bits");
  bad_section(SectionId::start, raw({0xff, 0xff, 0xff, 0xff, 0x8f, 0}), " at 0x10",
              "more than 32 bits");
  readable(header + section(SectionId::start, raw({0xff, 0xff, 0xff, 0xff, 0x0f})));
  const auto memory = [](const std::string& min) { return raw({1, 16, 0}) + min; };
  readable(header + section(SectionId::memories, memory(std::string(9, '\xff') + raw({1}))));
  bad_section(SectionId::memories, memory(std::string(9, '\xff') + raw({2})), " at 0x17, entry 0",
              "more than 64 bits");
  bad_section(SectionId::functions, raw({1, 0, 1, 0, 0x80, 0x80, 0x04, 0}), " at 0x11, entry 0",
              "more than 16 bits");
  const auto global = [](int type, const std::string& op) { return raw({1, type, 0, 1}) + op; };
  for (const auto& i32 : {raw({0}), raw({0x7f}), raw({0xc0, 0}), raw({0xbf, 0x7f}),
                          raw({0xff, 0xff, 0xff, 0xff, 7}), raw({0x80, 0x80, 0x80, 0x80, 0x78})}) {
    readable(header + section(SectionId::globals, global(0x7f, raw({0}) + i32)));
  }
  for (const auto& i32 : {raw({0x80, 0}), raw({0xff, 0x7f})}) {
    bad_section(SectionId::globals, global(0x7f, raw({0}) + i32), " at 0x11, entry 0",
                "not in its shortest form");
  }
  for (const auto& i32 : {raw({0xff, 0xff, 0xff, 0xff, 8}), raw({0x80, 0x80, 0x80, 0x80, 0x77})}) {
    bad_section(SectionId::globals, global(0x7f, raw({0}) + i32), " at 0x14, entry 0",
                "more than 32 bits");
  }
  bad_section(SectionId::globals, global(0x7f, raw({0, 0x80, 0x80, 0x80, 0x80, 0x80, 0})),
              " at 0x15, entry 0", "more than 32 bits");
  const std::string nines(9, '\x80');
  readable(header + section(SectionId::globals, global(0x7e, raw({1}) + nines + raw({0x7f}))));
  bad_section(SectionId::globals, global(0x7e, raw({1}) + nines + raw({1})), " at 0x19, entry 0",
              "more than 64 bits");
}

TEST_CASE("counts: within their limits and the bytes that are left") {
  namespace limits = mod::limits;
  struct Case {
    SectionId id;
    u32 limit;
    const char* before = "";  // of the count
  };
  for (const Case& c :
       {Case{SectionId::types, limits::types}, Case{SectionId::imports, limits::imports},
        Case{SectionId::functions, limits::functions}, Case{SectionId::tables, limits::tables},
        Case{SectionId::memories, limits::memories}, Case{SectionId::globals, limits::globals},
        Case{SectionId::exports, limits::exports}, Case{SectionId::elements, limits::elem_segments},
        Case{SectionId::data, limits::data_segments}, Case{SectionId::lines, limits::files}}) {
    const std::string over = leb(u64{c.limit} + 1);
    const std::string at = " at 0x" + std::string(over.size() == 3 ? "d" : "c");
    bad_section(c.id, over, at, "more than the limit of " + std::to_string(c.limit));
    bad_section(c.id, leb(3) + "x", " at 0xb", "do not fit into the 1 bytes that are left");
    bad_section(c.id, leb(0) + (c.id == SectionId::lines ? leb(0) : ""),
                c.id == SectionId::lines ? " at 0xc" : " at 0xb", "must be left out");
  }
  bad_section(SectionId::names, text("") + leb(limits::names + 1), " at 0xe",
              "more than the limit");
  bad_section(SectionId::names, text("") + leb(2) + "xxx", " at 0xc", "2 names do not fit");
  bad_section(SectionId::names, text("") + leb(0), " at 0xc", "must be left out");
  bad_section(SectionId::types, raw({1}) + leb(1001), " at 0xd, entry 0",
              "1001 parameters are more");
  bad_section(SectionId::types, raw({1, 0}) + leb(1001), " at 0xe, entry 0",
              "1001 results are more");
  bad_section(SectionId::types, raw({1, 2, 0x7f}), " at 0xc, entry 0", "2 parameters do not fit");
  bad_section(SectionId::globals, raw({1, 0x7f, 0, 101}), " at 0xe, entry 0",
              "101 constant operations are more than the limit of 100");
  bad_section(SectionId::elements, raw({1, 1, 0x70, 0}) + leb(300'001), " at 0x11, entry 0",
              "300001 items are more than the limit of 300000");
  bad_section(SectionId::elements, raw({1, 1, 0x70, 1, 9, 0}), " at 0xf, entry 0",
              "9 items do not fit into the 1 bytes");
  bad_section(SectionId::lines, raw({0, 1, 0, 0, 0, 0}), " at 0xc",
              "1 line entries are more than the limit of 0");
  bad_section(SectionId::data, raw({1, 1, 5, 'a'}), " at 0xd, entry 0",
              "a segment of 5 bytes, but only 1 are left");
  std::string customs = header;
  for (u32 i = 0; i < limits::customs; ++i) customs += section(SectionId::custom, text(""));
  readable(customs);
  customs += section(SectionId::custom, text(""));
  CHECK(read(customs).error().message == "more than 1000 custom sections");
  // Expressions of many segments together.
  std::string many;
  const std::string items(60'000, '\0');
  for (u32 i = 0; i < 6; ++i) many += raw({1, 0x70, 1}) + leb(60'000) + items;
  CHECK(read(header + section(SectionId::elements, leb(6) + many)).error().message ==
        "60000 items are more than the limit of 0");
}

TEST_CASE("choices: known numbers only") {
  bad_section(SectionId::types, raw({1, 1, 0x60, 0}), " at 0xd, entry 0",
              "value type 0x60 is unknown");
  bad_section(SectionId::imports, raw({1, 0, 0, 4, 0}), " at 0xe, entry 0", "kind 4 is unknown");
  bad_section(SectionId::exports, raw({1, 0, 4, 0}), " at 0xd, entry 0", "kind 4 is unknown");
  bad_section(SectionId::memories, raw({1, 16, 2, 0}), " at 0xd, entry 0",
              "range form 2 is unknown");
  bad_section(SectionId::globals, raw({1, 0x7f, 2, 0}), " at 0xd, entry 0",
              "mutability 2 is unknown");
  bad_section(SectionId::globals, raw({1, 0x7f, 0, 1, 13}), " at 0xf, entry 0",
              "constant operation 13 is unknown");
  bad_section(SectionId::elements, raw({1, 3, 0x70, 1, 0}), " at 0xc, entry 0",
              "mode 3 is unknown");
  bad_section(SectionId::elements, raw({1, 1, 0x70, 2, 0}), " at 0xe, entry 0",
              "item form 2 is unknown");
  bad_section(SectionId::data, raw({1, 2, 0}), " at 0xc, entry 0", "mode 2 is unknown");
  bad_section(SectionId::names, raw({0, 1, 8, 0, 0}), " at 0xd, entry 0",
              "name space 8 is unknown");
  bad_section(SectionId::elements, raw({1, 1, 0x70, 0, 1, 1, 6, 0}), " at 0x12, entry 0",
              "must be in the short form");
  bad_section(SectionId::elements, raw({1, 1, 0x70, 0, 0}), " at 0xf, entry 0",
              "must be in the short form");
}

TEST_CASE("text: UTF-8") {
  bad_section(SectionId::exports, raw({1, 1, 0x80, 0, 0}), " at 0xd, entry 0",
              "a name is not UTF-8");
  bad_section(SectionId::imports, raw({1, 1, 0xff, 0, 0, 0}), " at 0xd, entry 0",
              "a module's name is not UTF-8");
  bad_section(SectionId::names, raw({1, 0xc3, 0}), " at 0xc", "a module's name is not UTF-8");
  bad_section(SectionId::names, raw({0, 1, 0, 0, 1, 0xc3}), " at 0x10, entry 0",
              "a name is not UTF-8");
  bad_section(SectionId::lines, raw({1, 1, 0xfe, 0}), " at 0xd", "a file's name is not UTF-8");
  bad_section(SectionId::custom, raw({1, 0xfe}), " at 0xc", "a name is not UTF-8");
}

TEST_CASE("code and labels: as many as the functions say") {
  const std::string words = raw({0, 0, 0, 0, 0, 0, 0, 0});
  const std::string types = section(SectionId::types, raw({1, 0, 0}));
  const auto file = [&](u32 count, u32 labels, const std::string& rest) {
    return header + types + section(SectionId::functions, function(count, labels)) + rest;
  };
  // The code section starts at 0x15, its payload at 0x17: one byte of padding.
  const std::string code = section(SectionId::code, raw({0}) + words);
  readable(file(1, 0, code));
  unreadable(file(2, 0, code), "section functions at 0x15, entry 0",
             "2 words of code do not fit into the 11 bytes after this section");
  unreadable(file(1u << 28, 0, code), "section functions at 0x19, entry 0", "do not fit");
  unreadable(file((1u << 28) + 1, 0, code), "section functions at 0x19, entry 0",
             "268435457 words of code are more than the limit of 268435456");
  unreadable(file(1, 2, code), "section functions at 0x15, entry 0", "2 labels in 1 words of code");
  unreadable(file(1, 1, code), "offset 0x20",
             "the functions have 1 labels, but there is no labels");
  unreadable(file(1, 0, section(SectionId::custom, text(std::string(9, 'x')))), "offset 0x21",
             "the functions have 1 words of code, but there is no code section");
  unreadable(file(1, 0, section(SectionId::code, raw({1}) + words)), "section code at 0x18",
             "padding that is not zero");
  unreadable(file(1, 0, section(SectionId::code, raw({0, 0}) + words)), "section code at 0x17",
             "10 bytes, but 1 of padding and 8 of code are needed");
  unreadable(file(1, 0, section(SectionId::labels, raw({0, 0})) + code), "section labels at 0x17",
             "no function has labels");
  unreadable(file(1, 1, section(SectionId::labels, raw({0})) + code), "section labels at 0x17",
             "1 labels do not fit into the 1 bytes of the section");
  unreadable(file(1, 1, section(SectionId::labels, raw({0, 0x80, 0x80, 4})) + code),
             "section labels at 0x1b, entry 0", "more than 16 bits");
  bad_section(SectionId::code, words, " at 0xa", "no function has code");
}
