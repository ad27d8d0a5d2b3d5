// Values that go into functions of a guest and come out of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)
namespace atollvm {

enum class ValueType : std::uint8_t { i32, i64, f32, f64, funcref, externref };
// "i32", "funcref" and so on. Any thread.
std::string_view to_text(ValueType type) noexcept;

struct Value {
  ValueType type = ValueType::i32;
  // The number's bits, those of i32 and f32 zero-extended. A reference: 0 is null, all else means
  // something in its process alone.
  std::uint64_t bits = 0;
};

// A number as a person writes it: decimal or 0x and hexadecimal digits, integers from the least
// signed to the largest unsigned; floats also "inf", "nan" and "nan:0x..."; references: "null".
// Nothing: it is none of that type. Any thread.
std::optional<Value> parse_value(ValueType type, std::string_view text);

// As parse_value reads it; integers signed. Any thread.
std::string to_text(const Value& value);

struct FunctionType {
  std::vector<ValueType> parameters;
  std::vector<ValueType> results;
};

}  // namespace atollvm
#pragma GCC visibility pop
