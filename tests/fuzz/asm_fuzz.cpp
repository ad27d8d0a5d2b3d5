// Any text gives mistakes, or a module that the verifier accepts.
#include <cstdio>
#include <cstdlib>

#include "assembler/text/assemble.hpp"
#include "assembler/text/document.hpp"
#include "vm/verify/verify.hpp"

using namespace atollvm;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string source(reinterpret_cast<const char*>(data), size);
  const text::Resolver resolver = [&](std::string_view, std::string_view name,
                                      bool library) -> std::optional<text::Source> {
    if (!library && name != "again.atoll") return std::nullopt;
    return text::Source{std::string(name), "func from_file(a: i32) -> i32 { ret a }\n"};
  };
  enum Way { plain, object, tests, open };
  for (const Way way : {plain, object, tests, open}) {
    text::Options options;
    options.object = way == object;
    options.tests = way == tests;
    options.open = way == open;
    text::Assembly assembly = text::assemble({"fuzz.atoll", source}, resolver, options);
    for (const text::Diagnostic& diagnostic : assembly.diagnostics) {
      (void)text::format(diagnostic, true);
    }
    // A raw program is taken as it is: only the verifier judges it.
    const bool raw = source.find("raw") != std::string::npos;
    if (!assembly.ok() || raw) continue;
    const auto verified = verify::verify(std::move(assembly.module));
    if (!verified.ok()) {
      std::fprintf(stderr, "%s\n", verified.error().text().c_str());
      std::abort();
    }
  }
  (void)text::document({"fuzz.atoll", source});
  return 0;
}
