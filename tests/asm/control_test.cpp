// Labels, branches and structure.
#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("conditions fuse with their branches, inverted where the branch is for the else") {
  CHECK(body_of(R"(
    if i32.lt_s a, b { nop }
    if i32.gt_u a, 5 { nop }
    if f64.lt p, q { nop }
    if f64.ge p, q { nop }
    if f32.eq s, t { nop }
    if i64.eqz x { nop }
    if a { nop } else { unreachable }
    if not a { nop }
    if i32.and a, 1 { nop }
)") == R"(
    br.i32.le_s $1, $0, L0
    nop
L0(8):
    br.i32.le_u.i $0, 5, L1
    nop
L1(8):
    br.f64.nlt $6, $7, L2
    nop
L2(8):
    br.f64.nle $7, $6, L3
    nop
L3(8):
    br.f32.ne $4, $5, L4
    nop
L4(8):
    br.i64.ne.i $2, 0, L5
    nop
L5(8):
    br.i32.eq.i $0, 0, L6
    nop
    br L7
L6(8):
    unreachable
L7(8):
    br.i32.ne.i $0, 0, L8
    nop
L8(8):
    i32.and.i $8, $0, 1
    br.i32.eq.i $8, 0, L9
    nop
L9(8):
    ret
)");
}

TEST_CASE("and, or, not and parentheses") {
  CHECK(body_of(R"(
    if a and b { nop }
    if a or b { nop }
    if not (a and i32.lt_s b, 3) or (f64.lt p, q) { nop }
    if (i32.eq a, 1 or i32.eq a, 2) and not b { nop }
)") == R"(
    br.i32.eq.i $0, 0, L0
    br.i32.eq.i $1, 0, L0
    nop
L0(8):
    br.i32.ne.i $0, 0, L1
    br.i32.eq.i $1, 0, L2
L1(8):
    nop
L2(8):
    br.i32.eq.i $0, 0, L3
    br.i32.ge_s.i $1, 3, L3
    br.f64.nlt $6, $7, L4
L3(8):
    nop
L4(8):
    br.i32.eq.i $0, 1, L5
    br.i32.ne.i $0, 2, L6
L5(8):
    br.i32.ne.i $1, 0, L6
    nop
L6(8):
    ret
)");
}

TEST_CASE("a chain of else if") {
  CHECK(body_of(R"(
    if a { nop } else if b { i32.add a, a, 1 }
    else { unreachable }
)") == R"(
    br.i32.eq.i $0, 0, L0
    nop
    br L2
L0(8):
    br.i32.eq.i $1, 0, L1
    i32.add.i $0, $0, 1
    br L2
L1(8):
    unreachable
L2(8):
    ret
)");
}

TEST_CASE("while loops test at the entry and at the bottom") {
  CHECK(body_of(R"(
    while i32.lt_u a, b { i32.add a, a, 1 }
    while 1 { if a { break } }
    while a and f64.lt p, q {
        if b { continue }
        f64.add p, p, p
    }
)") == R"(
    br.i32.le_u $1, $0, L1
L0(8):
    i32.add.i $0, $0, 1
    back.i32.lt_u $0, $1, L0
L1(8):
    br.i32.ne.i $0, 0, L2
    back L1
L2(8):
    br.i32.eq.i $0, 0, L5
    br.f64.nlt $6, $7, L5
L3(8):
    br.i32.ne.i $1, 0, L4
    f64.add $6, $6, $6
L4(8):
    br.i32.eq.i $0, 0, L5
    back.f64.lt $6, $7, L3
L5(8):
    ret
)");
}

TEST_CASE("loops with labels") {
  CHECK(body_of(R"(
outer: loop {
        while a {
            if b { break outer }
            if i32.eq a, 2 { continue outer }
            i32.sub a, a, 1
        }
        break
    }
)") == R"(
L0(8):
    br.i32.eq.i $0, 0, L2
L1(8):
    br.i32.ne.i $1, 0, L2
    back.i32.eq.i $0, 2, L0
    i32.add.i $0, $0, -1
    back.i32.ne.i $0, 0, L1
L2(8):
    ret
)");
}

TEST_CASE("counting loops end in one instruction") {
  CHECK(body_of(R"(
    for i: i32 in 0 .. a { nop }
    for i: i32 in 0 .. 10 { nop }
    for unsigned i: i64 in x .. 1 << 40 { nop }
    for a in b .. (i32.add b, 5) step 4 { if a { break } }
    for i: i32 in 0 .. a step b { nop }
)") == R"(
    i32.const $8, 0
    br.i32.le_s $0, $8, L1
L0(14):
    nop
    back.i32.inc.lt_s $8, $0, L0
L1(14):
    i32.const $9, 0
    i32.const $10, 10
L2(14):
    nop
    back.i32.inc.lt_s $9, $10, L2
    mov $11, $2
    i64.const.long $10, 1099511627776
    br.i64.le_u $10, $11, L4
L3(14):
    nop
    back.i64.inc.lt_u $11, $10, L3
L4(14):
    mov $0, $1
    i32.add.i $14, $1, 5
    mov $10, $14
    i32.const $12, 4
    br.i32.le_s $10, $0, L6
L5(14):
    br.i32.ne.i $0, 0, L6
    back.i32.add.lt_s $0, $12, $10, L5
L6(14):
    i32.const $13, 0
    br.i32.le_s $0, $13, L8
L7(14):
    nop
    back.i32.add.lt_s $13, $1, $0, L7
L8(14):
    ret
)");
}

TEST_CASE("switch: a table when dense, comparisons when not") {
  CHECK(body_of(R"(
    switch a {
        10 => { nop }
        11, 13 => { i32.add a, a, 1 }
        12 => { ret }
        else => { unreachable }
    }
    switch x { -1 => { nop } 0x1_0000_0000 => { ret } }
)") == R"(
    i32.add.i $8, $0, -10
    br_table $8, [L0, L1, L2, L1], L3
L0(8):
    nop
    br L4
L1(8):
    i32.add.i $0, $0, 1
    br L4
L2(8):
    ret
L3(8):
    unreachable
L4(8):
    br.i64.eq.i $2, -1, L5
    i64.const.long $8, 4294967296
    br.i64.eq $2, $8, L6
    br L7
L5(8):
    nop
    br L7
L6(8):
    ret
L7(8):
    ret
)");
}

TEST_CASE("branches go forward or back as the label stands") {
  CHECK(body_of(R"(
    br over
again:
    br.i32.gt_s a, 3, over
    br.f64.nlt p, q, again
    br.ifz b, over
    i32.sub b, b, 1
    back.i32.inc.lt_s a, b, again
    br again
over:
    br_table a, [again, done, again], done
done:
)") == R"(
    br L1
L0(8):
    br.i32.gt_s.i $0, 3, L1
    back.f64.nlt $6, $7, L0
    br.i32.eq.i $1, 0, L1
    i32.add.i $1, $1, -1
    back.i32.inc.lt_s $0, $1, L0
    back L0
L1(8):
    br_table $0, [L2, L3, L2], L3
L2(8):
    back L0
L3(8):
    ret
)");
}

TEST_CASE("the long way round when 16 bits do not hold a distance") {
  std::string nops;
  for (int i = 0; i < 70'000; ++i) nops += "nop\n";
  const mod::Module module = module_of(
      "func f(a: i32, b: i32, x: f64) {\n again:\n br.i32.lt_s a, b, done\n"
      "br.f64.lt x, 1.0, done\nbr.i32.eq a, 5, done\n" +
      nops + "br.i32.lt_s a, b, again\nfor i: i32 in 0 .. b {\n" + nops +
      "}\nbr again\ndone:\n}\n");
  CHECK(isa::op_of(module.code[0]) == isa::Op::br_i32_le_s);
  CHECK(isa::op_of(module.code[1]) == isa::Op::br);
  CHECK(isa::field_bc(module.code[1]) > 140'000);
}

TEST_CASE("labels that nobody uses are not recorded") {
  const mod::Module module = module_of("func f() {\nunused:\n nop\nalso: }\n");
  CHECK(module.labels.empty());
}

TEST_CASE("dead ends need no ret") {
  CHECK(body("func f(a: i32) -> i32 { if a { ret 1 } else { ret 2 } }") == R"(
    br.i32.eq.i $0, 0, L0
    i32.const $1, 1
    ret.1 $1
L0(1):
    i32.const $1, 2
    ret.1 $1
)");
  CHECK(body("func f() -> i32 { loop { nop } }") == R"(
L0(0):
    nop
    back L0
)");
  CHECK(body("func f(a: i32) -> i32 { switch a { 0 => { ret 1 } else => { unreachable } } }") ==
        R"(
    br.i32.eq.i $0, 0, L0
    br L1
L0(1):
    i32.const $1, 1
    ret.1 $1
L1(1):
    unreachable
)");
}
