// Any text gives a module or mistakes, in bounded time and space.
#include <random>

#include "tests/asm/support.hpp"
#include "tests/support/asm_program.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// Mistakes, or a module that verifies.
void survives(const std::string& source) {
  const text::Assembly assembly = assemble_files(source, {}, {});
  if (!assembly.ok()) return;
  const auto verified = verify::verify(assembly.module);
  if (verified.ok()) return;
  CAPTURE(source);
  CHECK(verified.error().text() == "");
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("a generated program verifies") { survives(asm_program(50)); }

TEST_CASE("programs with pieces taken out, doubled or swapped") {
  const std::string program = asm_program(2) + R"(
macro swap(a, b) { var t: i64; mov t, a; mov a, b; mov b, t }
table ops: funcref 2 = [work_0, null]
type binary = func(i32, i32) -> i32
global g: mut i64 = 5
func more(a: i32, x: i64, y: i64, s: f32) -> i64, i32 {
outer: for k: i64 in 0 .. 10 step 3 {
        swap!(x, y)
        switch a { 0 => { break outer } 1, 2, 3, 4 => { i32.store [nodes + a * 4], 1 } else => { } }
        if f32.lt s, 1.5 or not (i32.eqz a and i64.gt_s x, y) { continue }
        global.set g, (select x, y, a)
    }
    ret (global.get g), (i32.const 3)
}
)";
  std::mt19937 random(7);
  const auto pick = [&](usize limit) { return random() % limit; };
  const std::string letters = "(){}[],:;=+-*/.!\"'\n $#@0aZ_\\\xff\x80";
  for (int round = 0; round < 1500; ++round) {
    std::string text = program;
    for (usize change = pick(3) + 1; change > 0; --change) {
      const usize at = pick(text.size());
      const usize length = pick(30);
      switch (pick(4)) {
        case 0:
          text.erase(at, length);
          break;
        case 1:
          text.insert(pick(text.size()), text.substr(at, length));
          break;
        case 2:
          text[at] = letters[pick(letters.size())];
          break;
        default:
          text.resize(text.size() - pick(text.size() / 8));
          break;
      }
    }
    survives(text);
  }
}

TEST_CASE("deep nesting is a mistake, not a crash") {
  for (const char* open : {"(", "[", "{", "-", "~", "!", "sizeof(", "not ", "1 ? ", "/*", "[1]",
                           "if a {", "(i32.clz ", "if (", "while (not (", "loop {"}) {
    const std::string deep = repeated(open, 20'000);
    survives("const a = " + deep);
    survives("func f(a: i32) { " + deep);
    survives("func f(a: i32) { mov a, " + deep);
    survives("func f(a: i32) { if " + deep);
    survives("struct S { a: " + deep);
    survives("data d = i32 " + deep);
    survives(deep);
  }
  std::string chain;
  for (int i = 0; i < 5000; ++i) {
    chain += "const c" + std::to_string(i) + " = c" + std::to_string(i + 1) + "\n";
    chain += "struct S" + std::to_string(i) + " { a: [2]S" + std::to_string(i + 1) + " }\n";
  }
  survives(chain);
}

// In time that grows with their length: with its square, this would outlast any limit.
TEST_CASE("long lines of keywords") {
  for (const char* each : {"if (", "while (not (", "if {", "loop {", "if ", "   "}) {
    survives("const a = (" + repeated(each, 300'000));
    survives("const a = (\n" + repeated("   ", 100'000) + repeated(each, 100'000));
  }
}

TEST_CASE("sizes are checked before anything is made of them") {
  survives("data a = zero 0xffff_0000, u8 1\n");
  survives("data a = zero 0xfffe_0000, u8 1\n");
  survives("reserve a 1 << 62\n");
  survives("data passive a = zero 1 << 30\n");
  survives("struct S { a: [1 << 31]i64, b: [1 << 31]i64 }\nreserve a sizeof(S)\n");
  survives("table t: funcref 10_000_000\n");
  survives("table t: funcref 10_000_001\n");
  survives("memory 0xffff_0000\n");
  survives(
      "func f() { switch (i32.const 1) { -2147483648 => { } 2147483647 => { } 0 => { } 1 => "
      "{ } } }\n");
}

TEST_CASE("no more mistakes than asked for") {
  text::Options options;
  options.max_errors = 3;
  const auto assembly = assemble_files(repeated("x\n", 1000), {}, options);
  CHECK(assembly.diagnostics.size() == 3);
}

TEST_CASE("what mistakes show is fit to print") {
  const auto assembly = assemble_files("const a = \"\x1b[31m\" + \xc2\x9b\n", {}, {});
  REQUIRE(assembly.diagnostics.size() >= 1);
  for (const auto& found : assembly.diagnostics) {
    CHECK(found.line_text.find('\x1b') == std::string::npos);
    CHECK(text::format(found, false).find('\x1b') == std::string::npos);
  }
}
