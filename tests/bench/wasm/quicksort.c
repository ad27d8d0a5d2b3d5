// Quicksort of random numbers.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef SIZE
#define SIZE 5000000
#endif
#define N SIZE
static void qs(int32_t* a, int lo, int hi) {
  while (lo < hi) {
    int32_t p = a[(lo + hi) >> 1];
    int i = lo, j = hi;
    while (i <= j) {
      while (a[i] < p) i++;
      while (a[j] > p) j--;
      if (i <= j) {
        int32_t t = a[i];
        a[i] = a[j];
        a[j] = t;
        i++;
        j--;
      }
    }
    if (j - lo < hi - i) {
      qs(a, lo, j);
      lo = i;
    } else {
      qs(a, i, hi);
      hi = j;
    }
  }
}

int main(void) {
  int32_t* a = malloc(N * 4L);
  uint32_t s = 12345;
  for (int i = 0; i < N; i++) {
    s = s * 1664525u + 1013904223u;
    a[i] = (int32_t)(s >> 1);
  }
  qs(a, 0, N - 1);
  for (int i = 1; i < N; i++)
    if (a[i - 1] > a[i]) {
      puts("BAD");
      return 1;
    }
  printf("%d %d %d\n", (int)a[0], (int)a[N / 2], (int)a[N - 1]);
  return 0;
}
