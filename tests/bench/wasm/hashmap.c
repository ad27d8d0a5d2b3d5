// A hash table with open addressing, of 64-bit keys.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CAP (1u << 18)
#ifndef SIZE
#define SIZE 150000
#endif
#define NK SIZE
#ifndef REP
#define REP 8
#endif
static uint64_t* keys;
static uint32_t* vals;
static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

__attribute__((noinline)) static void put(uint64_t k, uint32_t v) {
  uint32_t i = (uint32_t)mix(k) & (CAP - 1);
  while (keys[i] && keys[i] != k) i = (i + 1) & (CAP - 1);
  keys[i] = k;
  vals[i] += v;
}

__attribute__((noinline)) static uint32_t get(uint64_t k) {
  uint32_t i = (uint32_t)mix(k) & (CAP - 1);
  while (keys[i]) {
    if (keys[i] == k) return vals[i];
    i = (i + 1) & (CAP - 1);
  }
  return 0;
}

int main(void) {
  keys = calloc(CAP, 8);
  vals = calloc(CAP, 4);
  uint64_t s = 88172645463325252ULL, sum = 0;
  for (int r = 0; r < REP; r++) {
    s = 88172645463325252ULL;
    for (int i = 0; i < NK; i++) {
      s ^= s << 13;
      s ^= s >> 7;
      s ^= s << 17;
      put(s | 1, (uint32_t)i + r);
    }
    uint64_t q = 88172645463325252ULL;
    for (int i = 0; i < 2 * NK; i++) {
      q ^= q << 13;
      q ^= q >> 7;
      q ^= q << 17;
      sum += get(q | 1);
    }
  }
  printf("%llu\n", (unsigned long long)sum);
  return 0;
}
