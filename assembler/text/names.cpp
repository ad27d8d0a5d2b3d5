#include "assembler/text/names.hpp"

#include "assembler/text/mnemonics.hpp"

namespace atollvm::text {

namespace {

// The low bits of the running hash depend on all characters only after this.
u32 finish(u32 hash) { return hash ^ hash >> 15; }

u32 hash_of(std::string_view text) {
  u32 hash = Names::seed;
  for (char c : text) hash = Names::step(hash, c);
  return hash;
}

}  // namespace

const Names& Names::fixed() {
  static const Names names = [] {
    Names made;
#define ATOLL_WORD(id, text) made.intern(text);
    ATOLL_WORDS(ATOLL_WORD, ATOLL_WORD)
#undef ATOLL_WORD
    for (const Mnemonic& mnemonic : mnemonics()) made.intern(mnemonic.name);
    return made;
  }();
  return names;
}

Symbol Names::intern(std::string_view text) { return intern(text, hash_of(text)); }

Symbol Names::intern(std::string_view text, u32 hash) {
  if (texts_.size() * 2 >= slots_.size()) grow();
  const u32 mask = static_cast<u32>(slots_.size()) - 1;
  for (u32 at = finish(hash) & mask;; at = (at + 1) & mask) {
    const u32 held = slots_[at];
    if (held == 0) {
      slots_[at] = size() + 1;
      texts_.push_back(text);
      hashes_.push_back(hash);
      return size() - 1;
    }
    if (hashes_[held - 1] == hash && texts_[held - 1] == text) return held - 1;
  }
}

Symbol Names::find(std::string_view text) const {
  if (slots_.empty()) return none;
  const u32 mask = static_cast<u32>(slots_.size()) - 1;
  for (u32 at = finish(hash_of(text)) & mask; slots_[at] != 0; at = (at + 1) & mask) {
    if (texts_[slots_[at] - 1] == text) return slots_[at] - 1;
  }
  return none;
}

void Names::grow() {
  slots_.assign(slots_.empty() ? 2048 : slots_.size() * 2, 0);
  const u32 mask = static_cast<u32>(slots_.size()) - 1;
  for (u32 symbol = 0; symbol < size(); ++symbol) {
    u32 at = finish(hashes_[symbol]) & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    slots_[at] = symbol + 1;
  }
}

}  // namespace atollvm::text
