// flock(), and fcntl() with F_SETLK and F_SETLKW, for programs of WASI, over Atoll's locks:
// include it behind <fcntl.h> and <sys/file.h>, which only declare them.
//
// The locks are those of an open file, as flock's and as Linux's F_OFD_SETLK: not of the process.
// Exclusive ones need a descriptor that is open for writing. There is no F_GETLK.
#pragma once

#include <atoll.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/file.h>
#include <unistd.h>

#ifndef F_SETLK
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define F_SETLK 6
#define F_SETLKW 7
#endif

static inline int atoll_lock_result(int32_t result) {
  if (result >= 0) return 0;
  // What is in the way is EAGAIN for POSIX. The other numbers are WASI's errno.
  errno = result == -ATOLL_E_TIMEDOUT ? EAGAIN : -result;
  return -1;
}

static inline int atoll_flock(int fd, int operation) {
  const int kind = operation & ~LOCK_NB;
  if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) {
    errno = EINVAL;
    return -1;
  }
  const int32_t wanted = kind == LOCK_SH   ? ATOLL_LOCK_SHARED
                         : kind == LOCK_EX ? ATOLL_LOCK_EXCLUSIVE
                                           : ATOLL_LOCK_NONE;
  return atoll_lock_result(atoll_lock(fd, wanted, 0, 0, (operation & LOCK_NB) != 0 ? 0 : -1));
}

static inline int atoll_fcntl_lock(int fd, const struct flock* lock, int waits) {
  int64_t from = lock->l_start;
  if (lock->l_whence != SEEK_SET) {
    const off_t now = lseek(fd, 0, SEEK_CUR);
    const off_t base = lock->l_whence == SEEK_CUR ? now : lseek(fd, 0, SEEK_END);
    if (now < 0 || base < 0 || lseek(fd, now, SEEK_SET) < 0) return -1;
    if (__builtin_add_overflow(from, (int64_t)base, &from)) from = -1;
  }
  int64_t size = lock->l_len;
  if (size < 0 && __builtin_add_overflow(from, size, &from)) from = -1;
  if (size < 0) size = size == INT64_MIN ? -1 : -size;
  const int32_t wanted = lock->l_type == F_RDLCK   ? ATOLL_LOCK_SHARED
                         : lock->l_type == F_WRLCK ? ATOLL_LOCK_EXCLUSIVE
                         : lock->l_type == F_UNLCK ? ATOLL_LOCK_NONE
                                                   : -1;
  return atoll_lock_result(atoll_lock(fd, wanted, from, size, waits ? -1 : 0));
}

static inline int atoll_fcntl(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  int result = 0;
  if (command == F_SETLK || command == F_SETLKW) {
    result = atoll_fcntl_lock(fd, va_arg(more, const struct flock*), command == F_SETLKW);
  } else {
    result = (fcntl)(fd, command, command == F_SETFD || command == F_SETFL ? va_arg(more, int) : 0);
  }
  va_end(more);
  return result;
}

#define flock(fd, operation) atoll_flock(fd, operation)
#define fcntl(...) atoll_fcntl(__VA_ARGS__)
