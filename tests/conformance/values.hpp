// Arguments and expected results as wast2json writes them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "vm/module/module.hpp"

namespace atollvm::conformance {

// The slot of an argument, e.g. {"type": "i32", "value": "7"}. Numbers are the bits in decimal; a
// host reference n is slot n + 1, as 0 is null. Throws nlohmann's exceptions and
// std::runtime_error for what is no value.
u64 slot_of(const nlohmann::json& value);

// Whether a result is what was expected: the exact bits, nan:canonical (only the highest bit of the
// payload is set), nan:arithmetic (the highest bit is set), or a reference; without a value any
// that is not null. Throws as slot_of.
bool matches(const nlohmann::json& expected, u64 slot);

// For messages: "f32 0x7fc00000 (nan)".
std::string text_of(const nlohmann::json& expected);
std::string text_of(const std::string& type, u64 slot);

}  // namespace atollvm::conformance
