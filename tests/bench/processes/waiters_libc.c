// Processes of a small C program with WASI's C library: `waiters_libc [COUNT]`. Each changes its
// data, uses its stack, and takes memory from malloc.
#include <stdlib.h>
#include <string.h>

#include "waiters.h"

static int32_t table[256] = {2, 3, 5, 7, 11, 13, 17, 19};
static void* kept;

static void settle(void) {
  volatile char stack[512];
  for (int i = 0; i < 512; i++) stack[i] = (char)i;
  for (int i = 8; i < 256; i++) table[i] = table[i - 1] + stack[i];
  kept = malloc(1000);
  check(kept != NULL);
  memset(kept, 1, 1000);
}

static void* room(uint32_t bytes) {
  void* p = malloc(bytes);
  check(p != NULL);
  return p;
}

int main(void) {
  begin();
  return 0;
}
