// Floats as text and as bits, exactly: every bit pattern has a text that gives it back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::text {

// The shortest decimal number that gives these bits, always with a point or an exponent; or "inf",
// "nan" (the canonical one), "nan:0x200000" (with this fraction), each perhaps after a "-".
std::string f32_text(u32 bits);
std::string f64_text(u64 bits);

// The bits of a literal without a sign: decimal or hexadecimal, "inf", "nan", "nan:0x...";
// underscores are skipped. Decimal and hexadecimal numbers are rounded once, to nearest even.
// Nothing if it is none, overflows to infinity, or a NaN's fraction is 0 or does not fit.
std::optional<u32> f32_bits(std::string_view literal);
std::optional<u64> f64_bits(std::string_view literal);

}  // namespace atollvm::text
