// Macros: what they see, what they own, and how far they go.
#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("registers and labels of a macro are its own") {
  CHECK(body(R"(
macro swap(a, b) { var t: i64; mov t, a; mov a, b; mov b, t }
macro count_down(n) {
again:
    i32.sub n, n, 1
    br.if n, again
}
func f(t: i64, b: i64, n: i32) {
    swap!(t, b)
again:
    count_down!(n)
    count_down!(n)
    br.if n, again
}
)") == R"(
    mov $3, $0
    mov $0, $1
    mov $1, $3
L0(4):
    i32.add.i $2, $2, -1
    back.i32.ne.i $2, 0, L0
L1(4):
    i32.add.i $2, $2, -1
    back.i32.ne.i $2, 0, L1
    back.i32.ne.i $2, 0, L0
    ret
)");
}

TEST_CASE("arguments: registers, constants, labels, memory operands, items") {
  CHECK(body(R"(
memory 100
const size = 4
func helper(a: i32) { }
macro all(reg, number, place, target, callee) {
    i32.add reg, reg, number * size
    i32.store place, reg
    i32.load reg, place
    call callee(reg)
    br.if reg, target
    inner!(reg, number + 1, place, target)
}
macro inner(r, n, p, t) { i32.load r, p; i32.mul r, r, n; br t }
func f(x: i32, p: i32) {
    all!(x, 2 + 1, [p + x * 4], done, helper)
    done:
}
)") == R"(
    i32.add.i $0, $0, 12
    i32.store.x $1, $0, $0
    i32.load.x $0, $1, $0
    call.i64.add.i $3, helper, $3, $0, 0
    br.i32.ne.i $0, 0, L0
    i32.load.x $0, $1, $0
    i32.mul.i $0, $0, 4
L0(2):
    ret
)");
}

TEST_CASE("a macro sees nothing of the function around it, nor of the macro around it") {
  CHECK(mistakes_of("macro m() { nop\n i32.add x, x, 1 }\nfunc f(x: i32) { m!() }\n") ==
        "2:10: unknown register `x`\n");
  CHECK(mistakes_of("macro a(v) { b!() }\nmacro b() { br v }\nfunc f(x: i32) { a!(x) }\n") ==
        "2:16: there is no label `v`\n");
  CHECK(mistakes_of("macro b() { var k: i32 = n }\nmacro a(n) { b!() }\nfunc f() { a!(3) }\n") ==
        "1:26: unknown name `n`\n");
  CHECK(mistakes_of("macro m() { break }\nfunc f(x: i32) { while x { m!() } }\n") ==
        "1:13: `break` stands outside of a loop\n");
}

TEST_CASE("macros of a library") {
  const Files files = {{"std.m", "const step = 2\nmacro bump(x) { i32.add x, x, step }\n"}};
  CHECK(body("use std.m\nfunc f(a: i32) { bump!(a) }\n", files) == R"(
    i32.add.i $0, $0, 2
    ret
)");
}

TEST_CASE("what a macro expands to is bounded") {
  std::string source = "macro m0() { nop }\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "m" + std::to_string(i - 1) + "!()\n";
    source += "macro m" + std::to_string(i) + "() {\n";
    for (int k = 0; k < 32; ++k) source += before;
    source += "}\n";
  }
  CHECK(mistakes_of(source + "func f() { m7!() }\n")
            .ends_with("macros expand to more than 4 million statements\n"));
}
