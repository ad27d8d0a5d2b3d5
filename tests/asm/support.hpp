// Assembles text for tests; whatever comes out without mistakes must verify.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>

#include "assembler/text/assemble.hpp"
#include "assembler/text/disassemble.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::test {

using Files = std::map<std::string, std::string, std::less<>>;

inline text::Assembly assemble_files(std::string_view source, const Files& files,
                                     const text::Options& options) {
  const text::Resolver resolver = [&files](std::string_view, std::string_view name,
                                           bool) -> std::optional<text::Source> {
    const auto at = files.find(name);
    if (at == files.end()) return std::nullopt;
    return text::Source{at->first, at->second};
  };
  return text::assemble({"test.atoll", std::string(source)}, resolver, options);
}

// The module of a program without mistakes, verified.
inline mod::Module module_of(std::string_view source, const Files& files = {},
                             text::Options options = {}) {
  text::Assembly assembly = assemble_files(source, files, options);
  std::string mistakes;
  for (const text::Diagnostic& diagnostic : assembly.diagnostics) {
    mistakes += text::format(diagnostic, false);
  }
  CHECK(mistakes == "");
  if (assembly.ok()) {
    const auto verified = verify::verify(assembly.module);
    CHECK((verified.ok() ? "" : verified.error().text()) == "");
  }
  return std::move(assembly.module);
}

// The disassembly without names of registers and without lines.
inline std::string text_of(std::string_view source, const Files& files = {}) {
  text::Options options;
  options.local_names = false;
  options.line_table = false;
  return text::disassemble(module_of(source, files, options));
}

// The instructions of the first function whose name is `f`.
inline std::string body(std::string_view source, const Files& files = {}) {
  const std::string all = text_of(source, files);
  const usize head = all.find(" f(");
  if (head == std::string::npos) return "(no function f)";
  const usize begin = all.find("{\n", head) + 2;
  return "\n" + all.substr(begin, all.find("\n}", begin) + 1 - begin);
}

// The instructions of a function f with some registers of each type.
inline std::string body_of(std::string_view statements) {
  return body(
      "memory 65536\nmemory other 65536\n"
      "func f(a: i32, b: i32, x: i64, y: i64, s: f32, t: f32, p: f64, q: f64) {\n" +
      std::string(statements) + "\n}\n");
}

// All messages of a program with mistakes, one a line, as "line:column: message".
inline std::string mistakes_of(std::string_view source, const Files& files = {},
                               text::Options options = {}) {
  std::string all;
  for (const auto& found : assemble_files(source, files, options).diagnostics) {
    all += std::to_string(found.line) + ":" + std::to_string(found.column) + ": " + found.message +
           "\n";
  }
  return all;
}

}  // namespace atollvm::test
