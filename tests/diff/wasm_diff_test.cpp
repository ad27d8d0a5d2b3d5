// Generated WebAssembly modules against wabt 1.0.32: what its validator accepts is accepted, what
// it refuses is refused, translated code passes the verifier, and runs agree with its interpreter.
// The environment can ask for others than the usual ones: ATOLL_WASM_SEED, ATOLL_WASM_FIRST and
// ATOLL_WASM_COUNT are numbers; ATOLL_WASM_KEEP is a folder for modules that differ.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "assembler/wasm/wasm.hpp"
#include "tests/support/wasm_generate.hpp"
#include "vm/interp/interp.hpp"
#include "vm/runtime/process.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;
using namespace atollvm::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* wabt_features = "--disable-simd --enable-tail-call --enable-extended-const";

u64 setting(const char* name, u64 usual) {
  const char* text = std::getenv(name);
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

// A folder of one test, removed with it.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "atoll-wasm-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void put(const fs::path& file, const ByteString& bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.flush().good());
}

// A program's output; its exit status, or -1 where a signal or the time limit ended it.
std::string output_of(const std::string& command, int& status) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char buffer[4096];
  for (usize got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    text.append(buffer, got);
  }
  const int ended = pclose(pipe);
  status = WIFEXITED(ended) && WEXITSTATUS(ended) < 124 ? WEXITSTATUS(ended) : -1;
  return text;
}

// Folder of a test run, with the files that wabt reads.
class Wabt {
 public:
  enum class Verdict : u8 { accepts, refuses, crashes };
  Verdict validate(const ByteString& bytes, std::string& reason) {
    int status = 0;
    reason = run("wasm-validate --ignore-custom-section-errors", bytes, status);
    return status == 0 ? Verdict::accepts : status == 1 ? Verdict::refuses : Verdict::crashes;
  }
  // What each export gave, as "i32:1, i64:2" or "error: ...".
  std::map<std::string, std::string> interpret(const ByteString& bytes) {
    int status = 0;
    std::string text = run("wasm-interp --run-all-exports --dummy-import-func -V 4000000 -C 100000",
                           bytes, status);
    std::map<std::string, std::string> results;
    for (usize at = 0; at < text.size();) {
      const usize end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      const usize arrow = line.find("() =>");
      if (line.starts_with("called ") || arrow == std::string::npos) continue;
      const usize value = std::min(line.find_first_not_of(' ', arrow + 5), line.size());
      results[line.substr(0, arrow)] = line.substr(value);
    }
    if (results.empty()) results["nothing"] = text;
    return results;
  }

 private:
  std::string run(const std::string& program, const ByteString& bytes, int& status) {
    const fs::path file = folder_.path() / "module.wasm";
    put(file, bytes);
    return output_of(fmt::format("timeout 20 {} {} {}", program, wabt_features, file.string()),
                     status);
  }
  Folder folder_;
};

// wabt's words for traps begin with others in places.
std::string trap_of(const std::string& text) {
  static const std::pair<const char*, const char*> words[] = {
      {"unreachable executed", "unreachable"},
      {"out of bounds memory access", "out of bounds memory access"},
      {"out of bounds table access", "out of bounds table access"},
      {"undefined table index", "undefined element"},
      {"uninitialized table element", "uninitialized element"},
      {"indirect call signature mismatch", "indirect call type mismatch"},
  };
  for (const auto& [theirs, ours] : words) {
    if (text.find(theirs) != std::string::npos) return std::string("error: ") + ours;
  }
  return text;
}

base::Result<std::shared_ptr<const runtime::Program>> program_of(const ByteString& bytes) {
  auto module = wasm::translate(bytes);
  if (!module) return std::move(module).error();
  auto verified = verify::verify(*std::move(module));
  if (!verified) return std::move(verified).error();
  return runtime::Program::make(*std::move(verified));
}

// Functions that give zeros.
ByteString host_module(const std::vector<WasmType>& types) {
  WasmBytes module;
  ByteString type_part = leb(types.size());
  ByteString functions = leb(types.size());
  ByteString exports = leb(types.size());
  ByteString code = leb(types.size());
  for (usize i = 0; i < types.size(); ++i) {
    type_part = type_part + func_type(types[i].params, types[i].results);
    functions = functions + leb(i);
    exports = exports + text("h" + std::to_string(i)) + ByteString{0} + leb(i);
    ByteString body = {0};
    for (const u8 each : types[i].results) {
      body = body + (each == wasm_i32   ? ByteString{0x41, 0}
                     : each == wasm_i64 ? ByteString{0x42, 0}
                     : each == wasm_f32 ? ByteString{0x43} + little(0, 4)
                                        : ByteString{0x44} + little(0, 8));
    }
    code = code + sized(body + ByteString{0x0b});
  }
  module.section(1, type_part).section(3, functions).section(7, exports).section(10, code);
  return module.bytes;
}

std::map<std::string, std::string> run_here(const GeneratedWasm& module, u64 number) {
  const auto host = program_of(host_module(module.imports));
  REQUIRE_MESSAGE(host.ok(), (host.ok() ? "" : host.error().text()));
  const auto program = program_of(module.bytes());
  REQUIRE_MESSAGE(program.ok(), (program.ok() ? "" : program.error().text()));
  runtime::Options options;
  options.memory =
      number % 2 == 0 ? runtime::MemoryStrategy::checked : runtime::MemoryStrategy::guarded;
  options.limits.fuel = 100'000'000;
  auto process = runtime::Process::create(*host, options);
  REQUIRE(process.ok());
  (*process)->name_instance("host", 0);
  const auto instance = (*process)->add_instance(*program);
  REQUIRE_MESSAGE(instance.ok(), (instance.ok() ? "" : instance.error().text()));
  std::map<std::string, std::string> results;
  for (const std::string& name : module.exports) {
    const auto function = (*program)->find_export(name, mod::ExternKind::function);
    REQUIRE(function);
    REQUIRE((*process)->prepare(*function, {}, *instance).ok());
    const runtime::Outcome outcome = interp::run(**process);
    std::string& text = results[name];
    if (outcome.kind == runtime::Outcome::Kind::trapped) {
      text = "error: " + std::string(runtime::text(outcome.trap));
      continue;
    }
    REQUIRE(outcome.kind == runtime::Outcome::Kind::finished);
    const auto& types = (*program)->module().types[(*program)->type_of(*function)].results;
    for (usize i = 0; i < types.size(); ++i) {
      const u64 slot = (*process)->results()[i];
      if (i > 0) text += ", ";
      text += types[i] == mod::ValType::i32 ? fmt::format("i32:{}", static_cast<u32>(slot))
                                            : fmt::format("i64:{}", slot);
    }
  }
  return results;
}

void keep(const ByteString& bytes, const std::string& name) {
  const char* folder = std::getenv("ATOLL_WASM_KEEP");
  if (folder != nullptr) put(fs::path(folder) / (name + ".wasm"), bytes);
}

// Where wabt 1.0.32 accepts what the specification does not, by our place and reason.
struct Difference {
  const char* place;
  const char* reason;
};
constexpr Difference differences[] = {
    // Section 3.3.10: a constant expression has one value. wabt takes more in the offsets of
    // segments (and so the modules of data.wast:400 and elem.wast:391).
    {"(data section", "a constant expression leaves"},
    {"(element section", "a constant expression leaves"},
    // Section 5.5.14: kinds of data segments are 0, 1 and 2. wabt takes 3 to 7 too, as if for
    // elements.
    {"(data section", "malformed data segment kind"},
    // Section 5.4.9: the code of a function ends with an end of its own. For wabt a last end that
    // closes a block inside is enough.
    {"(function", "unexpected end"},
};

bool is_known(const base::Error& here) {
  for (const Difference& each : differences) {
    if (here.place.find(each.place) != std::string::npos &&
        here.message.find(each.reason) != std::string::npos) {
      return true;
    }
  }
  return false;
}

struct Counts {
  u64 modules = 0;
  u64 exports = 0;
  u64 traps = 0;
  u64 mutants = 0;
  u64 valid_mutants = 0;
  u64 crashes = 0;
  u64 known = 0;
};

void check_mutant(Wabt& wabt, const ByteString& bytes, const std::string& name, Counts& counts) {
  ++counts.mutants;
  std::string there;
  const Wabt::Verdict verdict = wabt.validate(bytes, there);
  auto module = wasm::translate(bytes);
  const bool accepted = module.ok();
  const std::optional<base::Error> here =
      accepted ? std::nullopt : std::optional<base::Error>(module.error());
  if (accepted) {
    ++counts.valid_mutants;
    const auto verified = verify::verify(*std::move(module));
    CHECK_MESSAGE(verified.ok(), name, ": ", (verified.ok() ? "" : verified.error().text()));
    if (!verified.ok()) keep(bytes, name);
  }
  if (verdict == Wabt::Verdict::crashes) {
    ++counts.crashes;
    return;
  }
  if ((verdict == Wabt::Verdict::accepts) == accepted) return;
  if (here && is_known(*here)) {
    ++counts.known;
    return;
  }
  keep(bytes, name);
  FAIL_CHECK(name << ": here: " << (here ? here->text() : "accepted")
                  << "; wabt: " << (there.empty() ? "accepted" : there));
}

}  // namespace

TEST_CASE("generated WebAssembly modules do as in wabt") {
  const u64 seed = setting("ATOLL_WASM_SEED", 1);
  const u64 first = setting("ATOLL_WASM_FIRST", 0);
  const u64 count = setting("ATOLL_WASM_COUNT", 40);
  int status = 0;
  const std::string version = output_of("wasm-interp --version", status);
  REQUIRE_MESSAGE(status == 0, "wasm-interp is needed: Debian's package wabt");
  Wabt wabt;
  Counts counts;
  for (u64 number = first; number < first + count; ++number) {
    INFO("ATOLL_WASM_SEED=" << seed << " ATOLL_WASM_FIRST=" << number << " ATOLL_WASM_COUNT=1");
    const u64 start = seed * 1'000'003 + number;
    const GeneratedWasm module = WasmGenerator(start * 2).make();
    const ByteString bytes = module.bytes();
    const std::string name = fmt::format("{}-{}", seed, number);
    ++counts.modules;
    std::string reason;
    REQUIRE_MESSAGE(wabt.validate(bytes, reason) == Wabt::Verdict::accepts, reason);
    if (const auto program = program_of(bytes); !program) {
      keep(bytes, name);
      FAIL_CHECK(name << ": " << program.error().text());
      continue;
    }
    // wabt's interpreter drops too little at a tail call with other values on the operand stack.
    const auto there = wabt.interpret(WasmGenerator(start * 2).plain_calls().make().bytes());
    const auto here = run_here(module, number);
    for (const auto& [function, text] : here) {
      ++counts.exports;
      const auto found = there.find(function);
      const std::string theirs = found == there.end() ? "nothing" : trap_of(found->second);
      counts.traps += text.starts_with("error");
      if (text == theirs) continue;
      keep(bytes, name);
      FAIL_CHECK(name << ": " << function << " gives " << text << ", by wabt " << theirs);
      break;
    }
    // For wabt's validator the result of a select that states its type has any type, against
    // section 3.3.2: the modules to spoil have none.
    const GeneratedWasm spoilt = WasmGenerator(start * 2).no_typed_selects().make();
    WasmDice dice(start * 2 + 1);
    for (u32 i = 0; i < 4; ++i) {
      check_mutant(wabt, mutate(spoilt, dice), fmt::format("{}-mutant{}", name, i), counts);
    }
  }
  MESSAGE(counts.modules << " modules, " << counts.exports << " exports (" << counts.traps
                         << " trap), " << counts.mutants << " mutants (" << counts.valid_mutants
                         << " valid, " << counts.known << " known differences, " << counts.crashes
                         << " crash wabt)");
  CHECK(counts.traps * 2 < counts.exports);
}

TEST_CASE("the generator of WebAssembly modules makes all instructions") {
  std::set<u32> made;
  for (u64 number = 0; number < 150; ++number) {
    const GeneratedWasm module = WasmGenerator(number).make();
    for (const WasmCode& body : module.bodies) {
      for (const u32 start : body.starts) {
        const u8 code = body.bytes[start];
        made.insert(code != 0xfc ? code : 0xfc00u + body.bytes[start + 1]);
      }
    }
  }
  // Section 5.4: first, last.
  static constexpr std::pair<u32, u32> all[] = {
      {0x00, 0x05}, {0x0b, 0x13}, {0x1a, 0x1c},     {0x20, 0x26},
      {0x28, 0xc4}, {0xd0, 0xd2}, {0xfc00, 0xfc11},
  };
  for (const auto& [first, last] : all) {
    for (u32 code = first; code <= last; ++code) {
      INFO(fmt::format("0x{:x}", code));
      CHECK(made.count(code) == 1);
    }
  }
}
