// For programs that jump only after an error: the error ends them.
#pragma once
#include <stdlib.h>

typedef int jmp_buf[1];
#define setjmp(env) ((void)(env), 0)
#define longjmp(env, value) ((void)(env), (void)(value), abort())
