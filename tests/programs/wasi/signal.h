// Handlers can be set, and are called by raise() only, as wasi-libc emulates it; nothing is masked.
#pragma once
#include_next <signal.h>

#ifndef SIG_BLOCK
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define SA_RESTART 0

#ifndef __DEFINED_sigset_t
typedef unsigned long sigset_t;
#endif
struct sigaction {
  void (*sa_handler)(int);
  sigset_t sa_mask;
  int sa_flags;
};
static inline int sigaction(int number, const struct sigaction* set, struct sigaction* old) {
  if (old) old->sa_handler = SIG_DFL;
  return set && signal(number, set->sa_handler) == SIG_ERR ? -1 : 0;
}
#define sigemptyset(mask) ((void)(mask), 0)
#define sigaddset(mask, number) ((void)(mask), (void)(number), 0)
#define sigprocmask(how, mask, old) ((void)(how), (void)(mask), (void)(old), 0)
#endif
