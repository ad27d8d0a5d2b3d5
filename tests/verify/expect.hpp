// What the tests of the verifier ask: is this module accepted, or refused where and why.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "tests/support/sample_modules.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::test {

inline void accepts(const mod::Module& module) {
  const auto result = verify::verify(module);
  INFO((result.ok() ? std::string() : result.error().text()));
  CHECK(result.ok());
}

// Refused, with these parts in place and message.
inline void refuses(const mod::Module& module, const std::string& place,
                    const std::string& message) {
  const auto result = verify::verify(module);
  INFO("expected: " << place << ": " << message);
  REQUIRE(!result.ok());
  INFO("got: " << result.error().text());
  CHECK(result.error().place.find(place) != std::string::npos);
  CHECK(result.error().message.find(message) != std::string::npos);
}

// universe() with one more function, number 2.
inline mod::Module with(const CodeBuilder& function) {
  ModuleBuilder m = universe();
  m.add(function);
  return std::move(m.module);
}

// The function that with() adds.
inline mod::Function& added(mod::Module& module) { return module.functions.back(); }
inline isa::Word& added_word(mod::Module& module, u32 word) {
  return module.code[added(module).code_begin + word];
}
inline mod::Label& added_label(mod::Module& module, u32 label) {
  return module.labels[added(module).label_begin + label];
}

}  // namespace atollvm::test
