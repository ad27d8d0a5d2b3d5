// A generated assembly program of any size that looks like what people write: comments, labels,
// branches, loops, calls, loads and stores, constants, several statements' worth of nesting.
#pragma once

#include <string>

#include "vm/base/types.hpp"

namespace atollvm::test {

// `functions` functions of 40 lines each.
inline std::string asm_program(u32 functions) {
  std::string text = R"(// A generated program.
memory 1 << 20
struct Node { key: i32, left: i32, right: i32, weight: f64 }
const limit = 1000
data table = i32 1, 2, 3, 4, 5, 6, 7, 8
reserve nodes sizeof(Node) * 64
func work_0(p: i32, n: i32, x: f64) -> i32 { ret n }
)";
  text.reserve(functions * usize{1100});
  for (u32 i = 1; i <= functions; ++i) {
    const std::string me = std::to_string(i);
    const std::string before = std::to_string(i - 1);
    text +=
        "\n/// Function number " + me + " walks over the nodes at p.\nfunc work_" + me +
        R"((p: i32, n: i32, x: f64) -> i32 {
    var sum: i32, index: i32 = 3, scale: f64 = 1.5
    // Look at each of them, at most n.
    for i: i32 in 0 .. n {
        i32.load index, [p + i * 4]
        i32.add sum, sum, index
        if i32.gt_s sum, limit {
            i32.sub sum, sum, limit / 2   // keep it small
            f64.mul scale, scale, 0.75
        } else {
            i32.xor sum, sum, 0x5a5a
        }
    }

    while i32.ne index, 0 and i32.lt_u index, sizeof(Node) * 64 {
        i32.load index, [nodes + Node.left]
        f64.load scale, [p + Node.weight]
        f64.add x, x, (f64.mul scale, x)
        i32.store [p + Node.key], (i32.add index, 1)
        if i32.eqz sum { break }
    }
again:
    i32.sub n, n, 1
    br.i32.lt_s n, 1, done
    i32.and index, sum, 7
    i32.load index, [table + index * 4]
    i32.add sum, sum, (i32.mul index, 3)
    br.i32.gt_s sum, 10_000, done
    i64.store [nodes + 16], (i64.extend_i32_s sum)
    call work_)" +
        before +
        "(p, (i32.shr_u n, 1), x) -> index\n    i32.rotl sum, sum, 5\n    br again\ndone:\n" +
        "    switch sum {\n        0 => { ret index }\n        1, 2 => { i32.add sum, sum, 1 }\n" +
        "    }\n    ret (i32.add sum, (i32.trunc_sat_f64_s x))\n}\n";
  }
  text += "export func main() -> i32 { ret (call work_" + std::to_string(functions) +
          "(nodes, 3, 0.5)) }\n";
  return text;
}

}  // namespace atollvm::test
