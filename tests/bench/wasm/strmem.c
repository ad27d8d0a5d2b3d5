// The C library's string and memory functions.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SIZE
#define SIZE 1200
#endif
#define REP SIZE
static char text[65536], out[131072], tmp[131072];

int main(void) {
  uint32_t s = 7;
  size_t p = 0;
  static const char* w[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"};
  while (p < 60000) {
    s = s * 1103515245u + 12345u;
    const char* x = w[(s >> 16) & 7];
    size_t l = strlen(x);
    memcpy(text + p, x, l);
    p += l;
    text[p++] = ' ';
  }
  text[p] = 0;
  unsigned long h = 0;
  for (int r = 0; r < REP; r++) { /* replace words, compare, copy */
    size_t o = 0;
    const char* q = text;
    while (*q) {
      const char* e = strchr(q, ' ');
      size_t l = (size_t)(e - q);
      if (l == 5 && !memcmp(q, "delta", 5)) {
        memcpy(out + o, "DELTA!", 6);
        o += 6;
      } else {
        memcpy(out + o, q, l);
        o += l;
      }
      out[o++] = '_';
      q = e + 1;
    }
    out[o] = 0;
    memmove(tmp + 1, out, o + 1);
    tmp[0] = 'x';
    memset(out, r & 255, 64);
    h = h * 31 + strlen(tmp) + (unsigned char)tmp[(r * 131u) % o] + (strstr(tmp, "zzz") != 0);
    memcpy(out, tmp, o);
    h += (unsigned)(strcmp(out, tmp) != 0);
  }
  printf("%lu\n", h & 0xffffffffUL);
  return 0;
}
