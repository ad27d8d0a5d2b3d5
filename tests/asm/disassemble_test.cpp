// Modules to text and back to the very same bytes.
#include "assembler/text/disassemble.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <random>

#include "assembler/text/floats.hpp"
#include "assembler/text/quote.hpp"
#include "tests/support/build.hpp"
#include "tests/support/reassemble.hpp"
#include "tests/support/sample_modules.hpp"
#include "vm/module/codec.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

void comes_back(const mod::Module& module) {
  for (const bool annotate : {false, true}) {
    const std::string source = text::disassemble(module, {.annotate = annotate});
    CAPTURE(source);
    const text::Assembly again = reassemble(source);
    CHECK(mistakes(again) == "");
    CHECK((mod::write(again.module) == mod::write(module)));
    CHECK(text::disassemble(again.module, {.annotate = annotate}) == source);
  }
}

// Some function code around `op` words, whatever they are.
mod::Module with_words(std::initializer_list<isa::Word> words) {
  ModuleBuilder m;
  CodeBuilder f(m.type({}, {}), 0, 1);
  for (isa::Word word : words) f.raw(word);
  m.add(f);
  return std::move(m.module);
}

std::string body_of(const mod::Module& module) {
  const std::string source = text::disassemble(module);
  const usize begin = source.find("{\n") + 2;
  return source.substr(begin, source.rfind('}') - begin);
}

}  // namespace

TEST_CASE("every operation comes back") { comes_back(every_op()); }

TEST_CASE("every section comes back") { comes_back(every_section()); }

TEST_CASE("a large module comes back") { comes_back(many_functions(100, 3)); }

TEST_CASE("an empty module") {
  comes_back(mod::Module{});
  CHECK(text::disassemble(mod::Module{}) == "raw module \"\"\n");
}

TEST_CASE("a function as people see it") {
  ModuleBuilder m;
  m.module.name = "sample";
  const u32 type = m.type({ValType::i32}, {ValType::i32});
  m.import_function("env", "log", type);
  CodeBuilder f(type, 1, 6);
  const Label again = f.label(), done = f.label(2);
  f.emit(Op::mov, {5, 0}).bind(again);
  f.emit(Op::br_i32_eq_i, {0, -1, done});
  f.emit(Op::i32_load, {0, 0, 65535});
  f.emit(Op::f64_const, {4, std::bit_cast<u64>(0.1)});
  f.emit(Op::back, {again});
  f.bind(done).emit(Op::call_import, {5, 0}).emit(Op::call, {5, 1}).emit(Op::ret_1, {5});
  m.export_function("twice", m.add(f));
  m.module.names = {{mod::NameSpace::function, 0, 0, "log"},
                    {mod::NameSpace::function, 1, 0, "not a name"},
                    {mod::NameSpace::local, 1, 0, "n"}};
  m.module.files = {"a.atoll"};
  m.module.lines = {{0, 0, 3, 1}, {1, 0, 4, 9}};
  const mod::Module& module = m.module;
  CHECK(text::disassemble(module, {.annotate = true}) == R"(raw module "sample"
raw type 0 = func(i32) -> i32
raw import func 0 log(i32) -> i32 from "env" "log"
raw export func "not a name" "twice"

raw func 1 "not a name"(i32) -> i32 locals 1 frame 6 {
    name $0 n
    line "a.atoll" 3 1
    mov $5, $0                              // 0  a.atoll:3:1
    line 4 9
L0(1):
    br.i32.eq.i $0, -1, L1                  // 1  a.atoll:4:9
    i32.load $0, $0, 65535                  // 2  a.atoll:4:9
    f64.const $4, 0.1                       // 3  a.atoll:4:9
    back L0                                 // 5  a.atoll:4:9
L1(2):
    call.import $5, log                     // 6  a.atoll:4:9
    call $5, "not a name"                   // 7  a.atoll:4:9
    ret.1 $5                                // 8  a.atoll:4:9
}
)");
  comes_back(module);
}

TEST_CASE("words that are no instruction stay words") {
  const isa::Word unknown = 0xffff'ffff'ffff'ffff;
  CHECK(body_of(with_words({unknown})) == "    word 0xffffffffffffffff\n");
  // A bit that must be zero.
  CHECK(body_of(with_words({isa::encode(Op::ret, 0, 0, 1)})) == "    word 0x100000000015f\n");
  // A branch to nowhere, a table without targets, an instruction cut off.
  CHECK(body_of(with_words({isa::encode_wide(Op::br, 0, 7)})) == "    word 0x7000000f4\n");
  CHECK(body_of(with_words({isa::encode_wide(Op::br_table, 0, 0)})) == "    word 0x121\n");
  CHECK(body_of(with_words({isa::encode(Op::f64_const, 1)})) == "    word 0x10008\n");
  CHECK(body_of(with_words({isa::encode_wide(Op::br_table, 0, 0xffff'ffff)})) ==
        "    word 0xffffffff00000121\n");
  for (isa::Word word : {unknown, isa::encode(Op::ret, 0, 0, 1), isa::encode_wide(Op::br, 0, 7),
                         isa::encode_wide(Op::back, 0, 7), isa::encode_wide(Op::br_table, 0, 1)}) {
    comes_back(with_words({word, isa::encode(Op::ret)}));
  }
  // The copy of the window must be that of the first word.
  comes_back(with_words({isa::encode(Op::call_ref, 2, 1), isa::encode_ext(0, 3, 0)}));
}

TEST_CASE("labels and lines where no instruction begins") {
  mod::Module module = with_words({isa::encode(Op::f64_const), 0, isa::encode(Op::ret)});
  module.functions[0].label_count = 2;
  module.labels = {{1, 0}, {3, 4}};
  module.files = {"x", "y"};
  module.lines = {{1, 0, 5, 6}, {2, 1, 7, 8}, {9, 1, 9, 9}};
  comes_back(module);
}

TEST_CASE("names: none, several, strange, where nothing is") {
  ModuleBuilder m;
  const u32 shape = m.type({}, {});
  for (u32 i = 0; i < 6; ++i) {
    CodeBuilder f(shape, 0, 3);
    for (u32 k = 0; k < 6; ++k) f.emit(Op::call, {1, k});
    m.add(f.emit(Op::ret));
  }
  using enum mod::NameSpace;
  m.module.names = {{function, 0, 0, "same"},
                    {function, 1, 0, "same"},
                    {function, 2, 0, "func"},
                    {function, 3, 0, "nan"},
                    {function, 4, 0, "\"\xc3\xa9\n\xe2\x80\xae"},
                    {function, 99, 0, "nobody"},
                    {type, 0, 0, "func"},
                    {local, 0, 0, "inf"},
                    {local, 0, 2, "a b"},
                    {local, 77, 0, "nobody"}};
  comes_back(m.module);
}

TEST_CASE("types: repeated, named, used by their first") {
  ModuleBuilder m;
  m.module.types = {{{ValType::i32}, {}}, {{}, {}}, {{}, {}}, {{ValType::i32}, {}}};
  m.module.names = {{mod::NameSpace::type, 2, 0, "second"}, {mod::NameSpace::type, 3, 0, "second"}};
  for (u32 type : {2, 1, 0, 3}) m.add(CodeBuilder(type, 1, 1).emit(Op::ret));
  m.import_function("a", "b", 3);
  comes_back(m.module);
}

TEST_CASE("files: repeated, unused, in another order") {
  mod::Module module =
      with_words({isa::encode(Op::nop), isa::encode(Op::nop), isa::encode(Op::ret)});
  for (const std::vector<std::string>& files :
       {std::vector<std::string>{"a", "b"}, {"b", "a", "unused"}, {"a", "a"}, {"a", "a", "b"}}) {
    module.files = files;
    module.lines = {{0, 1, 1, 1}, {1, 0, 2, 0}, {2, 1, 0xffff'ffff, 0xffff'ffff}};
    comes_back(module);
  }
}

TEST_CASE("data: any bytes, of any length") {
  std::mt19937 random(7);
  ModuleBuilder m;
  for (usize length : {0, 1, 63, 64, 65, 128, 1000}) {
    std::string bytes;
    for (usize i = 0; i < length; ++i) bytes += static_cast<char>(random());
    m.data(bytes);
    for (char& byte : bytes) byte = static_cast<char>('\n' + (byte & 3) * 28);
    m.data(bytes);
  }
  std::string letters;
  for (u32 i = 0; i < 99; ++i) letters += "a\xf0\x9f\x98\x80\xe2\x82\xac\xc2\xa0";
  m.data(letters);
  m.data(letters + "\xe2\x82");
  m.module.customs = {{"", ""}, {"x", std::string("\0\x01", 2)}, {"x", "again"}};
  comes_back(m.module);
}

TEST_CASE("constants: any bits") {
  ModuleBuilder m;
  const std::vector<u64> numbers = {0,
                                    1,
                                    0x7fff'ffff,
                                    0x8000'0000,
                                    0xffff'ffff,
                                    0x7fc0'0000,
                                    0x7f80'0001,
                                    0xff80'0000,
                                    0xffc0'0000,
                                    0xffff'ffff'ffff'ffff,
                                    0x8000'0000'0000'0000,
                                    0x7ff0'0000'0000'0001,
                                    0x7ff8'0000'0000'0000,
                                    0xfff0'0000'0000'0000,
                                    0x3ff0'0000'0000'0000};
  CodeBuilder f(m.type({}, {}), 0, 1);
  for (u64 number : numbers) {
    using enum mod::ConstOp::Kind;
    m.global(ValType::i32, false, {i32_const, number & 0xffff'ffff});
    m.global(ValType::i64, false, {i64_const, number});
    m.global(ValType::f32, false, {f32_const, number & 0xffff'ffff});
    m.global(ValType::f64, false, {f64_const, number});
    f.emit(Op::i32_const, {0, number}).emit(Op::i64_const, {0, number});
    f.emit(Op::i64_const_long, {0, number}).emit(Op::f32_const, {0, number});
    f.emit(Op::f64_const, {0, number}).emit(Op::i32_add_i, {0, 0, number});
    f.emit(Op::i32_load_long, {0, 0, 0, number});
  }
  m.add(f.emit(Op::ret));
  comes_back(m.module);
}

TEST_CASE("floats keep their bits") {
  std::mt19937_64 random(11);
  for (u32 i = 0; i < 200'000; ++i) {
    const u64 bits = random();
    const auto magnitude64 = bits & ~(u64{1} << 63);
    const auto magnitude32 = static_cast<u32>(bits) & ~(1u << 31);
    const std::string long_text = text::f64_text(magnitude64);
    const std::string short_text = text::f32_text(magnitude32);
    REQUIRE_MESSAGE(text::f64_bits(long_text) == magnitude64, long_text);
    REQUIRE_MESSAGE(text::f32_bits(short_text) == magnitude32, short_text);
  }
  // Subnormals.
  for (u64 bits = 1; bits < (u64{1} << 52); bits *= 2) {
    REQUIRE(text::f64_bits(text::f64_text(bits)) == bits);
    REQUIRE(text::f64_bits(text::f64_text(bits - 1)) == bits - 1);
  }
  for (u32 bits = 1; bits < (1u << 23); bits *= 2) {
    REQUIRE(text::f32_bits(text::f32_text(bits)) == bits);
  }
}

TEST_CASE("float literals") {
  CHECK(text::f32_text(0x8000'0000) == "-0.0");
  CHECK(text::f32_text(0xff80'0000) == "-inf");
  CHECK(text::f32_text(0x7fa0'0000) == "nan:0x200000");
  CHECK(text::f64_text(std::bit_cast<u64>(1e300)) == "1e+300");
  CHECK(text::f32_bits("1_0.5e0") == std::bit_cast<u32>(10.5f));
  CHECK(text::f32_bits("0x1.8p3") == std::bit_cast<u32>(12.0f));
  CHECK(text::f32_bits("1e-60") == 0u);
  CHECK(text::f32_bits("0x1p-200") == 0u);
  // Halfway between two floats as f64, but not in truth: rounded once.
  CHECK(text::f32_bits("1.000000059604644775390626") == 0x3f80'0001u);
  for (const char* wrong : {"", "1e60", "0x1p200", "nan:0x0", "nan:0x800000", "abc", "1.0f"}) {
    CHECK_MESSAGE(!text::f32_bits(wrong), wrong);
  }
  CHECK(!text::f64_bits("1e400"));
}

TEST_CASE("quoted bytes") {
  CHECK(text::quote("a\"\\\n\t\r") == R"("a\"\\\n\t\r")");
  CHECK(text::quote(std::string_view("\0\x7f", 2)) == R"("\x00\x7f")");
  CHECK(text::quote("\xc3\xa9\xf0\x9f\x98\x80") == "\"\xc3\xa9\xf0\x9f\x98\x80\"");
  CHECK(text::quote("\xc3") == R"("\xc3")");
  CHECK(text::quote("\xc0\x80\xed\xa0\x80") == R"("\xc0\x80\xed\xa0\x80")");
  CHECK(text::quote("\xe2\x80\xae\xc2\x85") == R"("\u{202e}\u{85}")");
  CHECK(text::is_plain_name("_a1"));
  for (const char* name : {"", "1a", "a.b", "a b", "inf", "nan", "\xc3\xa9"}) {
    CHECK_MESSAGE(!text::is_plain_name(name), name);
  }
}
