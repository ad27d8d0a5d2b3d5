// Names of WebAssembly modules: the name section, and exports where it says nothing.
#include <doctest/doctest.h>

#include <string>

#include "assembler/wasm/image.hpp"
#include "tests/support/wasm_bytes.hpp"
#include "vm/module/limits.hpp"

using namespace atollvm;
using namespace atollvm::test;
using mod::NameSpace;

namespace {

ByteString subsection(u8 kind, const ByteString& contents) {
  return ByteString{kind} + sized(contents);
}
ByteString named(u32 index, std::string_view name) { return leb(index) + text(name); }

// Function 0 is imported, with one parameter; 1 has a parameter and 2 + 1 locals, 2 a parameter;
// a table, a memory, a global, an element and a data segment.
WasmBytes with_names(const ByteString& contents, const ByteString& exports = {0}) {
  return WasmBytes()
      .section(1, list({func_type({0x7f}, {})}))
      .section(2, list({text("m") + text("f") + ByteString{0, 0}}))
      .section(3, list({leb(0), leb(0)}))
      .section(4, list({{0x70, 0, 0}}))
      .section(5, list({{0, 0}}))
      .section(6, list({{0x7f, 0, 0x41, 0, 0x0b}}))
      .section(7, exports)
      .section(9, list({{1, 0, 0}}))
      .section(10, list({sized({2, 2, 0x7f, 1, 0x7e, 0x0b}), sized({0, 0x0b})}))
      .section(11, list({{1, 0}}))
      .custom("name", contents);
}

wasm::Image read(const WasmBytes& module) {
  base::Result<wasm::Image> image = wasm::read_image(module.bytes);
  if (!image) FAIL(image.error().text());
  wasm::read_names(*image);
  return std::move(*image);
}

// "space index slot text" of each name.
std::string names_of(const WasmBytes& module) {
  std::string all;
  const wasm::Image image = read(module);
  for (const mod::Name& name : image.module.names) {
    all += std::to_string(static_cast<u32>(name.space)) + ' ' + std::to_string(name.index) + ' ' +
           std::to_string(name.slot) + ' ' + name.text + '\n';
  }
  return all;
}

}  // namespace

TEST_CASE("wasm names: of the module and of all that Atoll has names for") {
  const WasmBytes module = with_names(
      subsection(0, text("prog")) + subsection(1, list({named(0, "f"), named(2, "main")})) +
      subsection(2, list({leb(1) + list({named(0, "argc"), named(3, "sum")}),
                          leb(2) + list({named(0, "n")})})) +
      subsection(3, list({leb(1) + list({named(0, "label")})})) +
      subsection(4, list({named(0, "fn")})) + subsection(5, list({named(0, "tab")})) +
      subsection(6, list({named(0, "mem")})) + subsection(7, list({named(0, "stack")})) +
      subsection(8, list({named(0, "init")})) + subsection(9, list({named(0, "text")})) +
      subsection(11, list({named(0, "tag")})));
  CHECK(names_of(module) ==
        "0 0 0 f\n0 2 0 main\n1 0 0 stack\n2 0 0 tab\n3 0 0 mem\n4 0 0 fn\n5 0 0 text\n"
        "6 0 0 init\n7 1 0 argc\n7 1 3 sum\n7 2 0 n\n");
  const wasm::Image image = read(module);
  CHECK(image.module.name == "prog");
  CHECK(image.function_label(2) == "function $main (2)");
  CHECK(image.function_label(1) == "function 1");
}

TEST_CASE("wasm names: functions without one have that of their first export") {
  const ByteString exports = list({text("b") + ByteString{0, 2}, text("a") + ByteString{0, 2},
                                   text("c") + ByteString{0, 1}, text("") + ByteString{0, 0},
                                   text("d") + ByteString{1, 0}});
  CHECK(names_of(with_names(subsection(1, list({named(1, "own")})), exports)) ==
        "0 1 0 own\n0 2 0 b\n");
  CHECK(names_of(with_names({}, exports)) == "0 1 0 c\n0 2 0 b\n");
}

TEST_CASE("wasm names: what is wrong is left out, the rest stays") {
  // Of several the first; out of range; empty; not UTF-8; not in order.
  CHECK(names_of(with_names(
            subsection(1, list({named(2, "two"), named(2, "second"), named(3, "none"), named(0, ""),
                                leb(0) + ByteString{1, 0xff}, named(1, "one")})))) ==
        "0 1 0 one\n0 2 0 two\n");
  // Locals that do not exist: function 0 is imported and has a parameter, 1 has four locals.
  CHECK(names_of(with_names(subsection(2, list({leb(0) + list({named(0, "p"), named(1, "q")}),
                                                leb(1) + list({named(3, "last"), named(4, "over")}),
                                                leb(9) + list({named(0, "nowhere")})})))) ==
        "7 0 0 p\n7 1 3 last\n");
  // A function twice: its locals are not counted again.
  CHECK(names_of(with_names(subsection(2, list({leb(1) + list({named(0, "a")}),
                                                leb(1) + list({named(1, "b")})})))) == "7 1 0 a\n");
  // A map that ends too early, and then another subsection.
  CHECK(names_of(with_names(subsection(1, ByteString{9} + named(0, "f") + ByteString{1, 7, 'x'}) +
                            subsection(7, list({named(0, "g")})))) == "0 0 0 f\n1 0 0 g\n");
  // A subsection that is longer than the section; a subsection out of order.
  CHECK(names_of(with_names(subsection(1, list({named(0, "f")})) + ByteString{2, 99, 0})) ==
        "0 0 0 f\n");
  CHECK(names_of(with_names(subsection(7, list({named(0, "g")})) +
                            subsection(1, list({named(0, "f")})))) == "1 0 0 g\n");
  CHECK(names_of(with_names({0x80})).empty());
  CHECK(read(with_names(subsection(0, ByteString{2, 0xc0, 0x80}))).module.name.empty());
}

TEST_CASE("wasm names: names of locals are the first to be left out at the limit") {
  const u32 functions = mod::limits::names - 1;
  const auto many = [&](const ByteString& entry) {
    ByteString bytes = leb(functions);
    bytes.reserve(bytes.size() + functions * entry.size());
    for (u32 i = 0; i < functions; ++i) bytes.insert(bytes.end(), entry.begin(), entry.end());
    return bytes;
  };
  ByteString names = leb(functions);
  for (u32 i = 0; i < functions; ++i) {
    const ByteString entry = named(i, "f");
    names.insert(names.end(), entry.begin(), entry.end());
  }
  const WasmBytes module =
      WasmBytes()
          .section(1, list({func_type({}, {})}))
          .section(3, many(leb(0)))
          .section(10, many(sized({1, 2, 0x7f, 0x0b})))
          .custom("name", subsection(1, names) +
                              subsection(2, list({leb(5) + list({named(0, "a"), named(1, "b")})})));
  const wasm::Image image = read(module);
  REQUIRE(image.module.names.size() == mod::limits::names);
  CHECK(image.module.names[functions - 1].space == NameSpace::function);
  CHECK(image.module.names[functions].text == "a");
}
