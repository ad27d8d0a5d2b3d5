#include "tests/conformance/values.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <stdexcept>

namespace atollvm::conformance {

namespace {

bool is_reference(const std::string& type) { return type == "funcref" || type == "externref"; }
bool is_narrow(const std::string& type) { return type == "i32" || type == "f32"; }

u64 number(const std::string& text) {
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::runtime_error("not a number: " + text);
  }
  return value;
}

}  // namespace

u64 slot_of(const nlohmann::json& value) {
  const std::string type = value.at("type");
  const std::string text = value.at("value");
  if (is_reference(type)) return text == "null" ? 0 : number(text) + 1;
  if (type != "i32" && type != "i64" && type != "f32" && type != "f64") {
    throw std::runtime_error("a value of type " + type);
  }
  const u64 bits = number(text);
  if (is_narrow(type) && bits > 0xffff'ffff) throw std::runtime_error("not 32 bits: " + text);
  return bits;
}

bool matches(const nlohmann::json& expected, u64 slot) {
  const std::string type = expected.at("type");
  if (is_narrow(type)) slot &= 0xffff'ffff;  // the rest of the slot means nothing
  if (is_reference(type) && !expected.contains("value")) return slot != 0;
  const std::string text = expected.at("value");
  if (text == "nan:canonical" || text == "nan:arithmetic") {
    if (type != "f32" && type != "f64") throw std::runtime_error("a NaN of type " + type);
    // Without the sign: exactly the quiet bit, or at least that.
    const bool narrow = type == "f32";
    const u64 magnitude = slot & (narrow ? 0x7fff'ffff : 0x7fff'ffff'ffff'ffff);
    const u64 canonical = narrow ? 0x7fc0'0000 : 0x7ff8'0000'0000'0000;
    return text == "nan:canonical" ? magnitude == canonical : (magnitude & canonical) == canonical;
  }
  return slot == slot_of(expected);
}

std::string text_of(const nlohmann::json& expected) {
  const std::string type = expected.at("type");
  if (!expected.contains("value")) return "any " + type;
  const std::string value = expected.at("value");
  if (value.starts_with("nan:")) return type + " " + value;
  return text_of(type, slot_of(expected));
}

std::string text_of(const std::string& type, u64 slot) {
  if (type == "i32") return fmt::format("i32 {}", static_cast<i32>(slot));
  if (type == "i64") return fmt::format("i64 {}", static_cast<i64>(slot));
  if (type == "f32") {
    return fmt::format("f32 {:#x} ({})", static_cast<u32>(slot),
                       std::bit_cast<f32>(static_cast<u32>(slot)));
  }
  if (type == "f64") return fmt::format("f64 {:#x} ({})", slot, std::bit_cast<f64>(slot));
  if (slot == 0) return type + " null";
  return type == "externref" ? fmt::format("externref {}", slot - 1)
                             : fmt::format("{} {:#x}", type, slot);
}

}  // namespace atollvm::conformance
