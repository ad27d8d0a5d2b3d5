// Why guest code was stopped.
#pragma once

#include <cstdint>
#include <string_view>

#pragma GCC visibility push(default)
namespace atollvm {

enum class Trap : std::uint8_t {
  unreachable,
  divide_by_zero,
  integer_overflow,
  invalid_conversion,
  memory_bounds,
  table_bounds,
  undefined_element,
  null_reference,
  type_mismatch,
  invalid_reference,
  stack_overflow,
  out_of_fuel,
  time_limit,
  interrupted,
  out_of_memory,
  host_error,
  unknown_import,
};
// A short text for people, e.g. "integer divide by zero". Any thread.
std::string_view to_text(Trap trap) noexcept;

}  // namespace atollvm
#pragma GCC visibility pop
