// What a program takes of the libraries that it uses.
#include "stdlib/host/host.hpp"
#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

const Files files = {{"std.one", R"(
use std.two
type unused_type = func(i64, i64) -> i64
type callback = func(f64)
const table_end = used_table + 8
struct Pair { a: [pair_items]i32, b: i32 }
const pair_items = 3
enum Color { red, green = 5 }
data used_table align 8 = i32 1, 2
data unused_table = i64 1, 2, 3
reserve unused_space 4096
global unused_global: mut i64 = 7
global used_global: mut i32 = 9
table unused_functions: funcref = [one_unused]
table used_functions: funcref = [one_in_table]
elem passive unused_elements: funcref = [one_unused]
func one_in_table(x: f64) { }
func one_used(p: i32) -> i32 {
    call.table used_functions, callback, p (1.5)
    ret (call two_used(table_end))
}
// Each of them alone looks used.
func one_unused(p: i32, q: i32) -> i32 { ret (call one_unused_too(p, q, unused_space)) }
func one_unused_too(p: i32, q: i32, r: i32) -> i32 {
    call.ref unused_type, (ref.func one_unused) (1, 2) -> p64!(p)
    ret (i32.add (call one_unused(p, q)), unused_table)
}
macro p64(x) { nop }
)"},
                     {"std.two", R"(
import func outside(p: i32) -> i32 from "m" "outside"
import func not_needed(p: i64) from "m" "not_needed"
import global unused_import: i64 from "m" "g"
func two_used(p: i32) -> i32 {
    global.set used_global, p
    i32.load p, [p + Pair.b]
    ret (call outside(p))
}
)"}};

}  // namespace

TEST_CASE("of a library only what the program reaches is in the module") {
  Files sound = files;
  // The macro does not fit where results stand; it is there to be left out.
  std::string& one = sound.find("std.one")->second;
  one.replace(one.find(" -> p64!(p)"), 11, " -> wide");
  one.replace(one.find("    call.ref unused"), 0, "    var wide: i64\n");
  CHECK(text_of("module m\nuse std.one\nfunc f() -> i32 { ret (call one_used(0)) }\n", sound) ==
        R"(raw module "m"
raw type 0 = func(i32) -> i32
raw type 1 callback = func(f64)
raw type 2 = func() -> i32
raw import func 0 outside(i32) -> i32 from "m" "outside"
raw table 0 used_functions: funcref 1
raw memory 0: 16
raw global 0 used_global: mut i32 = (i32.const 9)
raw elem 0: funcref at table used_functions (i32.const 0) = [(ref.func one_in_table)]
raw data 0 used_table: at memory 0 (i32.const 0) = "\x01\x00\x00\x00\x02\x00\x00\x00"

raw func 1 f() -> i32 locals 0 frame 2 {
    i32.const $1, 0
    call $1, one_used
    ret.1 $1
}

raw func 2 one_in_table(f64) locals 1 frame 1 {
    ret
}

raw func 3 one_used(i32) -> i32 locals 1 frame 3 {
    f64.const $2, 1.5
    call.table $2, used_functions, callback, $0
    i32.const $2, 8
    call $2, two_used
    ret.1 $2
}

raw func 4 two_used(i32) -> i32 locals 1 frame 3 {
    global.set used_global, $0
    i32.load $0, $0, 12
    mov $2, $0
    call.import $2, outside
    ret.1 $2
}
)");
}

TEST_CASE("what is exported by a library, its memories and its start function are kept") {
  const Files kept = {{"std.kept", R"(
memory 4096
global counter: mut i32 = 1
func begin() { global.set counter, 2 }
start begin
export func answer() -> i32 { ret (call helper()) }
func helper() -> i32 { ret 42 }
func unused() { }
)"}};
  const std::string found = text_of("use std.kept\n", kept);
  CHECK(found.find("raw memory 0: 4096") != std::string::npos);
  CHECK(found.find("raw start begin") != std::string::npos);
  CHECK(found.find("raw export func answer") != std::string::npos);
  CHECK(found.find(" helper()") != std::string::npos);
  CHECK(found.find("unused") == std::string::npos);
}

TEST_CASE("what is left out is checked all the same, but for the bodies of functions") {
  CHECK(mistakes_of("use std.bad\n", {{"std.bad", "const a = 1 +\ndata b = i8 300\n"}}) != "");
}

TEST_CASE("a library does not see the program's names") {
  const Files lib = {{"std.lib", R"(
macro lib_twice(size, body) { var next: i32; i32.add next, size, size; mov size, next; call body() }
func lib_f(list: i32) -> i32 {
    var next: i32 = 2, here: i32
    for count: i32 in 0 .. next { i32.add here, here, list }
here_too:
    ret here
}
func lib_g() { ret }
func lib_bad() -> i32 { ret limit }
)"}};
  const std::string program = R"(
use std.lib
func list() { }
data next = "x"
const size = 3
const limit = 4
global count: mut i32 = 0
macro here() { nop }
reserve here_too 8
type body = func()
)";
  (void)module_of(program + "func f(x: i32) -> i32 { lib_twice!(x, list); ret (call lib_f(x)) }",
                  lib);
  CHECK(mistakes_of(program + "func f() -> i32 { ret (call lib_bad()) }", lib) ==
        "10:29: unknown name `limit`\n");
  // But there is one name space: both can't define a name.
  CHECK(mistakes_of("use std.lib\nfunc lib_g() { }\n", lib) == "2:6: `lib_g` is defined twice\n");
}

TEST_CASE("the hint of an unknown library names those that there are") {
  text::Options options;
  options.libraries = {"std.map", "std.sys"};
  const auto assembly = assemble_files("use std.mao\n", {}, options);
  REQUIRE(assembly.diagnostics.size() == 1);
  CHECK(assembly.diagnostics[0].message == "there is no library `std.mao`");
  CHECK(assembly.diagnostics[0].hint == "there are std.map, std.sys");
}

TEST_CASE("each library assembles as a program of its own, and is named as a file is") {
  const std::vector<std::string_view> names = host::library_names();
  REQUIRE(names.size() > 1);
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK_FALSE(host::library("std.nothing").has_value());
  CHECK_FALSE(host::library("sys").has_value());
  Files libraries;
  for (const std::string_view name : names) {
    libraries[std::string(name)] = *host::library(name);
  }
  for (const std::string_view each : names) {
    const std::string name(each);
    CAPTURE(name);
    // With all its functions exported all of them are compiled.
    Files exported = libraries;
    std::string& text = exported[name];
    for (usize at = 0; (at = text.find("\nfunc ", at)) != text.npos; at += 8) {
      text.insert(at + 1, "export ");
    }
    (void)module_of("memory 65536\nuse " + name + "\n", exported);
    // Used and not needed, it leaves nothing behind.
    const mod::Module empty = module_of("use " + name + "\n", libraries);
    CHECK(empty.types.empty());
    CHECK(empty.imports.empty());
    CHECK(empty.functions.empty());
    CHECK(empty.globals.empty());
    CHECK(empty.tables.empty());
    CHECK(empty.elems.empty());
    CHECK(empty.datas.empty());
    CHECK(empty.memories.empty());
  }
}
