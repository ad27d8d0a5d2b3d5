// Suggestions for misspelt names.
#pragma once

#include <string>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm::base {

// Finds the name among many that somebody may have meant by another, which outlives it.
class NearMiss {
 public:
  explicit NearMiss(std::string_view wanted) : wanted_(wanted) {}
  void consider(std::string_view name);
  // "did you mean `x`?" or nothing.
  [[nodiscard]] std::string hint() const;

 private:
  std::string_view wanted_;
  std::string best_;
  u32 budget_ = 20'000;  // names to look at, so that a mistake in a huge program stays cheap
  u32 distance_ = ~0u;
};

}  // namespace atollvm::base
