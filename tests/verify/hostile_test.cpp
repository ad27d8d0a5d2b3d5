// Broken and lying module files: each gives an error with a place and a reason, or a module that
// keeps all rules; and memory stays below its bound.
#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <new>

#include "tests/verify/expect.hpp"
#include "tests/verify/heap.hpp"
#include "tests/verify/mutate.hpp"
#include "vm/base/sanitizers.hpp"
#include "vm/module/codec.hpp"
#include "vm/module/limits.hpp"
#include "vm/module/sections.hpp"

atollvm::test::Heap atollvm::test::heap;

namespace {

using atollvm::test::heap;

[[maybe_unused]] size_t cost(void* block) { return malloc_usable_size(block) + sizeof(size_t); }

}  // namespace

// ThreadSanitizer's library brings its own, for good: nothing is counted there.
#if !ATOLL_TSAN
void* operator new(size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) std::abort();
  heap.now += cost(block);
  if (heap.now > heap.peak) heap.peak = heap.now;
  return block;
}
void operator delete(void* block) noexcept {
  if (block != nullptr) heap.now -= cost(block);
  std::free(block);
}
void operator delete(void* block, size_t) noexcept { operator delete(block); }
#endif

using namespace atollvm;
using namespace atollvm::test;

namespace {

// The promise is 64 MiB + 4 x the input for the whole process; the program itself and its stack
// take less than 8 MiB of that.
constexpr usize fixed_bound = usize{56} << 20;

struct Outcome {
  bool verified = false;
  usize peak = 0;  // bytes, with the input
};

// Reads, writes and verifies one file, as an engine would, and checks what always holds.
Outcome load(const std::string& bytes) {
  Outcome outcome;
  const usize before = heap.now;
  heap.peak = heap.now;
  {
    auto module = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
    if (!module.ok()) {
      REQUIRE(!module.error().place.empty());
      REQUIRE(!module.error().message.empty());
    } else {
      const auto verified = verify::verify(std::move(*module));
      outcome.verified = verified.ok();
      if (!verified.ok()) {
        REQUIRE(!verified.error().place.empty());
        REQUIRE(!verified.error().message.empty());
      }
    }
  }
  outcome.peak = heap.peak - before + bytes.size();
  REQUIRE(outcome.peak <= fixed_bound + 4 * bytes.size());
  // What was read is written as it was.
  if (const auto again = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()})) {
    REQUIRE(mod::write(*again) == bytes);
  }
  return outcome;
}

std::vector<std::string> seeds() {
  std::vector<std::string> files;
  for (const mod::Module& module :
       {every_section(), every_op(), universe().module, many_functions(12, 3)}) {
    files.push_back(mod::write(module));
  }
  return files;
}

}  // namespace

TEST_CASE("10,000 mutations of valid files") {
  const std::vector<std::string> all = seeds();
  for (const std::string& seed : all) REQUIRE(load(seed).verified);
  Mutator mutator(20'240'229);
  const auto start = std::chrono::steady_clock::now();
  u32 refused = 0;
  for (u32 i = 0; i < 10'000; ++i) {
    CAPTURE(i);
    std::string file = all[i % all.size()];
    for (u32 changes = 1 + mutator.below(3); changes > 0; --changes) mutator.change(file, all);
    refused += load(file).verified ? 0 : 1;
  }
  CHECK(refused > 8000);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(2));
}

TEST_CASE("10,000 mutations of code") {
  const mod::Module bases[] = {every_op(), every_section(), many_functions(12, 3)};
  Mutator mutator(7);
  u32 refused = 0;
  for (u32 i = 0; i < 10'000; ++i) {
    CAPTURE(i);
    mod::Module module = bases[i % std::size(bases)];
    for (u32 changes = 1 + mutator.below(2); changes > 0; --changes) mutator.change_code(module);
    refused += load(mod::write(module)).verified ? 0 : 1;
  }
  CHECK(refused > 5000);
  CHECK(refused < 10'000);
}

TEST_CASE("every byte of a file with every section: bit flips and lying numbers") {
  const std::string file = mod::write(every_section());
  for (usize at = 0; at < file.size(); ++at) {
    CAPTURE(at);
    const u8 truth = static_cast<u8>(file[at]);
    std::vector<u8> lies = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xff};
    for (u32 bit = 0; bit < 8; ++bit) lies.push_back(static_cast<u8>(truth ^ 1 << bit));
    for (const u8 lie : lies) {
      std::string lying = file;
      lying[at] = static_cast<char>(lie);
      load(lying);
    }
    for (const char* number : {"\x80\x01", "\xff\x7f", "\xff\xff\x03", "\xff\xff\xff\xff\x0f",
                               "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}) {
      std::string lying = file;
      lying.replace(at, 1, number);
      load(lying);
    }
  }
}

TEST_CASE("every section of a file: left out, twice, moved, with a wrong size") {
  const std::string file = mod::write(every_section());
  struct Piece {
    usize begin;
    usize payload;
    usize end;
  };
  std::vector<Piece> pieces;
  for (usize at = mod::header_size; at < file.size();) {
    usize payload = at + 1;
    usize size = 0;
    for (u32 shift = 0;; shift += 7) {
      const u8 next = static_cast<u8>(file[payload++]);
      size |= usize{next & 0x7fu} << shift;
      if (next < 0x80) break;
    }
    pieces.push_back({at, payload, payload + size});
    at = payload + size;
  }
  REQUIRE(pieces.size() == 17);
  for (const Piece& piece : pieces) {
    const std::string whole = file.substr(piece.begin, piece.end - piece.begin);
    const std::string without = file.substr(0, piece.begin) + file.substr(piece.end);
    load(without);
    load(file.substr(0, piece.end) + whole + file.substr(piece.end));
    for (const Piece& to : pieces) {
      std::string moved = without;
      load(moved.insert(std::min(to.begin, moved.size()), whole));
    }
    const std::string payload = file.substr(piece.payload, piece.end - piece.payload);
    for (usize size = 0; size < payload.size() + 20; ++size) {
      std::string sized = payload.substr(0, size);
      sized.resize(size);
      const std::string head = file.substr(0, piece.begin + 1);
      std::string length;
      for (usize rest = size;; rest >>= 7) {
        length.push_back(static_cast<char>(rest < 0x80 ? rest : rest | 0x80));
        if (rest < 0x80) break;
      }
      load(head + length + sized + file.substr(piece.end));    // the size tells the truth
      load(head + length + payload + file.substr(piece.end));  // it lies
    }
  }
}

namespace {

// The part of a file that costs most memory for its size, from each section, up to its limit.
mod::Module fattest(bool long_strings, u32 divisor) {
  namespace limits = mod::limits;
  const std::string text(long_strings ? 16 : 0, 'x');  // the first length that needs the heap
  mod::Module m;
  m.types.assign(limits::types / divisor, {{ValType::i32}, {ValType::i32}});
  m.types[0] = {};
  mod::Import import;
  import.module = text;
  import.name = text;
  m.imports.assign(limits::imports / divisor, import);
  const mod::ConstExpr one = {{mod::ConstOp::Kind::i32_const, 0}};
  m.globals.assign(limits::globals / divisor, {{ValType::i32, false}, one});
  for (u32 i = 0; i < limits::exports / divisor; ++i) {
    m.exports.push_back({std::to_string(i) + text, mod::ExternKind::function, 0});
  }
  mod::ElemSegment elem;
  m.elems.assign(limits::elem_segments / divisor, elem);
  m.elems[0].items.assign((limits::const_ops - limits::globals) / divisor,
                          {{mod::ConstOp::Kind::ref_func, 0}});
  mod::DataSegment data;
  data.bytes = text;
  m.datas.assign(limits::data_segments / divisor, data);
  for (u32 i = 0; i < limits::names / divisor; ++i) {
    m.names.push_back({mod::NameSpace::global, i, 0, text.empty() ? "x" : text});
  }
  m.files.assign(limits::files / divisor, text);
  m.customs.assign(limits::customs / divisor, {text, text});
  return m;
}

}  // namespace

TEST_CASE("memory: the fattest entries of all sections together") {
  for (const u32 divisor : {1u, 3u}) {
    for (const bool long_strings : {false, true}) {
      mod::Module module = fattest(long_strings, divisor);
      const std::string bytes = mod::write(module);
      module = {};
      const Outcome outcome = load(bytes);
      MESSAGE("input " << bytes.size() << ", peak " << outcome.peak);
    }
  }
}

TEST_CASE("memory: labels, line entries and functions, paid for by code") {
  // Every word is a function of its own.
  ModuleBuilder tiny;
  tiny.type({}, {});
  for (u32 i = 0; i < 300'000; ++i) {
    tiny.module.functions.push_back({0, i, 1, 0, 0, 0, 0});
    tiny.module.lines.push_back({i, 0, 1, 0});
  }
  tiny.module.code.assign(300'000, isa::encode(Op::ret));
  tiny.module.files = {""};
  std::string bytes = mod::write(tiny.module);
  Outcome outcome = load(bytes);
  CHECK(outcome.verified);
  CHECK(outcome.peak <= 4 * bytes.size() + (1 << 20));
  // A function with a label on every word.
  CodeBuilder f(0, 1, 1);
  const Label first = f.label();
  f.bind(first).emit(Op::back_i32_eq_i, {0, 0, first});
  for (u32 i = 0; i < 300'000; ++i) {
    const Label self = f.label();
    f.bind(self).emit(Op::back_i32_eq_i, {0, 0, self});
  }
  ModuleBuilder m;
  m.type({}, {});
  m.add(f.emit(Op::ret));
  bytes = mod::write(m.module);
  outcome = load(bytes);
  CHECK(outcome.verified);
  CHECK(outcome.peak <= 4 * bytes.size() + (1 << 20));
}

TEST_CASE("time: sets of slots that are expensive to keep") {
  // Wide moves over a hole in the definitions, and calls that clear them again.
  ModuleBuilder m;
  m.type({}, {});
  const u32 wide = m.type({}, std::vector<ValType>(1000, ValType::i64));
  m.import_function("env", "wide", wide);
  CodeBuilder f(0, 2, 65'535);
  for (u32 i = 0; i < 50'000; ++i) {
    f.emit(Op::mov_n, {30'000, 0, 1});
    f.emit(Op::call_import, {4, 0});
    f.emit(Op::mov_n, {1010, 4, 1000}).emit(Op::mov_n, {64'000, 1010, 1000});
  }
  m.add(f.emit(Op::ret));
  const auto start = std::chrono::steady_clock::now();
  CHECK(load(mod::write(m.module)).verified);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}
