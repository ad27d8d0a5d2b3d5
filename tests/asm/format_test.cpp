// The formatter: golden texts, and properties over all sources there are.
#include "assembler/text/format.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "assembler/text/disassemble.hpp"
#include "stdlib/host/host.hpp"
#include "tests/support/sample_modules.hpp"
#include "vm/module/codec.hpp"

using namespace atollvm;

namespace {

std::string formatted(const std::string& source) {
  const text::Formatted made = text::format_source({"test.atoll", source});
  std::string mistakes;
  for (const auto& diagnostic : made.diagnostics) mistakes += text::format(diagnostic, false);
  REQUIRE(mistakes == "");
  return made.text;
}

void becomes(const std::string& source, const std::string& wanted) {
  CHECK(formatted(source) == wanted);
  CHECK(formatted(wanted) == wanted);
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The module without what depends on lines and columns, and how many mistakes there were.
std::pair<std::string, usize> meaning(const std::string& name, const std::string& source) {
  const auto resolve = [](std::string_view from, std::string_view wanted,
                          bool is_library) -> std::optional<text::Source> {
    if (is_library) {
      const auto found = host::library(wanted);
      if (!found) return std::nullopt;
      return text::Source{std::string(wanted), std::string(*found)};
    }
    const auto path = std::filesystem::path(from).parent_path() / wanted;
    auto found = read_file(path);
    if (!found) return std::nullopt;
    return text::Source{path.string(), std::move(*found)};
  };
  text::Options options;
  options.line_table = false;
  const text::Assembly made = text::assemble({name, source}, resolve, options);
  return {made.ok() ? mod::write(made.module) : "", made.diagnostics.size()};
}

std::vector<std::filesystem::path> all_sources() {
  std::vector<std::filesystem::path> found;
  for (const char* folder : {"samples", "tests", "stdlib"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             std::filesystem::path(ATOLL_SOURCE_DIR) / folder)) {
      if (entry.path().extension() == ".atoll") found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

TEST_CASE("spaces") {
  becomes("func   f( a:i32 ,b : f64 )->i32{\nret   a\n}\n",
          "func f(a: i32, b: f64) -> i32 {\n    ret a\n}\n");
  becomes("const a=1+2*-3<<(4-5)\nconst b = a?1:2\nconst c=a ? b?1:2 : 3\n",
          "const a = 1 + 2 * -3 << (4 - 5)\nconst b = a ? 1 : 2\nconst c = a ? b ? 1 : 2 : 3\n");
  becomes("data t align 8=i32 -1 , -2,x-1\n", "data t align 8 = i32 -1, -2, x - 1\n");
  becomes("func f() {\ni32.load x,[ p+i*4 ]\ni32.store8 scratch[p+8],( i32.mul a,3 )\n}\n",
          "func f() {\n    i32.load x, [p + i * 4]\n    i32.store8 scratch[p + 8], (i32.mul a, "
          "3)\n}\n");
  becomes(
      "func f() {\nswap!( x,y )\nret -1\nfor i:i32 in 0..n step 4{ nop;nop }\n}\n",
      "func f() {\n    swap!(x, y)\n    ret -1\n    for i: i32 in 0 .. n step 4 { nop; nop }\n}\n");
  becomes("struct B{x:[4]u8,y:[2][3]f32}\n", "struct B { x: [4]u8, y: [2][3]f32 }\n");
  becomes("const x = - -1 + ~ 2 - !3\n", "const x = - -1 + ~2 - !3\n");
  becomes("call.table ops , binary,i (a,b)->r\n", "call.table ops, binary, i (a, b) -> r\n");
}

TEST_CASE("lines and indentation") {
  becomes("\n\n\nmodule a\n\n\n\nuse b   \n\n\n", "module a\n\nuse b\n");
  becomes("", "");
  becomes("func f() {\n\nif x {\n  nop\n\n}\nelse {\nagain:\n br again\n}\n\n}",
          "func f() {\n    if x {\n        nop\n    }\n    else {\n    again:\n        br again\n  "
          "  }\n}\n");
  becomes("raw func f() locals 0 frame 0 {\n  L1(2) :\nL2(3): nop\n}\n",
          "raw func f() locals 0 frame 0 {\nL1(2):\n    L2(3): nop\n}\n");
  becomes("data x = i32 1,\n2,\n3\ndata y = 1\n", "data x = i32 1,\n    2,\n    3\ndata y = 1\n");
  becomes("enum E {\na,\nb = 5,\nc\n}\n", "enum E {\n    a,\n    b = 5,\n    c\n}\n");
  becomes("func f(\na: i32,\nb: i32\n) {\ncall g(a,\nb)\n}\n",
          "func f(\n    a: i32,\n    b: i32\n) {\n    call g(a,\n        b)\n}\n");
  becomes("switch x {\n1,2=>{ nop }\nelse => {\nnop\n}\n}\n",
          "switch x {\n    1, 2 => { nop }\n    else => {\n        nop\n    }\n}\n");
  becomes(
      "func f() {\nif a and\nb {\nnop\n} else {\nnop\n}\n}\n",
      "func f() {\n    if a and\n        b {\n        nop\n    } else {\n        nop\n    }\n}\n");
  becomes("nop\r\nnop\t\r\n", "nop\nnop\n");
}

TEST_CASE("comments") {
  becomes(
      "//a\n/// doc  \nfunc f() {//b\n  // c\nnop   // d\nlonger a, b // e\n\nnop // f\n// "
      "g\n}\n// end",
      "//a\n/// doc\nfunc f() {  //b\n    // c\n    nop          // d\n    longer a, b  // e\n\n"
      "    nop  // f\n    // g\n}\n// end\n");
  becomes("/* a\n   b */ nop/*c*/;/* d */ nop /* e /* f */ */\n",
          "/* a\n   b */ nop /*c*/; /* d */ nop /* e /* f */ */\n");
  becomes("data x = 1, // one\n// two\n2\n", "data x = 1,  // one\n    // two\n    2\n");
  becomes("a \"//\" 'x' // \xc3\xa9\nb // c\n", "a \"//\" 'x'  // \xc3\xa9\nb           // c\n");
}

TEST_CASE("sources with lexical mistakes are refused") {
  for (const char* wrong : {"\"abc\n", "/* x", "func f() {", "0x", "\xff", "}", "@"}) {
    const text::Formatted made = text::format_source({"test.atoll", wrong});
    CHECK_MESSAGE(!made.ok(), wrong);
    CHECK(made.text == "");
  }
  CHECK(text::format_source({"x.atoll", "no such item ] )"}).ok());
}

TEST_CASE("all sources: stable, and the meaning stays") {
  const auto sources = all_sources();
  CHECK(!sources.empty());
  usize assembled = 0;
  for (const auto& path : sources) {
    CAPTURE(path.string());
    const std::string source = *read_file(path);
    const text::Formatted once = text::format_source({path.string(), source});
    if (!once.ok()) continue;  // tests of mistakes
    CHECK(text::format_source({path.string(), once.text}).text == once.text);
    const auto before = meaning(path.string(), source);
    CHECK((meaning(path.string(), once.text) == before));
    assembled += before.second == 0;
  }
  CHECK(assembled > 0);
}

TEST_CASE("what the disassembler prints is formatted") {
  for (const mod::Module& module : {test::every_section(), test::every_op()}) {
    const std::string source = text::disassemble(module);
    CHECK(formatted(source) == source);
  }
}

TEST_CASE("any sequence of tokens: stable, and its tokens stay") {
  static constexpr const char* parts[] = {
      "a",  "i32.add", "func", "if",     "{",         "}",       "(",   ")",     "[",   "]",
      ",",  ":",       ";",    "\n",     "\n",        "\n",      "->",  "..",    "=>",  "=",
      "?",  "!",       "~",    "+",      "-",         "-",       "*",   "/",     "<<",  ">",
      ">=", "==",      "!=",   "&&",     "&",         "12",      "$3",  "\"s\"", "'c'", "1.5",
      " ",  " ",       "\t",   "// c\n", "/* d\n */", "/* e */", "not", "L1(2):"};
  std::mt19937 random(5);
  for (u32 round = 0; round < 20'000; ++round) {
    std::string source;
    for (u32 i = random() % 24; i > 0; --i) {
      source += parts[random() % std::size(parts)];
      if (random() % 2 != 0) source += ' ';
    }
    const text::Formatted once = text::format_source({"x", source});
    if (!once.ok()) continue;
    const text::Formatted twice = text::format_source({"x", once.text});
    REQUIRE_MESSAGE(twice.ok(), source);
    REQUIRE_MESSAGE(twice.text == once.text, source);
    // All that is not space is still there.
    std::string before = source, after = once.text;
    for (std::string* text : {&before, &after}) {
      std::erase_if(*text, [](char c) { return c == ' ' || c == '\n' || c == '\t'; });
    }
    REQUIRE_MESSAGE(before == after, source);
  }
}
