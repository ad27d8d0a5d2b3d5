// A reactor: it has no main, only what is called from outside.
#include <stdio.h>

static int ready;

__attribute__((constructor)) static void begin(void) {
  ready = 1;
  puts("initialized");
  fflush(stdout);
}

__attribute__((export_name("is_ready"))) int is_ready(void) { return ready; }
