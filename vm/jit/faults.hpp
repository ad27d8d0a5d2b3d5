// Faults of compiled code on the guards of memories, which are traps of the guest.
#pragma once

namespace atollvm::jit {

// Whether they are caught: the first call sets a handler of SIGSEGV for the host's process. Faults
// that are not such an access by compiled code go to the handler that was there before, or have the
// effect that they had. Whoever sets a handler later must pass on what is not his. Any thread.
bool catches_faults();

}  // namespace atollvm::jit
