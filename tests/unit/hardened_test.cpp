// Hardened machine code: what is not to be seen in it, and where it lets itself be entered.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/sample_modules.hpp"

namespace atollvm::test {
namespace {

using Kind = runtime::Outcome::Kind;

constexpr u64 marker = 0x5ac3'5ac3'5ac3'5ac3;
constexpr u8 marker_bytes[] = {0xc3, 0x5a, 0xc3, 0x5a};

// The marker as each number of every operation.
mod::Module with_markers(bool first_memory) {
  mod::Module module = every_op();
  for (const mod::Function& function : module.functions) {
    for (u64 at = 0; at < function.code_size;
         at += isa::length(&module.code[function.code_begin + at])) {
      isa::Word* const word = &module.code[function.code_begin + at];
      for (const isa::Operand& operand : isa::format_of(isa::op_of(*word)).list()) {
        using enum isa::OperandKind;
        u64 bits = marker;
        switch (operand.kind) {
          case imm16:
          case imm32:
          case imm64:
          case bits32:
          case bits64:
            break;
          case offset:
            bits = static_cast<u32>(marker);
            break;
          case memory:
            if (!first_memory) continue;
            bits = 0;
            break;
          default:
            continue;
        }
        const u64 limit = isa::field_limit(operand.field);
        isa::Word mask[2] = {0, 0};
        isa::write_field(mask, operand.field, limit);
        isa::Word value[2] = {0, 0};
        isa::write_field(value, operand.field, bits & limit);
        word[0] = (word[0] & ~mask[0]) | value[0];
        if (mask[1] != 0) word[1] = (word[1] & ~mask[1]) | value[1];
      }
    }
  }
  return module;
}

// The bytes of a listing's instructions, as it has them behind semicolons.
std::vector<u8> listed_bytes(const std::vector<jit::Listed>& listing) {
  std::vector<u8> bytes;
  for (const jit::Listed& each : listing) {
    for (usize at = each.text.find("; "); at != std::string::npos; at = each.text.find("; ", at)) {
      for (at += 2; at + 1 < each.text.size() && std::isxdigit(each.text[at]) != 0; at += 2) {
        bytes.push_back(static_cast<u8>(std::stoi(each.text.substr(at, 2), nullptr, 16)));
      }
    }
  }
  return bytes;
}

struct Seen {
  usize bytes = 0;
  usize halves = 0;  // of the marker's 16 bits
  usize wholes = 0;  // of its 32 bits
};

// Of the marker in the machine code of all functions.
Seen look_for_marker(const runtime::Program& program, bool hardened) {
  Seen seen;
  const auto count = [](const std::vector<u8>& bytes, usize size) {
    usize found = 0;
    for (usize at = 0; at + size <= bytes.size(); ++at) {
      found += std::equal(marker_bytes, marker_bytes + size, bytes.begin() + at) ? 1 : 0;
    }
    return found;
  };
  for (u32 i = program.imported_functions(); i < program.functions().size(); ++i) {
    const auto listing = jit::list(program, i, {.hardened = hardened});
    REQUIRE(listing.ok());
    const std::vector<u8> bytes = listed_bytes(*listing);
    seen.bytes += bytes.size();
    seen.halves += count(bytes, 2);
    seen.wholes += count(bytes, 4);
  }
  return seen;
}

}  // namespace

TEST_CASE("hardened code shows no number of the guest's") {
  if (!jit::is_available()) return;
  for (const bool first_memory : {false, true}) {
    auto verified = verify::verify(with_markers(first_memory));
    REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().text()));
    const auto program = runtime::Program::make(std::move(*verified));
    const Seen plain = look_for_marker(*program, false);
    const Seen hardened = look_for_marker(*program, true);
    INFO(plain.bytes << " bytes with " << plain.halves << " and " << plain.wholes << "; "
                     << hardened.bytes << " bytes with " << hardened.halves);
    CHECK(plain.halves > 200);
    CHECK(plain.wholes > 20);
    // Random bytes are the marker's 16 bits once in 65,536 of them.
    CHECK(hardened.bytes > 10'000);
    CHECK(hardened.bytes < 200'000);
    CHECK(hardened.halves < 24);
    CHECK(hardened.wholes == 0);
  }
}

TEST_CASE("hardened code is other code each time that it is made") {
  if (!jit::is_available()) return;
  CodeBuilder f(0, 1, 1);
  f.emit(Op::i64_const_long, {0, marker}).emit(Op::ret_1, {0});
  ModuleBuilder m;
  m.type({}, {ValType::i64});
  m.add(f);
  const auto program = program_of(m);
  const auto bytes = [&](bool hardened) {
    return listed_bytes(*jit::list(*program, 0, {.hardened = hardened}));
  };
  CHECK(bytes(false) == bytes(false));
  CHECK(bytes(true) != bytes(true));
}

TEST_CASE("hardened code begins with a landing pad") {
  if (!jit::is_available()) return;
  auto verified = verify::verify(every_op());
  REQUIRE(verified.ok());
  const auto program = runtime::Program::make(std::move(*verified));
  const std::vector<u8> landing = {0xf3, 0x0f, 0x1e, 0xfa};
  for (u32 i = program->imported_functions(); i < program->functions().size(); ++i) {
    for (const bool hardened : {false, true}) {
      std::vector<u8> bytes = listed_bytes(*jit::list(*program, i, {.hardened = hardened}));
      REQUIRE(bytes.size() > 4);
      bytes.resize(4);
      CHECK((bytes == landing) == hardened);
    }
  }
}

TEST_CASE("hardened code has a landing pad at each target of a jump table") {
  if (!jit::is_available()) return;
  ModuleBuilder m;
  m.type({ValType::i32}, {ValType::i32});
  CodeBuilder f(0, 2, 2);
  const Label targets[] = {f.label(), f.label(), f.label()};
  f.emit(Op::br_table, {0, targets[0], targets[1], targets[2]});
  for (u32 i = 0; i < 3; ++i) f.bind(targets[i]).emit(Op::i32_const, {1, i}).emit(Op::ret_1, {1});
  m.add(f);
  const auto program = program_of(m);
  const auto pads = [&](bool hardened) {
    const auto listing = jit::list(*program, 0, {.hardened = hardened});
    usize found = 0;
    for (const jit::Listed& each : *listing)
      found += each.text.find("endbr64") != std::string::npos;
    return found;
  };
  CHECK(pads(false) == 0);
  // The function's begin, the targets, and the way in at the end.
  CHECK(pads(true) == 5);
}

// A memory that may have no byte has none that an access could be turned to.
TEST_CASE("hardened code: accesses of a memory that begins empty") {
  ModuleBuilder m;
  m.type({ValType::i32}, {ValType::i64});
  m.memory(0, 1, 16);
  m.memory(0, 1, 16);
  // A number stored and loaded at an address; growth of both; eight bytes copied within the first.
  for (const u32 memory : {0u, 1u}) {
    CodeBuilder f(0, 4, 4);
    f.emit(Op::i64_const, {1, 7}).emit(Op::i64_store_long, {memory, 0, 0, 1});
    f.emit(Op::i64_load_long, {2, memory, 0, 0}).emit(Op::ret_1, {2});
    m.add(f);
  }
  CodeBuilder grow(0, 4, 4);
  grow.emit(Op::i32_const, {1, 1}).emit(Op::memory_grow, {2, 0, 1});
  grow.emit(Op::memory_grow, {2, 1, 1}).emit(Op::i64_extend_i32_u, {2, 2}).emit(Op::ret_1, {2});
  const u32 grows = m.add(grow);
  CodeBuilder copy(0, 4, 4);
  copy.emit(Op::i32_const, {1, 8}).emit(Op::i32_const, {2, 0});
  copy.emit(Op::memory_copy, {0, 0, 2, 0, 1}).emit(Op::i64_load, {3, 2, 0}).emit(Op::ret_1, {3});
  const u32 copies = m.add(copy);
  const auto program = program_of(m);
  auto process = process_of(program);
  const auto run = [&](u32 function, u64 argument) {
    prepare(*process, function, {argument});
    return jit::run_hardened(*process);
  };
  const auto traps = [&](u32 function, u64 address) {
    const runtime::Outcome outcome = run(function, address);
    CHECK(outcome.kind == Kind::trapped);
    CHECK(outcome.trap == runtime::Trap::memory_bounds);
  };
  for (const u32 function : {0u, 1u, copies}) {
    process = process_of(program);
    traps(function, 0);
  }
  process = process_of(program);
  REQUIRE(run(grows, 0).kind == Kind::finished);
  for (const u32 function : {0u, 1u}) {
    for (const u64 address : {0u, 65'528u}) {
      REQUIRE(run(function, address).kind == Kind::finished);
      CHECK(process->results()[0] == 7);
    }
  }
  REQUIRE(run(copies, 65'528).kind == Kind::finished);
  CHECK(process->results()[0] == 7);
  traps(0, 65'529);
}

}  // namespace atollvm::test
