// Collects mistakes with their places.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "assembler/text/assemble.hpp"
#include "assembler/text/lexer.hpp"
#include "vm/base/near_miss.hpp"

namespace atollvm::text {

// Thrown inside the assembler only: the rest of a statement or item makes no sense any more.
struct Stop {};
// Thrown inside the assembler only: there are as many mistakes as anybody wants to read.
struct Enough {};

// Bytes of a source.
struct Place {
  u32 file = 0;
  u32 begin = 0;
  u32 length = 1;
};

class Reporter {
 public:
  Reporter(const std::vector<std::unique_ptr<File>>& files, u32 max_errors)
      : files_(files), max_errors_(max_errors == 0 ? 1 : max_errors) {}

  // Notes a mistake, but a second one at the same place. Throws Enough at the limit.
  void error(Place place, std::string message, std::string hint = {});
  // Mistakes from now on are in a macro used there.
  void set_macro_use(std::optional<Place> use) { macro_use_ = use; }
  [[nodiscard]] u32 line_of(Place place) const;
  [[nodiscard]] bool ok() const { return list_.empty(); }
  [[nodiscard]] usize count() const { return list_.size(); }
  // All of them, in the order of files and places.
  std::vector<Diagnostic> take();

 private:
  struct Entry {
    Place place;
    Diagnostic diagnostic;
  };
  const std::vector<std::unique_ptr<File>>& files_;
  u32 max_errors_;
  std::optional<Place> macro_use_;
  std::vector<Entry> list_;
};

using base::NearMiss;

// "`name`", made fit to print.
std::string quoted(std::string_view name);
// The text with invalid UTF-8 and control characters (other than tabs) replaced.
std::string printable(std::string_view text);
// Number of characters (code points) in valid UTF-8.
u32 characters(std::string_view text);

}  // namespace atollvm::text
