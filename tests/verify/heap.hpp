// What this test program has allocated (hostile_test.cpp counts it).
#pragma once

#include <cstddef>

namespace atollvm::test {

// Bytes that operator new has given out, with the allocator's own word for each block. Nothing is
// counted under ThreadSanitizer.
struct Heap {
  std::size_t now = 0;
  std::size_t peak = 0;
};
extern Heap heap;

}  // namespace atollvm::test
