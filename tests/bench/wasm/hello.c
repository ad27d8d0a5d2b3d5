// The shortest program: what starting costs.
#include <stdio.h>

int main(void) {
  puts("hello");
  return 0;
}
