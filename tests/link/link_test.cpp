// Objects from source, linked, and what comes out as text.
#include "assembler/link/link.hpp"

#include <doctest/doctest.h>

#include "assembler/text/disassemble.hpp"
#include "tests/support/build.hpp"
#include "tests/support/reassemble.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

link::Input object(const std::string& file, const std::string& source, bool is_object = true) {
  const auto nothing = [](std::string_view, std::string_view, bool) {
    return std::optional<text::Source>();
  };
  text::Options options;
  options.object = is_object;
  text::Assembly made = text::assemble({file, source}, nothing, options);
  REQUIRE(mistakes(made) == "");
  return {file, std::move(made.module)};
}

mod::Module linked(std::vector<link::Input> inputs, const link::Options& options = {}) {
  auto made = link::link(inputs, options);
  REQUIRE_MESSAGE(made.ok(), made.error().text());
  auto again = link::link(std::move(inputs), options);
  REQUIRE(again.ok());
  CHECK((mod::write(*made) == mod::write(*again)));
  return std::move(*made);
}

std::string error_of(std::vector<link::Input> inputs, const link::Options& options = {}) {
  auto made = link::link(std::move(inputs), options);
  REQUIRE(!made.ok());
  return made.error().text();
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string instructions(const mod::Module& module) {
  mod::Module plain = module;
  plain.names.clear();
  plain.lines.clear();
  plain.files.clear();
  return text::disassemble(plain);
}

u32 word_at(const mod::Module& module, usize segment, usize at) {
  const std::string& bytes = module.datas[segment].bytes;
  u32 value = 0;
  for (usize i = 0; i < 4; ++i) value |= u32{static_cast<u8>(bytes.at(at + i))} << (8 * i);
  return value;
}

}  // namespace

TEST_CASE("a function of another input: the call becomes one of the own functions") {
  const auto main = object("main.atoll", R"(
module app
extern func twice(x: i32) -> i32
export func main() -> i32 {
    ret (call twice(21))
}
func unused() {
    ret
}
)");
  const auto lib = object("lib.atoll", R"(
module lib
func helper(x: i32) -> i32 {
    ret (i32.add x, x)
}
export func twice(x: i32) -> i32 {
    ret (call helper(x))
}
func unused_too(x: i64) {
    ret
}
)");
  link::Options options;
  options.exports = {"main"};
  const mod::Module module = linked({main, lib}, options);
  CHECK(module.name == "app");
  CHECK(module.imports.empty());
  CHECK(module.customs.empty());
  REQUIRE(module.functions.size() == 3);
  CHECK(module.name_of(mod::NameSpace::function, 0) == "main");
  CHECK(module.name_of(mod::NameSpace::function, 1) == "helper");
  CHECK(module.name_of(mod::NameSpace::function, 2) == "twice");
  CHECK(module.types.size() == 2);
  CHECK(module.exports.size() == 1);
  const std::string source = instructions(module);
  CHECK(has(source, "call $1, 2"));
  CHECK(!has(source, "call.import"));
  CHECK(module.files == std::vector<std::string>{"main.atoll", "lib.atoll"});
  // The other way round it is the same program.
  const mod::Module other = linked({lib, main}, options);
  CHECK(other.functions.size() == 3);
  CHECK(other.name == "lib");
}

TEST_CASE("static data move, and everything that points to them") {
  const auto first = object("a.atoll", R"(
extern func second() -> i32
data greeting = "hello"
export func main() -> i32 {
    var h: i32 = heap_base
    i32.store8 [h], 1
    ret (i32.add (i32.load [greeting]), (call second()))
}
)");
  const auto second = object("b.atoll", R"(
data pad = i32 7
data words align 64 = i32 1, 2, i32 words, i32 heap_base
reserve room 100
export func second() -> i32 {
    var p: i32 = words + 4
    var h: i32 = heap_base + 8
    ret (i32.add (i32.load [p]), (i32.add (i32.load [words]), (i32.add (i32.load [p + words]), h)))
}
)");
  const mod::Module module = linked({first, second});
  REQUIRE(module.datas.size() == 3);
  CHECK(module.datas[0].offset[0].value == 0);
  CHECK(module.datas[1].offset[0].value == 64);   // aligned as the widest item asks
  CHECK(module.datas[2].offset[0].value == 128);  // words
  CHECK(word_at(module, 2, 0) == 1);
  CHECK(word_at(module, 2, 8) == 128);
  // 64 + 16 bytes of words, 100 reserved, rounded up to 16.
  const u32 heap = 64 + 192;
  CHECK(word_at(module, 2, 12) == heap);
  const std::string source = instructions(module);
  CHECK(has(source, ", " + std::to_string(heap) + "\n"));
  CHECK(has(source, ", " + std::to_string(heap + 8) + "\n"));
  CHECK(has(source, ", " + std::to_string(132) + "\n"));
  CHECK(has(source, ", 128"));
  REQUIRE(module.memories.size() == 1);
  CHECK(module.memories[0].size.min >= heap);
}

TEST_CASE("the memory has room for all data and the largest heap") {
  const auto first = object("a.atoll", "memory 1000 .. 5000\ndata x = zero 100, i32 1\n");
  const auto second =
      object("b.atoll", "memory 3000 .. 4000\ndata y = i32 1\nexport func f() { ret }\n");
  const mod::Module module = linked({first, second});
  REQUIRE(module.memories.size() == 1);
  // 112 + 16 bytes of data, and 3000 - 16 free ones.
  CHECK(module.memories[0].size.min == 112 + 16 + 2984);
  CHECK(module.memories[0].size.max == 5000);
  const auto pages = object("c.atoll", "memory 1 pages\nexport func g() { ret }\n");
  CHECK(has(error_of({first, pages}), "c.atoll: memory 0 is counted in pages"));
}

TEST_CASE("imports from a module that is an input") {
  const auto app = object("app.atoll", R"(
module app
import func f() -> i32 from "lib" "get"
import func other() -> i32 from "host" "get"
import func unused() -> i32 from "host" "unused"
import global limit: i64 from "lib" "limit"
import global counter: mut i32 from "lib" "counter"
export func main() -> i32 {
    var x: i64
    global.get x, limit
    global.set counter, 3
    ret (i32.add (i32.wrap_i64 x), (i32.add (call f()), (call other())))
}
)");
  const auto lib = object("lib.atoll", R"(
module lib
global hidden: i32 = 3
export global limit: i64 = 10
export global counter: mut i32 = 0
import func host() -> i32 from "host" "get"
export func get() -> i32 {
    tail host()
}
)");
  const mod::Module module = linked({app, lib});
  REQUIRE(module.imports.size() == 1);  // both imports of host.get are one
  CHECK(module.imports[0].module == "host");
  CHECK(module.globals.size() == 2);
  const std::string source = instructions(module);
  CHECK(has(source, "global.get $"));
  CHECK(!has(source, "global.get.import"));
  CHECK(has(source, "global.set 1, $"));
  CHECK(has(source, "call.import $"));
  CHECK(has(source, "tail.import $"));
  CHECK(has(error_of({app, object("l.atoll", "module lib\nexport func got() { ret }\n")}),
            "app.atoll: l.atoll does not export the function get"));
}

TEST_CASE("tables, elements, passive segments and references keep what they name") {
  const auto a = object("a.atoll", R"(
type shape = func() -> i32
func one() -> i32 { ret 1 }
func two() -> i32 { ret 2 }
func never() -> i32 { ret 3 }
table ops: funcref 2 = [one, two]
table dead: funcref 1 = [never]
elem passive more: funcref = [one]
data passive blob = "blob"
memory 100
export func main(i: i32) -> i32 {
    table.init ops, more, 0, 0, 1
    memory.init blob, 0, 0, 4
    ret (call.table ops, shape, i ())
}
)");
  const auto b = object("b.atoll", R"(
func three() -> i32 { ret 3 }
table ops: funcref 1 = [three]
type shape = func() -> i32
export func second(i: i32) -> i32 {
    ret (call.table ops, shape, i ())
}
)");
  const mod::Module module = linked({a, b});
  CHECK(module.tables.size() == 2);
  CHECK(module.elems.size() == 3);
  CHECK(module.datas.size() == 1);
  REQUIRE(module.functions.size() == 5);
  for (u32 i = 0; i < 5; ++i) CHECK(module.name_of(mod::NameSpace::function, i) != "never");
  CHECK(module.types.size() == 2);
}

TEST_CASE("start functions run one after another") {
  const auto a = object("a.atoll", "func go() { ret }\nstart go\n");
  const auto b = object("b.atoll", "import func up() from \"h\" \"up\"\nstart up\n");
  const mod::Module one = linked({a});
  CHECK(one.functions.size() == 1);
  CHECK(one.start == 0u);
  const mod::Module both = linked({a, b});
  REQUIRE(both.start == 2u);
  CHECK(has(instructions(both), "    call $1, 1\n    call.import $1, 0\n    ret\n"));
}

TEST_CASE("mistakes: all at once, each with its file") {
  CHECK(has(error_of({}), "nothing to link"));
  const auto a = object("a.atoll", R"(
extern func missing(x: i32)
extern func typed(x: i32) -> i32
export func same() { ret }
export func main() {
    var x: i32
    call missing(1)
    call typed(1) -> x
    ret
}
)");
  const auto b = object("b.atoll", R"(
extern func gone()
export func same() { call gone(); ret }
export func typed(x: i64) -> i32 { ret 1 }
)");
  const std::string error = error_of({a, b});
  CHECK(has(error, "b.atoll: same is exported by a.atoll too"));
  CHECK(has(error, "a.atoll: no other input exports the function missing"));
  CHECK(has(error, "b.atoll: no other input exports the function gone"));
  CHECK(link::link({a, b}, {}).error().code == base::ErrorCode::not_found);

  const auto typed =
      object("t.atoll", "export func missing(x: i32) { ret }\nexport func typed() { ret }\n");
  CHECK(has(error_of({a, typed}), "a.atoll: the function typed has another type in t.atoll"));

  const auto fixed = object("f.atoll", "data x = i32 1\nexport func f() { ret }\n", false);
  const auto plain = object("p.atoll", "data y = i32 1\nexport func p() { ret }\n");
  CHECK(has(error_of({plain, fixed}), "f.atoll: has data at fixed addresses"));
  const mod::Module after = linked({fixed, plain});
  CHECK(after.datas[1].offset[0].value >= 4);

  link::Options options;
  options.exports = {"p", "nobody"};
  CHECK(error_of({plain}, options) == "no input exports nobody");

  link::Input broken{"broken.atb", {}};
  broken.module.start = 7;
  link::Input broken_too = broken;
  broken_too.file = "too.atb";
  const std::string both = error_of({broken, broken_too});
  CHECK(has(both, "broken.atb: "));
  CHECK(has(both, "too.atb: "));
}

TEST_CASE("imports in a circle") {
  ModuleBuilder a, b;
  a.module.name = "a";
  b.module.name = "b";
  a.export_function("f", a.import_function("b", "f", a.type({}, {})));
  b.export_function("f", b.import_function("a", "f", b.type({}, {})));
  // Both export f as well.
  CHECK(has(error_of({{"a", a.module}, {"b", b.module}}), "b: f is exported by a too"));
  b.module.exports[0].name = "g";
  a.module.imports[0].name = "g";
  CHECK(has(error_of({{"a", a.module}, {"b", b.module}}), "stands for itself"));
}

TEST_CASE("constants of another input where only imports can be read") {
  ModuleBuilder a, b;
  b.module.name = "b";
  using Kind = mod::ConstOp::Kind;
  a.import_global("b", "base", {ValType::i32, false});
  a.memory(100, {}, 0);
  a.export_function("f", a.add(CodeBuilder(a.type({}, {}), 0, 0).emit(Op::ret)));
  mod::DataSegment data;
  data.mode = mod::SegmentMode::active;
  data.offset = {{Kind::global_get, 0}};
  data.bytes = "x";
  a.module.datas.push_back(data);
  a.global(ValType::i32, false, {Kind::global_get, 0});
  a.module.exports.push_back({"own", mod::ExternKind::global, 1});
  b.global(ValType::i32, false, ModuleBuilder::i32_const(40));
  b.module.exports.push_back({"base", mod::ExternKind::global, 0});
  const mod::Module module = linked({{"a", a.module}, {"b", b.module}});
  CHECK(module.imports.empty());
  REQUIRE(module.globals.size() == 2);
  CHECK((module.globals[0].init == mod::ConstExpr{{Kind::i32_const, 40}}));
  CHECK((module.datas[0].offset == mod::ConstExpr{{Kind::global_get, 1}}));
}

TEST_CASE("relocations that lie") {
  const auto good =
      object("a.atoll", "data x = i32 1, i32 x\nexport func f() -> i32 { ret (i32.load [x]) }\n");
  REQUIRE(link::link({good}).ok());
  std::vector<std::string> sections = {"",
                                       "\x01",
                                       std::string("\x01\x05\0\0\0\1", 6),
                                       std::string("\x01\x00\x7f\x00\x01", 5),
                                       std::string("\x01\x02\x00\x05\x08\x01", 6),
                                       std::string("\x01\x02\x09\x00\x08\x01", 6),
                                       std::string("\x01\x01\x00\x08\x01", 5),
                                       std::string("\x00\x08\x03", 3),
                                       std::string("\x00\x08\x01\x00", 4),
                                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
  for (const std::string& bytes : sections) {
    link::Input bad = good;
    bad.module.customs[0].bytes = bytes;
    CHECK(has(error_of({bad}), "a.atoll: the custom section atoll.reloc does not fit"));
  }
  // Every change of one byte gives a module or an error.
  const std::string whole = good.module.customs[0].bytes;
  for (usize i = 0; i < whole.size(); ++i) {
    for (u32 value = 0; value < 256; value += 3) {
      link::Input bad = good;
      bad.module.customs[0].bytes[i] = static_cast<char>(value);
      const auto made = link::link({good, bad});
      if (!made.ok()) CHECK(!made.error().message.empty());
    }
  }
}
