// Runs processes in the tier that tests are for.
#pragma once

#include "tests/support/engine.hpp"
#include "vm/interp/interp.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm::test {

inline runtime::Outcome run_tier(runtime::Process& process) {
  switch (tier()) {
    case Tier::jit:
      return jit::run(process);
    case Tier::automatic:
      return jit::run_auto(process);
    case Tier::interp:
      break;
  }
  return interp::run(process);
}

}  // namespace atollvm::test
