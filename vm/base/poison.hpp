// Telling AddressSanitizer which bytes nobody may read or write. Nothing in other builds.
#pragma once

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif

#include "vm/base/types.hpp"

namespace atollvm::base {

// From now on an access to one of `bytes` bytes at `at` is reported.
inline void poison([[maybe_unused]] const void* at, [[maybe_unused]] u64 bytes) {
#ifdef ASAN_POISON_MEMORY_REGION
  ASAN_POISON_MEMORY_REGION(at, bytes);
#endif
}
// Allowed again. Needed before munmap too: the address may come back from another mmap.
inline void unpoison([[maybe_unused]] const void* at, [[maybe_unused]] u64 bytes) {
#ifdef ASAN_UNPOISON_MEMORY_REGION
  ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#endif
}

}  // namespace atollvm::base
