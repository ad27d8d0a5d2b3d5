// Calls, results, references to functions.
#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {
const std::string callees = R"(
func one(a: i32) -> i32 { ret a }
func two(a: i32, b: i32) -> i32, i32 { ret b, a }
func none() { }
type unary = func(i32) -> i32
table ops: funcref 2 = [one, null]
import func out(a: i64) from "env" "out"
)";
}

TEST_CASE("arguments are evaluated into the window") {
  CHECK(body(callees + R"(
func f(a: i32, b: i32) {
    call one(a)
    call one(5) -> a
    call one((i32.add a, b)) -> a
    call two((call one(a)), (call one(b))) -> b, a
    i32.add a, (call one(a)), (call one(b))
    i32.add a, a, (call one((call one((i32.mul a, 3)))))
    call none()
    call out((i64.extend_i32_s a))
}
)") == R"(
    mov $3, $0
    call $3, one
    i32.const $3, 5
    call $3, one
    mov $0, $3
    i32.add $3, $0, $1
    call $3, one
    mov $0, $3
    mov $3, $0
    call $3, one
    mov $5, $1
    call $5, one
    mov $4, $5
    call $3, two
    mov $1, $3
    mov $0, $4
    mov $3, $0
    call $3, one
    mov $5, $1
    call $5, one
    i32.add $0, $3, $5
    i32.mul.i $3, $0, 3
    call $3, one
    call $3, one
    i32.add $0, $0, $3
    call $3, none
    i64.extend_i32_s $3, $0
    call.import $3, out
    ret
)");
}

TEST_CASE("results") {
  CHECK(body("func f(a: i32, b: i64) -> i64, i32, i32 { ret b, (i32.add a, 1), 7 }") == R"(
    mov $2, $1
    i32.add.i $3, $0, 1
    i32.const $4, 7
    ret.n $2, 3
)");
  CHECK(body("func f(a: i32) -> i32 { ret (call f((i32.sub a, 1))) }") == R"(
    i32.add.i $2, $0, -1
    call $2, f
    ret.1 $2
)");
}

TEST_CASE("calls through tables and references, and tail calls") {
  CHECK(body(callees + R"(
func f(a: i32, r: funcref) -> i32 {
    call.table ops, unary, a (7) -> a
    call.table ops, unary, 1 (a)
    call.ref unary, r (a) -> a
    call.ref unary, one (2)
    ref.func r, none
    if a { tail one(a) }
    if i32.eq a, 3 { tail.table ops, unary, a (1) }
    tail.ref unary, r (a)
}
)") == R"(
    i32.const $3, 7
    call.table $3, ops, unary, $0
    mov $0, $3
    i32.const $2, 1
    mov $4, $0
    call.table $4, ops, unary, $2
    mov $3, $0
    call.ref $3, unary, $1
    mov $0, $3
    ref.func $2, one
    i32.const $4, 2
    call.ref $4, unary, $2
    ref.func $1, none
    br.i32.eq.i $0, 0, L0
    mov $3, $0
    tail $3, one
L0(2):
    br.i32.ne.i $0, 3, L1
    i32.const $3, 1
    tail.table $3, ops, unary, $0
L1(2):
    mov $3, $0
    tail.ref $3, unary, $1
)");
}

TEST_CASE("functions and imports of libraries come along only when used") {
  const Files files = {{"std.lib", R"(
import func used(a: i32) from "env" "used"
import func unused(a: i32) from "env" "unused"
func helper(a: i32) { call used(a) }
func idle(a: i32) { call unused(a) }
data text = "kept"
data other = "left out"
const size = 4
)"}};
  const mod::Module module = module_of(
      "use std.lib\nimport func mine() from \"env\" \"mine\"\n"
      "export func main() { call helper(text) }\n",
      files);
  REQUIRE(module.imports.size() == 2);
  CHECK(module.imports[0].name == "mine");
  CHECK(module.imports[1].name == "used");
  CHECK(module.functions.size() == 2);
  CHECK(module.datas.size() == 1);
  CHECK(module.name_of(mod::NameSpace::function, 2) == "main");
  CHECK(module.name_of(mod::NameSpace::function, 3) == "helper");
}
