// The numbers and structures that host calls and guests agree on. Internal to the folder.
#pragma once

#include <span>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::host {

struct Constant {
  std::string_view name;
  i64 value = 0;
  std::string_view text;
};
struct ConstantGroup {
  std::string_view title;
  std::string_view prefix;  // guests write it and then the names in capital letters
  std::span<const Constant> constants;
};
std::span<const ConstantGroup> constant_groups();

struct Field {
  std::string_view name;
  std::string_view type;  // as in source
  std::string_view text;
};
struct Structure {
  std::string_view name;
  std::string_view text;
  std::span<const Field> fields;
};
std::span<const Structure> structures();

}  // namespace atollvm::host
