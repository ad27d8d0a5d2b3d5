// Processes with a memory of one page, of which each touches the first 4 KiB:
// `waiters_page [COUNT]`. Without a C library, linked so that its data and its stack are in these
// 4 KiB too.
#include "waiters.h"

extern unsigned char __heap_base[];  // the end of data and stack, by the linker

static void settle(void) {
  for (volatile unsigned char* p = __heap_base; p < (unsigned char*)4096; p++) *p = 1;
}

static void* room(uint32_t bytes) {
  const unsigned long pages = __builtin_wasm_memory_grow(0, (bytes + 65535) / 65536);
  check(pages != (unsigned long)-1);
  return (void*)(pages * 65536);
}

__attribute__((export_name("main"))) int32_t run(void) {
  begin();
  return 0;
}
