// Which form of an instruction is chosen, and where temporaries go.
#include "tests/asm/support.hpp"

using namespace atollvm::test;

TEST_CASE("constants take the immediate form when they fit") {
  CHECK(body_of(R"(
    i32.add a, b, 5
    i32.add a, 5, b
    i32.sub a, b, 5
    i32.sub a, 5, b
    i32.mul a, b, -32768
    i32.mul a, b, 32768
    i32.and a, b, 0xffff_ffff
    i64.and x, y, 0xffff_ffff
    i32.rotr a, b, 8
    i64.rotr x, y, 8
    i64.shr_u x, y, 63
    i32.div_s a, b, 3
)") == R"(
    i32.add.i $0, $1, 5
    i32.add.i $0, $1, 5
    i32.add.i $0, $1, -5
    i32.const $8, 5
    i32.sub $0, $8, $1
    i32.mul.i $0, $1, -32768
    i32.const $8, 32768
    i32.mul $0, $1, $8
    i32.and.i $0, $1, -1
    i64.const.long $8, 4294967295
    i64.and $2, $3, $8
    i32.rotl.i $0, $1, 24
    i64.rotl.i $2, $3, 56
    i64.shr_u.i $2, $3, 63
    i32.const $8, 3
    i32.div_s $0, $1, $8
    ret
)");
}

TEST_CASE("all relations of comparisons") {
  CHECK(body_of(R"(
    i32.gt_s a, a, b
    i32.ge_u a, a, b
    i32.gt_s a, a, 7
    i32.lt_s a, 7, b
    i64.le_u a, x, y
    i64.ge_s a, x, -1
    f64.gt a, p, q
    f64.ge a, p, 2
    f32.lt a, s, t
    i64.eqz a, x
)") == R"(
    i32.lt_s $0, $1, $0
    i32.le_u $0, $1, $0
    i32.gt_s.i $0, $0, 7
    i32.gt_s.i $0, $1, 7
    i64.le_u $0, $2, $3
    i64.ge_s.i $0, $2, -1
    f64.lt $0, $7, $6
    f64.const $8, 2.0
    f64.le $0, $8, $6
    f32.lt $0, $4, $5
    i64.eqz $0, $2
    ret
)");
}

TEST_CASE("folded instructions share temporaries like a stack") {
  CHECK(body_of(R"(
    i32.add a, (i32.mul a, b), (i32.mul (i32.add a, 1), (i32.sub b, 1))
    i32.add a, (i32.mul a, b), 3
    mov a, (i32.add a, b)
    mov a, b
    mov a, a
    mov x, -1
    i32.reinterpret_f32 a, s
    f64.reinterpret_i64 p, (i64.mul x, y)
    select a, a, (i32.add b, 1), (i32.eq a, b)
)") == R"(
    i32.mul $8, $0, $1
    i32.add.i $9, $0, 1
    i32.add.i $10, $1, -1
    i32.mul $9, $9, $10
    i32.add $0, $8, $9
    i32.mul $8, $0, $1
    i32.add.i $0, $8, 3
    i32.add $0, $0, $1
    mov $0, $1
    i64.const $2, -1
    mov $0, $4
    i64.mul $8, $2, $3
    mov $6, $8
    i32.add.i $8, $1, 1
    i32.eq $9, $0, $1
    select $0, $0, $8, $9
    ret
)");
}

TEST_CASE("memory operands take the shortest form") {
  CHECK(body_of(R"(
    i32.load a, [b]
    i32.load a, [b + 65535]
    i32.load a, [b + 65536]
    i32.load a, [b - 4]
    i32.load a, [a + b * 4]
    i32.load a, [b * 4 + a]
    i32.load a, [a + b * 4 + 8 - 4]
    i64.load32_s x, [a + b * 4]
    i32.load8_u a, [a + b]
    i32.load a, [a + b]
    i32.load a, [100]
    i32.load a, [(i32.mul b, 12) + 4]
    i32.load a, other[b + 4]
    i32.load a, other[a + b * 4]
    i32.store [a], b
    i32.store [a + 4], 7
    i64.store [a + b * 8], x
    f64.store [a + 0x10000], 1.5
    i32.store8 other[a], (i32.load8_s [b])
)") == R"(
    i32.load $0, $1, 0
    i32.load $0, $1, 65535
    i32.load.long $0, 0, $1, 65536
    i32.add.i $8, $1, -4
    i32.load $0, $8, 0
    i32.load.x $0, $0, $1
    i32.load.x $0, $0, $1
    i32.add.i $8, $0, 4
    i32.load.x $0, $8, $1
    i64.load32_s.x $2, $0, $1
    i32.load8_u.x $0, $0, $1
    i32.add $8, $0, $1
    i32.load $0, $8, 0
    i32.const $8, 100
    i32.load $0, $8, 0
    i32.mul.i $8, $1, 12
    i32.load $0, $8, 4
    i32.load.long $0, other, $1, 4
    i32.shl.i $8, $1, 2
    i32.add $9, $0, $8
    i32.load.long $0, other, $9, 0
    i32.store $0, 0, $1
    i32.const $8, 7
    i32.store $0, 4, $8
    i64.store.x $0, $1, $2
    f64.const $8, 1.5
    f64.store.long 0, $0, 65536, $8
    i32.load8_s $8, $1, 0
    i32.store8.long other, $0, 0, $8
    ret
)");
}

TEST_CASE("constants of every type") {
  CHECK(body_of(R"(
    i32.const a, 0xffff_ffff
    i32.const a, 'a' + 1
    i64.const x, 0x8000_0000_0000_0000
    i64.const x, -0x8000_0000
    f32.const s, 0.1
    f64.const p, 1e-9
    f32.const s, -inf
    f64.const q, nan
    f32.const t, -nan:0x200000
    f64.const p, 0x1.8p3
    f64.add p, p, 3
)") == R"(
    i32.const $0, -1
    i32.const $0, 98
    i64.const.long $2, -9223372036854775808
    i64.const $2, -2147483648
    f32.const $4, 0.1
    f64.const $6, 1e-09
    f32.const $4, -inf
    f64.const $7, nan
    f32.const $5, -nan:0x200000
    f64.const $6, 12.0
    f64.const $8, 3.0
    f64.add $6, $6, $8
    ret
)");
}

TEST_CASE("an f32 constant is rounded once") {
  // Just above the middle of two floats: rounding to double first would lose the difference.
  CHECK(body_of("f32.const s, 1.00000005960464477540") == R"(
    f32.const $4, 1.0000001
    ret
)");
}

TEST_CASE("every name of the instruction set can be written") {
  CHECK(body_of(R"(
    i32.add.i a, b, 70000
    i32.load.long a, [b + 4]
    i64.const.long x, 5
    f64.acc_add p, q, 2.0
    f64.mul_add p, q, p, q
    mov.if a, b, (i64.eqz x)
    memory.size a
    memory.grow a, other, 1
    memory.copy other, other, a, b, 3
    memory.fill a, 0, 10
    nop
    unreachable
)") == R"(
    i32.const $8, 70000
    i32.add $0, $1, $8
    i32.load $0, $1, 4
    i64.const $2, 5
    f64.const $8, 2.0
    f64.acc_add $6, $7, $8
    f64.mul_add $6, $7, $6, $7
    i64.eqz $8, $2
    mov.if $0, $1, $8
    memory.size $0, 0
    i32.const $8, 1
    memory.grow $0, other, $8
    i32.const $8, 3
    memory.copy other, other, $0, $1, $8
    i32.const $8, 0
    i32.const $9, 10
    memory.fill 0, $0, $8, $9
    nop
    unreachable
)");
}

TEST_CASE("registers begin as zero; a first value of 0 costs nothing before any label") {
  CHECK(body_of(R"(
    var c: i32, d: i64 = 0, e: i32 = 1
    again:
    var g: i32 = 0
    br.if c, again
)") == R"(
    i32.const $10, 1
L0(12):
    i32.const $11, 0
    back.i32.ne.i $8, 0, L0
    ret
)");
}

TEST_CASE("loads and stores that step their address") {
  CHECK(body_of(R"(
    i32.load.step a, b, 4
    i64.load8_u.step x, b, -(1 << 15)
    i32.store.step b, 4, a
    f64.store.step b, -8, 1.5
)") == R"(
    i32.load.step $0, $1, 4
    i64.load8_u.step $2, $1, -32768
    i32.store.step $1, 4, $0
    f64.const $8, 1.5
    f64.store.step $1, -8, $8
    ret
)");
}

TEST_CASE("branches on memory, written and found") {
  CHECK(body_of(R"(
    again:
    br.load8.z [b + 3], out
    back.load32.nz [a], again
    br.load32.nz [a + 70000], again
    br.load8.nz [a + b], out
    if i32.ne (i32.load8_u [b + 65535]), 0 { br again }
    while i32.eqz (i32.load [a]) { nop }
    br.if (i32.load16_u [a]), again
    i32.load8_u b, [a]
    br.if b, again
    switch (i32.load8_u [a]) { 0 => { nop } 100 => { nop } }
    out:
)") == R"(
L0(8):
    br.load8.z $1, 3, L5
    back.load32.nz $0, 0, L0
    i32.load.long $8, 0, $0, 70000
    back.i32.ne.i $8, 0, L0
    i32.load8_u.x $8, $0, $1
    br.i32.ne.i $8, 0, L5
    back.load8.nz $1, 65535, L0
    br.load32.nz $0, 0, L2
L1(8):
    nop
    back.load32.z $0, 0, L1
L2(8):
    i32.load16_u $8, $0, 0
    back.i32.ne.i $8, 0, L0
    i32.load8_u $1, $0, 0
    back.i32.ne.i $1, 0, L0
    i32.load8_u $8, $0, 0
    br.i32.eq.i $8, 0, L3
    br.i32.eq.i $8, 100, L4
    br L5
L3(8):
    nop
    br L5
L4(8):
    nop
L5(8):
    ret
)");
}

TEST_CASE("scans, written and found") {
  CHECK(body_of(R"(
    var c: i32 = 3
    up:
    i32.load.step a, b, 4
    br.i32.lt_s a, c, up
    down:
    i64.load.step x, b, -8
    br.i64.gt_u y, x, down
    still:
    i32.add c, c, 1
    i32.load.step a, b, 1
    br.i32.le_s c, a, still
    i32.load.step a, b, 1
    between:
    br.i32.eq a, c, between
    i32.load.step a, b, 1
    br.i32.eq a, 5, up
    i32.load.step a, b, 1
    br.i32.eq a, b, up
    back.i64.load.step.ne x, c, 8, y, up
)") == R"(
    i32.const $8, 3
L0(9):
    back.i32.load.step.lt_s $0, $1, 4, $8, L0
L1(9):
    back.i64.load.step.lt_u $2, $1, -8, $3, L1
L2(9):
    i32.add.i $8, $8, 1
    back.i32.load.step.ge_s $0, $1, 1, $8, L2
    i32.load.step $0, $1, 1
L3(9):
    back.i32.eq $0, $8, L3
    i32.load.step $0, $1, 1
    back.i32.eq.i $0, 5, L0
    i32.load.step $0, $1, 1
    back.i32.eq $0, $1, L0
    back.i64.load.step.ne $2, $8, 8, $3, L0
    ret
)");
}
