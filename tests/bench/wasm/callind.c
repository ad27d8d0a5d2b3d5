// Calls through a table of functions.
#include <stdint.h>
#include <stdio.h>

typedef uint32_t (*operation)(uint32_t, uint32_t);

#define OPERATION(name, result) \
  __attribute__((noinline)) static uint32_t name(uint32_t a, uint32_t b) { return result; }
OPERATION(f0, a + b)
OPERATION(f1, a ^ b)
OPERATION(f2, a * 3 + b)
OPERATION(f3, a - b)
OPERATION(f4, (a << 1) ^ b)
OPERATION(f5, (a >> 1) + b)
OPERATION(f6, a | (b & 7))
OPERATION(f7, 1 + a * b)

static operation table[8] = {f0, f1, f2, f3, f4, f5, f6, f7};
#ifndef SIZE
#define SIZE 25000000
#endif
static volatile int N = SIZE;

int main(void) {
  uint32_t acc = 1;
  int n = N;
  for (int i = 0; i < n; i++) acc = table[(acc ^ (acc >> 7) ^ i) & 7](acc, (uint32_t)i);
  printf("%u\n", (unsigned)acc);
  return 0;
}
