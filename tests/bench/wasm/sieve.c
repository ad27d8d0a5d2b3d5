// The sieve of Eratosthenes: bytes in memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SIZE
#define SIZE 2000000
#endif
#define N SIZE
#ifndef REP
#define REP 20
#endif

int main(void) {
  unsigned char* s = malloc(N + 1);
  long tot = 0;
  for (int r = 0; r < REP; r++) {
    memset(s, 1, N + 1);
    int c = 0;
    for (int i = 2; i <= N; i++)
      if (s[i]) {
        c++;
        for (long j = (long)i + i; j <= N; j += i) s[j] = 0;
      }
    tot += c;
  }
  printf("%ld\n", tot);
  return 0;
}
