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
    call.i64.add.i $3, one, $3, $0, 0
    i32.const $3, 5
    call $3, one
    mov $0, $3
    i32.add $3, $0, $1
    call $3, one
    mov $0, $3
    call.i64.add.i $3, one, $3, $0, 0
    call.i64.add.i $5, one, $5, $1, 0
    call.i64.add.i $3, two, $4, $5, 0
    mov $1, $3
    mov $0, $4
    call.i64.add.i $3, one, $3, $0, 0
    call.i64.add.i $5, one, $5, $1, 0
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
    call.i32.add.i $2, f, $2, $0, -1
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

TEST_CASE("calls and returns take over a sum") {
  CHECK(body(R"(
func g(a: i32, b: i64, c: i32) -> i64 { ret (i64.add b, (i64.extend_i32_u (i32.add a, c))) }
func f(a: i32, b: i64, n: i32) -> i64 {
    if i32.lt_s n, 2 { ret b }
    call g((i32.sub a, 1), b, (i32.add n, 300)) -> b
    call g(n, (i64.add b, 40000), a) -> b
    i32.add a, n, 1
    call g(a, b, (i32.mul n, 3)) -> b
    ret (i64.add b, (i64.extend_i32_s a))
}
)") == R"(
    ret.if.i32.lt_s.i $2, 2, $1
    i32.add.i $4, $0, -1
    mov $5, $1
    call.i32.add.i $4, g, $6, $2, 300
    mov $1, $4
    mov $4, $2
    i64.const $5, 40000
    i64.add $5, $1, $5
    call.i64.add.i $4, g, $6, $0, 0
    mov $1, $4
    i32.add.i $0, $2, 1
    mov $4, $0
    mov $5, $1
    i32.mul.i $6, $2, 3
    call $4, g
    mov $1, $4
    i64.extend_i32_s $3, $0
    ret.i64.add $1, $3
)");
  // What is computed into a register of the program stays there, also where it is returned.
  CHECK(body("func f(a: i32) -> i32 { i32.add a, a, a\n ret a }") == R"(
    i32.add $0, $0, $0
    ret.1 $0
)");
}

TEST_CASE("a branch over a return is a conditional return") {
  CHECK(body(R"(
func f(a: i64, b: i32) -> i32 {
    if i64.ne a, -5 { ret 7 }
    if i64.gt_u a, 9 { ret b }
    br.i32.eq b, a_label, next
    ret b
next:
    while i32.ne b, 0 {
        if i32.ge_s b, 100 and i32.ne b, 200 { ret b }
        i32.sub b, b, 1
    }
    ret.if.i32.le_u.i b, 9, 8
    ret.i32.add b, 5
}
const a_label = 6
)") == R"(
    br.i64.eq.i $0, -5, L0
    i32.const $2, 7
    ret.1 $2
L0(2):
    ret.if.i64.gt_u.i $0, 9, $1
    ret.if.i32.ne.i $1, 6, $1
    br.i32.eq.i $1, 0, L3
L1(2):
    br.i32.lt_s.i $1, 100, L2
    ret.if.i32.ne.i $1, 200, $1
L2(2):
    i32.add.i $1, $1, -1
    back.i32.ne.i $1, 0, L1
L3(2):
    i32.const $2, 8
    ret.if.i32.le_u.i $1, 9, $2
    i32.const $2, 5
    ret.i32.add $1, $2
)");
}
