#include "vm/runtime/trap.hpp"

namespace atollvm::runtime {

std::string_view text(Trap trap) {
  switch (trap) {
#define TRAP(id, text) \
  case Trap::id:       \
    return text;
#include "vm/runtime/traps.def"
#undef TRAP
  }
  return "unknown trap";
}

}  // namespace atollvm::runtime
