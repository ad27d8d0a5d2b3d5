// One thread: what is local to a thread is global. A key holds its value, an address.
#pragma once
#include <sys/types.h>

#define PTHREAD_ONCE_INIT 0

static inline int pthread_once(pthread_once_t* done, void (*function)(void)) {
  if (!*done) {
    *done = 1;
    function();
  }
  return 0;
}
static inline int pthread_key_create(pthread_key_t* key, void (*at_exit)(void*)) {
  (void)at_exit;
  *key = 0;
  return 0;
}
#define pthread_getspecific(key) ((void*)(key))
#define pthread_setspecific(key, value) ((key) = (pthread_key_t)(value), 0)
