// Recursive calls.
#include <stdio.h>

#ifndef SIZE
#define SIZE 38
#endif
static volatile int N = SIZE;
__attribute__((noinline)) static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(void) {
  printf("%d\n", fib(N));
  return 0;
}
