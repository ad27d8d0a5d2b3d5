// Module::open: files of each kind, and what can't be opened.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atoll.h>
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include "tests/support/engine.hpp"
#include "tests/support/files.hpp"

using namespace atollvm;

namespace {

constexpr std::string_view answers = "export func f() -> i32 { ret 42 }\n";
constexpr std::string_view wasm{"\0asm\1\0\0\0", 8};

std::optional<std::int32_t> answer_of(const Result<Module>& module) {
  REQUIRE_MESSAGE(module.ok(), (module.ok() ? "" : module.error().text()));
  auto process = Process::create(Engine(test::engine_options()), *module);
  REQUIRE(process.ok());
  const auto f = process->function<std::int32_t()>("f");
  if (!f) return std::nullopt;
  const auto result = (*f)();
  REQUIRE(result.ok());
  return *result;
}

}  // namespace

TEST_CASE("Module::open: source, module file, WebAssembly") {
  const test::ScratchDirectory folder;
  const Engine engine(test::engine_options());
  const auto path = [&](const char* name) { return folder / name; };
  test::put_text(path("f.atoll"), answers);
  const auto assembled = Module::open(engine, path("f.atoll"));
  CHECK(answer_of(assembled) == 42);
  test::put_text(path("f.atb"), assembled->bytes());
  CHECK(answer_of(Module::open(engine, path("f.atb"))) == 42);
  test::put_text(path("f.wasm"), wasm);
  CHECK(answer_of(Module::open(engine, path("f.wasm"))) == std::nullopt);
  // A source finds the files beside it, if it may.
  test::put_text(path("g.atoll"), "use \"f.atoll\"\n");
  CHECK(answer_of(Module::open(engine, path("g.atoll"))) == 42);
  const auto alone = Module::open(engine, path("g.atoll"), no_source_files);
  REQUIRE_FALSE(alone.ok());
  CHECK(alone.error().code == ErrorCode::invalid);
}

TEST_CASE("Module::open: errors begin with the path") {
  const test::ScratchDirectory folder;
  const Engine engine(test::engine_options());
  const auto fails = [&](const std::string& path, ErrorCode code, const std::string& part) {
    INFO(path);
    const auto module = Module::open(engine, path);
    REQUIRE_FALSE(module.ok());
    CHECK(module.error().code == code);
    const std::string text = module.error().text();
    CHECK(text.starts_with(path.substr(0, path.find('\0'))));
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  };
  const auto path = [&](const char* name) { return folder / name; };
  fails(path("none"), ErrorCode::not_found, "No such file");
  fails(folder.path().string(), ErrorCode::io, "no regular file");
  REQUIRE(mkfifo(path("pipe").c_str(), 0600) == 0);
  fails(path("pipe"), ErrorCode::io, "no regular file");
  test::put_text(path("cut.atb"), std::string_view("\0atb\2\0", 6));
  fails(path("cut.atb"), ErrorCode::malformed, "offset");
  test::put_text(path("cut.wasm"), std::string(wasm) + "\1");
  fails(path("cut.wasm"), ErrorCode::malformed, "0x9: unexpected end");
  test::put_text(path("bad.atoll"), "export func f() -> i32 { ret }\n");
  fails(path("bad.atoll"), ErrorCode::invalid, ":1:");
  test::put_text(path("f.atoll"), answers);
  fails(path("f.atoll") + '\0' + "x", ErrorCode::not_found, "No such file");
  std::vector<Diagnostic> diagnostics;
  CHECK_FALSE(Module::open(engine, path("bad.atoll"), no_source_files, &diagnostics).ok());
  CHECK(diagnostics.size() == 1);
}

TEST_CASE("atoll_module_open") {
  const test::ScratchDirectory folder;
  const std::string path = folder / "f.atoll";
  test::put_text(path, answers);
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_module* module = nullptr;
  CHECK(atoll_module_open(engine, path.c_str(), &module) == nullptr);
  REQUIRE(module != nullptr);
  atoll_module_free(module);
  module = nullptr;
  atoll_error* error = atoll_module_open(engine, (path + "x").c_str(), &module);
  REQUIRE(error != nullptr);
  CHECK(module == nullptr);
  CHECK(atoll_error_code(error) == ATOLL_NOT_FOUND);
  atoll_error_free(error);
  atoll_engine_free(engine);
}
