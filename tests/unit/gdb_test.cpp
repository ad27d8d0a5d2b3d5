// What gdb is told of compiled functions. The same frame descriptions are given to the C++ runtime
// here, which then finds the way from a host function through compiled code.
#include <doctest/doctest.h>
#include <elf.h>
#include <unwind.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "atoll/embed/impl.hpp"
#include "tests/support/process.hpp"

// As gdb's manual describes them.
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  std::uint64_t symfile_size;
};
struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
#pragma GCC diagnostic push
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wreserved-identifier"
#endif
[[gnu::weak]] extern jit_descriptor __jit_debug_descriptor;  // where there is a compiled tier
#pragma GCC diagnostic pop
void __register_frame(void* frames);    // NOLINT: libgcc's
void __deregister_frame(void* frames);  // NOLINT
}

namespace atollvm {
namespace {

constexpr const char* text = R"(module m
import func look(n: i32) -> i32 from "test" "look"
export func deep(n: i32) -> i32 {
    if n {
        call deep((i32.sub n, 1)) -> n
        ret (i32.add n, 1)
    }
    call look(n) -> n
    ret n
}
export func start(n: i32) -> i32 { ret (call deep(n)) }
)";

struct Function {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  char* frames = nullptr;
};

template <class T>
T read(const jit_code_entry& entry, std::uint64_t at) {
  REQUIRE(at + sizeof(T) <= entry.symfile_size);
  T value;
  std::memcpy(&value, entry.symfile_addr + at, sizeof value);
  return value;
}

// By name; of several the last one that was told of.
std::map<std::string, Function> told() {
  std::map<std::string, Function> functions;
  for (const jit_code_entry* entry = __jit_debug_descriptor.first_entry; entry != nullptr;
       entry = entry->next_entry) {
    const auto header = read<Elf64_Ehdr>(*entry, 0);
    REQUIRE(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0);
    const auto section = [&](std::uint64_t number) {
      REQUIRE(number < header.e_shnum);
      return read<Elf64_Shdr>(*entry, header.e_shoff + number * sizeof(Elf64_Shdr));
    };
    const auto string = [&](std::uint64_t at) {
      const auto texts = section(header.e_shstrndx);
      REQUIRE(texts.sh_offset + texts.sh_size <= entry->symfile_size);
      REQUIRE(at < texts.sh_size);
      return std::string(entry->symfile_addr + texts.sh_offset + at);
    };
    Function function;
    std::string name;
    for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
      const auto each = section(i);
      if (string(each.sh_name) == ".text") function.begin = each.sh_addr;
      if (string(each.sh_name) == ".eh_frame") {
        function.frames = const_cast<char*>(entry->symfile_addr) + each.sh_offset;
      }
      if (each.sh_type != SHT_SYMTAB) continue;
      const auto symbol = read<Elf64_Sym>(*entry, each.sh_offset + sizeof(Elf64_Sym));
      name = string(symbol.st_name);
      function.end = symbol.st_size;
    }
    function.end += function.begin;
    functions.emplace(name, function);
  }
  return functions;
}

struct Found {
  std::map<std::string, Function> functions;
  std::map<std::string, int> frames;  // how many of each
  std::uintptr_t highest = 0;
};

_Unwind_Reason_Code note(_Unwind_Context* context, void* found_at) {
  Found& found = *static_cast<Found*>(found_at);
  const std::uintptr_t at = _Unwind_GetIP(context) - 1;
  for (const auto& [name, function] : found.functions) {
    if (at >= function.begin && at < function.end) ++found.frames[name];
  }
  found.highest = std::max(found.highest, static_cast<std::uintptr_t>(_Unwind_GetCFA(context)));
  return _URC_NO_REASON;
}

Found found;

TEST_CASE("gdb: compiled functions have names, and their callers are found") {
  if (!jit::is_available()) {
    MESSAGE("left out: there is no compiled tier");
    return;
  }
  jit::register_with_gdb();
  runtime::HostFunction look;
  look.module = "test";
  look.name = "look";
  look.type = {{mod::ValType::i32}, {mod::ValType::i32}};
  look.call = [](runtime::HostContext& context) {
    found = {told(), {}, 0};
    for (auto& [name, function] : found.functions) __register_frame(function.frames);
    _Unwind_Backtrace(note, &found);
    for (auto& [name, function] : found.functions) __deregister_frame(function.frames);
    return context.result_i32(100);
  };
  const std::vector functions{look};
  {
    const Engine engine;
    const auto module = Module::assemble(engine, {"t.atoll", text}, no_source_files);
    REQUIRE_MESSAGE(module.ok(), module.error().text());
    const auto program = Access::impl(*module)->program;
    runtime::Options options;
    options.host = functions;
    const auto process = test::process_of(program, options);
    test::prepare(*process, *program->find_export("start", mod::ExternKind::function), {10});
    REQUIRE(jit::run(*process).kind == runtime::Outcome::Kind::finished);
    CHECK(process->results()[0] == 110);
  }
  CHECK(found.frames["start"] == 1);
  CHECK(found.frames["deep"] == 11);
  CHECK(found.frames["[routines of compiled code]"] >= 2);  // the call of the host, the way in
  CHECK(found.highest > reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  // The program is gone.
  const auto left = told();
  CHECK(left.count("[routines of compiled code]") == 1);
  CHECK(left.count("deep") == 0);
}

}  // namespace
}  // namespace atollvm
