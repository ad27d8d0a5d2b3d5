// Names as numbers: every name of a source text is interned once, and words of the language and
// operations have fixed numbers below all others.
#pragma once

#include <string_view>
#include <vector>

#include "vm/base/types.hpp"

namespace atollvm::text {

using Symbol = u32;

// Words that mean something to the assembler. R: can never be a name; C: only in its place.
// clang-format off
#define ATOLL_WORDS(R, C) \
  R(func, "func") R(var, "var") R(if_, "if") R(else_, "else") R(while_, "while") \
  R(loop, "loop") R(for_, "for") R(switch_, "switch") R(break_, "break") \
  R(continue_, "continue") R(and_, "and") R(or_, "or") R(not_, "not") R(export_, "export") \
  R(import_, "import") R(extern_, "extern") R(macro, "macro") R(struct_, "struct") \
  R(enum_, "enum") R(const_, "const") R(null, "null") R(inf, "inf") R(nan, "nan") \
  R(heap_base, "heap_base") R(i32, "i32") R(i64, "i64") R(f32, "f32") R(f64, "f64") \
  R(funcref, "funcref") R(externref, "externref") R(i8, "i8") R(u8, "u8") R(i16, "i16") \
  R(u16, "u16") R(u32, "u32") R(u64, "u64") C(module, "module") C(use, "use") \
  C(packed, "packed") C(memory, "memory") C(data, "data") C(reserve, "reserve") \
  C(passive, "passive") C(global, "global") C(table, "table") C(elem, "elem") C(type, "type") \
  C(start, "start") C(raw, "raw") C(in, "in") C(unsigned_, "unsigned") C(step, "step") \
  C(mut, "mut") C(align, "align") C(zero, "zero") C(file, "file") C(pages, "pages") \
  C(from, "from") C(locals, "locals") C(frame, "frame") C(sizeof_, "sizeof") \
  C(alignof_, "alignof") C(len, "len") C(line, "line") C(test, "test")
// clang-format on

enum class Keyword : Symbol {
#define ATOLL_WORD(id, text) id,
  ATOLL_WORDS(ATOLL_WORD, ATOLL_WORD)
#undef ATOLL_WORD
};

inline constexpr u32 reserved_words = 0
#define ATOLL_ONE(id, text) +1
#define ATOLL_NONE(id, text)
    ATOLL_WORDS(ATOLL_ONE, ATOLL_NONE)
#undef ATOLL_NONE
    ;
inline constexpr u32 word_count = 0 ATOLL_WORDS(ATOLL_ONE, ATOLL_ONE);
#undef ATOLL_ONE

// A growing table of names. The texts are not copied: they must outlive it.
class Names {
 public:
  // Holds the words, then the operations (mnemonics.hpp), at their fixed numbers.
  static const Names& fixed();

  Names() = default;

  static u32 step(u32 hash, char c) { return (hash ^ static_cast<u8>(c)) * 0x01000193u; }
  static constexpr u32 seed = 0x811c9dc5u;

  // The number of a name whose characters were all put through `step`.
  Symbol intern(std::string_view text, u32 hash);
  Symbol intern(std::string_view text);
  // The number of a name, or `none`.
  [[nodiscard]] Symbol find(std::string_view text) const;

  [[nodiscard]] std::string_view text(Symbol symbol) const { return texts_[symbol]; }
  [[nodiscard]] u32 size() const { return static_cast<u32>(texts_.size()); }

  static constexpr Symbol none = ~0u;

 private:
  void grow();

  std::vector<std::string_view> texts_;
  std::vector<u32> hashes_;
  std::vector<u32> slots_;  // number + 1, or 0: free; size is a power of two
};

}  // namespace atollvm::text
