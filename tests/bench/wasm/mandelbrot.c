// Floating-point arithmetic in a loop.
#include <stdio.h>

#ifndef SIZE
#define SIZE 700
#endif
#define W SIZE
#define MAXI 200

int main(void) {
  long tot = 0;
  for (int y = 0; y < W; y++)
    for (int x = 0; x < W; x++) {
      double cr = 2.0 * x / W - 1.5, ci = 2.0 * y / W - 1.0, zr = 0, zi = 0, r2 = 0, i2 = 0;
      int n = 0;
      while (n < MAXI && r2 + i2 <= 4.0) {
        zi = 2 * zr * zi + ci;
        zr = r2 - i2 + cr;
        r2 = zr * zr;
        i2 = zi * zi;
        n++;
      }
      tot += n;
    }
  printf("%ld\n", tot);
  return 0;
}
