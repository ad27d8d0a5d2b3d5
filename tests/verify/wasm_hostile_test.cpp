// WebAssembly functions that are made to need much: what comes out, and the memory on the way, is
// bounded by what goes in.
#include "assembler/wasm/wasm.hpp"
#include "tests/support/process.hpp"
#include "tests/support/wasm_bytes.hpp"
#include "tests/verify/heap.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

constexpr u8 i32_type = 0x7f;

ByteString repeated(usize count, const ByteString& piece) {
  ByteString bytes;
  bytes.reserve(count * piece.size());
  for (usize i = 0; i < count; ++i) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

const ByteString no_locals = {0};

// A module of these types and one function of type 0; `code` is less its last end.
ByteString module_of(std::initializer_list<ByteString> types, const ByteString& locals,
                     const ByteString& code) {
  WasmBytes module;
  module.section(1, list(types)).section(3, list({leb(0)}));
  module.section(10, list({sized(locals + code + ByteString{0x0b})}));
  return module.bytes;
}

// Translates and verifies within 64 MiB + 40 times the input, to at most this many words.
verify::VerifiedModule translated(const ByteString& bytes, usize words) {
  const usize before = heap.now;
  heap.peak = heap.now;
  auto module = wasm::translate(bytes);
  REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
  CHECK(module->code.size() <= words);
  auto verified = verify::verify(*std::move(module));
  REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
  CHECK(heap.peak - before <= (usize{64} << 20) + 40 * bytes.size());
  return *std::move(verified);
}

std::vector<u64> results_of(const ByteString& bytes, usize words,
                            const std::vector<u64>& arguments) {
  runtime::Options options;
  options.limits.stack_bytes = 4 << 20;
  const auto process = process_of(runtime::Program::make(translated(bytes, words)), options);
  return call(*process, 0, arguments);
}

void check_limit(const ByteString& bytes) {
  const auto module = wasm::translate(bytes);
  REQUIRE(!module.ok());
  CHECK(module.error().code == base::ErrorCode::limit);
}

}  // namespace

TEST_CASE("many locals") {
  const auto with = [](u32 first, u32 second) {
    const ByteString locals =
        ByteString{2} + leb(first) + ByteString{i32_type} + leb(second) + ByteString{i32_type};
    return module_of({func_type({i32_type}, {i32_type})}, locals,
                     ByteString{0x20, 0, 0x22} + leb(50'000) + ByteString{0x20} + leb(49'999) +
                         ByteString{0x6a});
  };
  CHECK(results_of(with(10, 49'990), 100, {7}) == std::vector<u64>{7});
  check_limit(with(60'000, 6'000));
  check_limit(with(0xffff'0000, 0xfffe));
}

TEST_CASE("a br_table of a million entries") {
  // block block (get 0, br_table 0 1 0 1 ... 0) end, return 1 end, return 2
  const usize count = 1'000'000;
  const ByteString bytes = module_of({func_type({i32_type}, {i32_type})}, no_locals,
                                     ByteString{0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e} +
                                         leb(count) + repeated(count / 2, {0, 1}) +
                                         ByteString{0, 0x0b, 0x41, 1, 0x0f, 0x0b, 0x41, 2});
  CHECK(results_of(bytes, count, {999'999}) == std::vector<u64>{2});
  CHECK(results_of(bytes, count, {999'998}) == std::vector<u64>{1});
  CHECK(results_of(bytes, count, {0xffff'ffff}) == std::vector<u64>{1});
}

TEST_CASE("100,000 blocks in each other") {
  const u32 depth = 100'000;
  ByteString labels;
  for (u32 i = 0; i < depth; ++i) {
    const ByteString label = leb(i);
    labels.insert(labels.end(), label.begin(), label.end());
  }
  // From the innermost a br_table to all of them; each end adds 1.
  const ByteString bytes = module_of(
      {func_type({i32_type}, {i32_type})}, {1, 1, i32_type},
      repeated(depth, {0x02, 0x40}) + ByteString{0x20, 0, 0x0e} + leb(depth - 1) + labels +
          repeated(depth, {0x0b, 0x20, 1, 0x41, 1, 0x6a, 0x21, 1}) + ByteString{0x20, 1});
  CHECK(results_of(bytes, 4 * depth, {0}) == std::vector<u64>{depth});
  CHECK(results_of(bytes, 4 * depth, {60'000}) == std::vector<u64>{depth - 60'000});
}

TEST_CASE("100,000 loops in each other, with parameters and results") {
  const u32 depth = 100'000;
  const ByteString bytes = module_of(
      {func_type({i32_type}, {i32_type})}, no_locals,
      ByteString{0x20, 0} + repeated(depth, {0x03, 0}) + repeated(depth, {0x41, 1, 0x6a, 0x0b}));
  CHECK(results_of(bytes, 4 * depth, {5}) == std::vector<u64>{depth + 5});
}

TEST_CASE("calls with 1,000 arguments and results") {
  // The function calls itself as long as its last parameter is not zero.
  const u32 count = 1'000;
  const ByteString many = repeated(count, {i32_type});
  ByteString all;
  for (u32 i = 0; i + 1 < count; ++i) all = all + ByteString{0x20} + leb(i);
  const ByteString last = ByteString{0x20} + leb(count - 1);
  const u32 calls = 300;
  const ByteString code = last + ByteString{0x04, 1} + all + last + ByteString{0x41, 1, 0x6b} +
                          repeated(calls, {0x10, 0}) + ByteString{0x05} + all +
                          ByteString{0x41, 0, 0x0b};
  const ByteString bytes = module_of({func_type(many, many), func_type({}, many)}, no_locals, code);
  std::vector<u64> arguments(count, 3);
  std::vector<u64> results(count, 3);
  arguments.back() = 1;
  results.back() = 0;
  CHECK(results_of(bytes, 10 * count + 10 * calls, arguments) == results);
}

TEST_CASE("65,000 values on the operand stack") {
  const auto with = [](u32 count) {
    return module_of({func_type({i32_type}, {i32_type})}, no_locals,
                     repeated(count, {0x20, 0, 0x67}) + repeated(count - 1, {0x6a}));
  };
  CHECK(results_of(with(65'000), 4 * 65'000, {1}) == std::vector<u64>{31 * 65'000});
  check_limit(with(66'000));
}

TEST_CASE("branches that carry 1,000 values") {
  const u32 count = 1'000;
  const u32 branches = 20'000;
  const ByteString many = repeated(count, {i32_type});
  // One value below, so that each branch moves what it carries.
  const ByteString live = ByteString{0x02, 1, 0x41, 9} + repeated(count, {0x41, 7}) +
                          repeated(branches, {0x20, 0, 0x0d, 0}) + ByteString{0x0c, 0, 0x0b} +
                          repeated(count - 1, {0x6a});
  CHECK(results_of(
            module_of({func_type({i32_type}, {i32_type}), func_type({}, many)}, no_locals, live),
            4 * branches + 4 * count, {0}) == std::vector<u64>{7'000});
  const ByteString dead = ByteString{0x02, 1, 0x00} + repeated(branches, {0x20, 0, 0x0d, 0}) +
                          ByteString{0x0b} + repeated(count - 1, {0x6a});
  (void)translated(
      module_of({func_type({i32_type}, {i32_type}), func_type({}, many)}, no_locals, dead), 100);
}

TEST_CASE("branches over more than 65,536 words") {
  // block (br_if 0 unless n) loop (x += y, many times; br_if 0 while n -= 1) end end, x
  const u32 count = 70'000;
  const ByteString bytes = module_of(
      {func_type({i32_type, i32_type, i32_type}, {i32_type})}, no_locals,
      ByteString{0x02, 0x40, 0x20, 2, 0x45, 0x0d, 0, 0x03, 0x40} +
          repeated(count, {0x20, 0, 0x20, 1, 0x73, 0x21, 0, 0x20, 0, 0x41, 1, 0x74, 0x21, 0}) +
          ByteString{0x20, 2, 0x41, 1, 0x6b, 0x22, 2, 0x0d, 0, 0x0b, 0x0b, 0x20, 0});
  u32 expected = 5;
  for (u32 i = 0; i < 3 * count; ++i) expected = (expected ^ 7) << 1;
  CHECK(results_of(bytes, 4 * count, {5, 7, 3}) == std::vector<u64>{expected});
  CHECK(results_of(bytes, 4 * count, {5, 7, 0}) == std::vector<u64>{5});
}
