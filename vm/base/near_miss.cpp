#include "vm/base/near_miss.hpp"

#include <algorithm>
#include <array>

namespace atollvm::base {

namespace {

constexpr usize max_compared = 64;  // characters of a name

// Insertions, deletions, replacements and swaps of neighbours.
u32 edit_distance(std::string_view x, std::string_view y) {
  std::array<std::array<u32, max_compared + 1>, 3> rows{};
  for (u32 j = 0; j <= y.size(); ++j) rows[0][j] = j;
  for (u32 i = 1; i <= x.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (u32 j = 1; j <= y.size(); ++j) {
      u32 best = above[j - 1] + (x[i - 1] != y[j - 1]);
      best = std::min({best, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1]) {
        best = std::min(best, two_above[j - 2] + 1);
      }
      row[j] = best;
    }
  }
  return rows[x.size() % 3][y.size()];
}

}  // namespace

void NearMiss::consider(std::string_view name) {
  const usize longer = std::max(name.size(), wanted_.size());
  const usize shorter = std::min(name.size(), wanted_.size());
  if (longer > max_compared || longer - shorter > 2 || budget_ == 0) return;
  --budget_;
  const u32 allowed = wanted_.size() <= 2 ? 1 : wanted_.size() <= 5 ? 2 : 3;
  const u32 distance = edit_distance(wanted_, name);
  if (distance > allowed || distance >= longer) return;
  if (distance < distance_ || (distance == distance_ && name < best_)) {
    distance_ = distance;
    best_ = name;
  }
}

std::string NearMiss::hint() const {
  return best_.empty() ? std::string() : "did you mean `" + best_ + "`?";
}

}  // namespace atollvm::base
