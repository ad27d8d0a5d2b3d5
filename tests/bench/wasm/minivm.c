// An interpreter for a stack machine: a switch in a loop, unpredictable branches.
#include <stdint.h>
#include <stdio.h>

enum { PUSH, ADD, SUB, MUL, XOR, SHR, LOAD, STORE, JNZ, JMP, LT, JZ, DUP, AND, HALT };
#ifndef SIZE
#define SIZE 2500000
#endif
static volatile int LIM = SIZE;

// Two assignments, then a loop from word 8 on. main sets word 14 to HALT's place.
// clang-format off
static int32_t code[] = {
    PUSH, 0, STORE, 0, PUSH, 1, STORE, 1,
    LOAD, 0, LOAD, 2, LT, JZ, 51,
    LOAD, 1, PUSH, 1664525, MUL, PUSH, 1013904223, ADD, STORE, 1,
    LOAD, 0, PUSH, 3, AND, JZ, 39,
    LOAD, 3, LOAD, 1, ADD, STORE, 3,
    LOAD, 3, LOAD, 0, XOR, STORE, 3,
    LOAD, 0, PUSH, 1, ADD, STORE, 0, JMP, 8, HALT};
// clang-format on

static int32_t run(const int32_t* c, int32_t* loc) {
  int32_t st[64];
  int sp = 0, pc = 0;
  for (;;) {
    switch (c[pc++]) {
      case PUSH:
        st[sp++] = c[pc++];
        break;
      case ADD:
        sp--;
        st[sp - 1] = (int32_t)((uint32_t)st[sp - 1] + (uint32_t)st[sp]);
        break;
      case SUB:
        sp--;
        st[sp - 1] = (int32_t)((uint32_t)st[sp - 1] - (uint32_t)st[sp]);
        break;
      case MUL:
        sp--;
        st[sp - 1] = (int32_t)((uint32_t)st[sp - 1] * (uint32_t)st[sp]);
        break;
      case XOR:
        sp--;
        st[sp - 1] ^= st[sp];
        break;
      case SHR:
        sp--;
        st[sp - 1] = (int32_t)((uint32_t)st[sp - 1] >> (st[sp] & 31));
        break;
      case AND:
        sp--;
        st[sp - 1] &= st[sp];
        break;
      case LOAD:
        st[sp++] = loc[c[pc++]];
        break;
      case STORE:
        loc[c[pc++]] = st[--sp];
        break;
      case JNZ: {
        int t = c[pc++];
        if (st[--sp]) pc = t;
        break;
      }
      case JZ: {
        int t = c[pc++];
        if (!st[--sp]) pc = t;
        break;
      }
      case JMP:
        pc = c[pc];
        break;
      case LT:
        sp--;
        st[sp - 1] = st[sp - 1] < st[sp];
        break;
      case DUP:
        st[sp] = st[sp - 1];
        sp++;
        break;
      case HALT:
        return loc[3];
    }
  }
}

int main(void) {
  int32_t loc[8] = {0};
  loc[2] = LIM;
  code[14] = (int32_t)(sizeof code / sizeof *code) - 1;
  printf("%d\n", (int)run(code, loc));
  return 0;
}
