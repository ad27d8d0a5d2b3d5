// Items: data, structures, enumerations, globals, tables, memories, imports, exports.
#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// The value of a constant expression, as a global that holds it.
u64 value(const std::string& items, const std::string& expression) {
  const mod::Module module = module_of(items + "\nglobal it: i64 = " + expression + "\n");
  return module.globals.at(0).init.at(0).value;
}

i64 integer(const std::string& items, const std::string& expression) {
  return static_cast<i64>(value(items, expression));
}

}  // namespace

TEST_CASE("constant expressions have C's operators and precedences") {
  CHECK(integer("", "2 + 3 * 4") == 14);
  CHECK(integer("", "(2 + 3) * 4 % 7") == 6);
  CHECK(integer("", "-7 / 2") == -3);
  CHECK(integer("", "1 << 4 | 3 & 2 ^ 1") == (1 << 4 | ((3 & 2) ^ 1)));
  CHECK(integer("", "5 > 3 && 2 >= 3 || !0") == 1);
  CHECK(integer("", "1 == 1 ? 10 : 20") == 10);
  CHECK(integer("", "0 ? 1 : 0 ? 2 : 3") == 3);
  CHECK(integer("", "~0") == -1);
  CHECK(integer("", "-0x8000_0000_0000_0000 >> 63") == -1);
  CHECK(integer("", "0xffff_ffff_ffff_ffff") == -1);
  CHECK(integer("", "-9223372036854775808") == INT64_MIN);
  CHECK(integer("", "'\\u{1F600}' + 'a' - '\\n'") == 0x1f600 + 'a' - '\n');
  CHECK(integer("", "0b1010 + 0o17 + 1_000") == 1025);
  CHECK(integer("const a = b * 2\nconst b = 1 <<\n 3", "a") == 16);
  CHECK(integer("", "1.5 < 2 ? 1 : 2") == 1);
}

TEST_CASE("enumerations and structures") {
  const std::string items = R"(
enum Color { red, green = 5, blue, last = Color.blue * 2
             after }
struct Inner { a: u8, b: i64 }
struct Body { x: f64, tag: [3]u8, in: [2]Inner, n: u16 }
packed struct Tight { a: u8, b: i64, c: Inner }
)";
  CHECK(integer(items, "Color.red") == 0);
  CHECK(integer(items, "Color.blue") == 6);
  CHECK(integer(items, "Color.after") == 13);
  CHECK(integer(items, "sizeof(Inner)") == 16);
  CHECK(integer(items, "Body.tag") == 8);
  CHECK(integer(items, "Body.in") == 16);
  CHECK(integer(items, "Body.in.b") == 24);
  CHECK(integer(items, "Body.n") == 48);
  CHECK(integer(items, "sizeof(Body)") == 56);
  CHECK(integer(items, "alignof(Body)") == 8);
  CHECK(integer(items, "sizeof(Tight)") == 25);
  CHECK(integer(items, "alignof(Tight)") == 1);
  CHECK(integer(items, "sizeof([3]u16) + alignof([7]i64)") == 14);
}

TEST_CASE("data are laid out in order, each at its alignment") {
  const mod::Module module = module_of(R"(
data text = "abc"
data numbers = i32 1, -2, u8 0xff, f32 1.5, i16 text + 1
reserve space 10 align 64
data after align 16 = u8 1
data pointer = i32 after, heap_base, len(numbers)
)");
  CHECK(text_of("data a = \"abc\"\ndata b = i64 -1\nreserve c 5\ndata d = u8 'x'\n") ==
        R"(raw module ""
raw memory 0: 32
raw data 0 a: at memory 0 (i32.const 0) = "abc"
raw data 1 b: at memory 0 (i32.const 8) = "\xff\xff\xff\xff\xff\xff\xff\xff"
raw data 2 d: at memory 0 (i32.const 21) = "x"
)");
  REQUIRE(module.datas.size() == 4);
  CHECK(module.datas[1].bytes == std::string("\1\0\0\0\xfe\xff\xff\xff\xff\0\0\xc0\x3f\1\0", 15));
  CHECK(module.datas[2].offset[0].value == 80);
  CHECK(module.datas[3].offset[0].value == 84);
  CHECK(module.datas[3].bytes == std::string("\x50\0\0\0\x60\0\0\0\x0f\0\0\0", 12));
  CHECK(module.memories[0].size.min == 96);
}

TEST_CASE("long runs of zeros stand in no file") {
  const mod::Module module = module_of(
      "data a = u8 1, zero 1 << 30, u8 2, zero 3, u8 3, zero 1 << 20\nreserve b 1 << 30\n");
  REQUIRE(module.datas.size() == 2);
  CHECK(module.datas[0].bytes == "\1");
  CHECK(module.datas[1].bytes == std::string("\2\0\0\0\3", 5));
  CHECK(module.datas[1].offset[0].value == (1 << 30) + 1);
  CHECK(module.memories[0].size.min > (u64{2} << 30));
}

TEST_CASE("file and passive data") {
  const Files files = {{"x.bin", std::string("\0\1", 2)}};
  const mod::Module module = module_of(R"(
data image = file "x.bin", zero 2, u8 9
data passive blob = "ab", zero 3, u8 len(image)
func f(p: i32) { memory.init blob, p, 0, len(blob); data.drop blob }
)",
                                       files);
  REQUIRE(module.datas.size() == 2);
  CHECK(module.datas[0].bytes == std::string("\0\1\0\0\x09", 5));
  CHECK(module.datas[1].bytes == std::string("ab\0\0\0\5", 6));
  CHECK(module.datas[1].mode == mod::SegmentMode::passive);
}

TEST_CASE("memories, globals, tables, imports and exports") {
  CHECK(text_of(R"(
module sample
memory 1 pages
memory scratch 4096 .. 1 << 16
import memory shared 2 .. 16 pages from "m" "mem"
import global base: i32 from "m" "base"
import global count: mut i64 from "m" "count"
import table outer: funcref 1 .. 9 from "m" "tab"
import func log(p: i32) from "m" "log"
export global counter: mut i32 = -1
global ratio: f64 = 1.5
global copy: i32 = base
global callback: mut funcref = init
global nothing: externref = null
export "ops2" table ops: funcref 4 = [init, null,
    log]
table auto: funcref = [init, init]
elem passive more: funcref = [log]
export memory heap 10
type callback_type = func(i32)
start init
export "run" func init() { global.set count, (i64.add (global.get count), 1) }
func f() { table.init ops, more, 0, 0, 1; elem.drop more }
)") == R"(raw module "sample"
raw type 0 callback_type = func(i32)
raw type 1 = func()
raw import memory 0 shared: 2 .. 16 pages from "m" "mem"
raw import table 0 outer: funcref 1 .. 9 from "m" "tab"
raw import global 0 base: i32 from "m" "base"
raw import global 1 count: mut i64 from "m" "count"
raw import func 0 log(i32) from "m" "log"
raw table 1 ops: funcref 4
raw table 2 auto: funcref 2
raw memory 1: 1 pages
raw memory 2 scratch: 4096 .. 65536
raw memory 3 heap: 10
raw global 2 counter: mut i32 = (i32.const -1)
raw global 3 ratio: f64 = (f64.const 1.5)
raw global 4 copy: i32 = (global.get base)
raw global 5 callback: mut funcref = (ref.func init)
raw global 6 nothing: externref = (ref.null)
raw export global counter "counter"
raw export table ops "ops2"
raw export memory heap "heap"
raw export func init "run"
raw start init
raw elem 0: funcref at table ops (i32.const 0) = [(ref.func init), (ref.null), (ref.func log)]
raw elem 1: funcref at table auto (i32.const 0) = [(ref.func init), (ref.func init)]
raw elem 2 more: funcref passive = [(ref.func log)]

raw func 1 init() locals 0 frame 1 {
    global.get.import $0, count
    i64.add.i $0, $0, 1
    global.set.import count, $0
    ret
}

raw func 2 f() locals 0 frame 3 {
    i32.const $0, 0
    i32.const $1, 0
    i32.const $2, 1
    table.init ops, more, $0, $1, $2
    elem.drop more
    ret
}
)");
}

TEST_CASE("programs of several files") {
  const Files files = {{"a.atoll", "use \"b.atoll\"\nfunc from_a() { call from_b() }\n"},
                       {"b.atoll", "use \"a.atoll\"\nfunc from_b() { call from_a() }\n"}};
  const mod::Module module = module_of(
      "use \"a.atoll\"\nuse \"b.atoll\"\nfunc f() { call from_a()\n call from_b() }\n", files);
  CHECK(module.functions.size() == 3);
  CHECK(module.files == std::vector<std::string>{"test.atoll", "a.atoll", "b.atoll"});
}

TEST_CASE("names of many kinds are no keywords") {
  (void)module_of(R"(
func f(len: i32, file: i32, start: i32, data: i32, table: i32, type: i32, in: i32, step: i32) {
    var memory: i32, global: i32, module: i32, from: i32, pages: i32, align: i32, zero: i32
    var raw: i32, locals: i32, frame: i32, sizeof: i32, unsigned: i32, use: i32, elem: i32
    i32.add len, sizeof, (i32.add unsigned, zero)
    for in in 0 .. step { nop }
    for unsigned in 0 .. 3 { nop }
    for unsigned unsigned in 0 .. 3 { nop }
}
)");
}

TEST_CASE("the line table has an entry for each statement, at its column") {
  const mod::Module module = module_of(
      "func f(a: i32) {\n    i32.add a, a, 1; i32.add a, a, 2\n\n    if a {\n  nop }\n}\n");
  const std::vector<mod::Line> expected = {
      {0, 0, 2, 5}, {1, 0, 2, 22}, {2, 0, 4, 5}, {3, 0, 5, 3}, {4, 0, 6, 1}};
  CHECK((module.lines == expected));
  CHECK(module.name_of(mod::NameSpace::local, 0, 0) == "a");
}

TEST_CASE("`line` gives the place of what follows in its block") {
  const mod::Module module = module_of(R"(func f(line: i32) {
    i32.add line, line, 1
    line "a.toy" 7 3; nop
    nop
    while i32.lt_s line, 5 {
        line 8 5
        i32.add line, line, 1
        line "b.toy" 9 1
        nop
    }
    nop
    line 10 4; nop
    ret
}
func g() { nop; ret }
raw func h() locals 0 frame 0 {
    line "b.toy" 2 3
    ret
}
)");
  const std::vector<mod::Line> expected = {
      {0, 0, 2, 5},    {1, 1, 7, 3},    {2, 1, 7, 3}, {3, 1, 7, 3},  {4, 1, 8, 5},
      {5, 2, 9, 1},    {6, 1, 7, 3},    {7, 1, 7, 3}, {8, 1, 10, 4}, {9, 1, 10, 4},
      {10, 0, 15, 12}, {11, 0, 15, 17}, {12, 2, 2, 3}};
  CHECK((module.lines == expected));
  CHECK(module.files == std::vector<std::string>{"test.atoll", "a.toy", "b.toy"});
}

TEST_CASE("`line` with the source's own name means the source; labels may have the name") {
  const mod::Module module =
      module_of("func f() {\n    line \"test.atoll\" 100 1\n    nop\nline:\n    br line\n}\n");
  const std::vector<mod::Line> expected = {{0, 0, 100, 1}, {1, 0, 100, 1}};
  CHECK((module.lines == expected));
  CHECK(module.files.size() == 1);
}

TEST_CASE("raw functions among others") {
  CHECK(body(R"(
memory 10
func helper(a: i32) -> i32 { ret a }
import func log(a: i32) from "m" "log"
raw func f(i32) -> i32 locals 1 frame 4 {
    name $0 first
    line "other.wat" 7 3
    mov $3, $0
    call $3, helper
    call.import $3, log
    i32.load $1, $0, 4
    memory.size $2, 0
    ret.1 $1
}
)") == R"(
    mov $3, $0
    call $3, helper
    call.import $3, log
    i32.load $1, $0, 4
    memory.size $2, 0
    ret.1 $1
)");
}

TEST_CASE("a raw program goes through the same door") {
  const mod::Module module =
      module_of("raw module \"x\"\nraw func 0 f() locals 0 frame 0 {\n    ret\n}\n");
  CHECK(module.name == "x");
  CHECK(module.functions.size() == 1);
}

TEST_CASE("what objects leave to the linker") {
  atollvm::text::Options options;
  options.object = true;
  const mod::Module module = module_of(R"(
data a = u8 1
data b = i32 b, a + 1
extern func other(p: i32) -> i32
func f(p: i32) {
    call other(b) -> p
    i32.load p, [p + b]
    i32.load p, [b + 4]
    mov p, heap_base
    i32.add p, p, b - a
}
)",
                                       {}, options);
  REQUIRE(module.imports.size() == 1);
  CHECK(module.imports[0].module == "");
  CHECK(module.imports[0].name == "other");
  REQUIRE(module.customs.size() == 1);
  CHECK(module.customs[0].name == "atoll.reloc");
  // Two numbers in data; an argument, a long offset and an address in code; heap_base; the end of
  // the data and their alignment.
  CHECK(module.customs[0].bytes == std::string("\x06"
                                               "\2\1\0"
                                               "\2\1\4"
                                               "\0\0"
                                               "\1\3"
                                               "\0\5"
                                               "\3\7"
                                               "\x10\4",
                                               17));
  CHECK(isa::op_of(module.code[8]) == isa::Op::i32_add_i);
  CHECK(mistakes_of("data a = u8 1\nfunc f(x: i32) { i32.add x, x, a * 2 }\n", {}, options) ==
        "2:34: an address is known to the linker only: no more than adding a number can be done\n");
}

TEST_CASE("file names that are not UTF-8 do not make a module invalid") {
  const text::Assembly assembly = text::assemble({"\xff.atoll", "func f() { }\n"}, {});
  REQUIRE(assembly.ok());
  CHECK(verify::verify(assembly.module).ok());
}
