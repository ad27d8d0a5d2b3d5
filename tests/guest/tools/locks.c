// flock() and fcntl() by atoll_lock.h: prints what is wrong, and gives the number of that.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <atoll_lock.h>

static int wrong;
static void check(int line, int got, int wanted) {
  if (got == wanted) return;
  printf("line %d: %d, not %d\n", line, got, wanted);
  ++wrong;
}
#define CHECK(got, wanted) check(__LINE__, got, wanted)
// 0, or the errno.
#define ERROR(call) ((call) == 0 ? 0 : errno)

int main(void) {
  const int a = open("file", O_RDWR | O_CREAT, 0600);
  const int b = open("file", O_RDWR);
  const int reader = open("file", O_RDONLY);
  CHECK(a >= 0 && b >= 0 && reader >= 0, 1);
  CHECK(ERROR(flock(a, LOCK_EX)), 0);
  CHECK(ERROR(flock(b, LOCK_SH | LOCK_NB)), EAGAIN);
  CHECK(ERROR(flock(a, LOCK_SH)), 0);
  CHECK(ERROR(flock(b, LOCK_SH | LOCK_NB)), 0);
  CHECK(ERROR(flock(reader, LOCK_SH)), 0);
  CHECK(ERROR(flock(reader, LOCK_EX | LOCK_NB)), ENOTCAPABLE);
  CHECK(ERROR(flock(reader, LOCK_UN)), 0);
  CHECK(ERROR(flock(b, LOCK_UN)), 0);
  CHECK(ERROR(flock(a, LOCK_UN)), 0);
  CHECK(ERROR(flock(a, 0)), EINVAL);
  CHECK(ERROR(flock(99, LOCK_SH)), EBADF);

  CHECK((int)write(a, "0123456789", 10), 10);
  struct flock some = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
  CHECK(ERROR(fcntl(a, F_SETLK, &some)), 0);
  CHECK(ERROR(fcntl(b, F_SETLK, &some)), EAGAIN);
  struct flock behind = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -5, .l_len = 0};
  CHECK(ERROR(fcntl(b, F_SETLKW, &behind)), 0);
  struct flock back = {.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = 0, .l_len = -5};
  CHECK(ERROR(fcntl(a, F_SETLK, &back)), EAGAIN);
  back.l_len = -12;
  CHECK(ERROR(fcntl(a, F_SETLK, &back)), EINVAL);
  CHECK((int)lseek(a, 0, SEEK_CUR), 10);
  some.l_type = F_UNLCK;
  CHECK(ERROR(fcntl(a, F_SETLK, &some)), 0);
  some.l_type = 9;
  CHECK(ERROR(fcntl(a, F_SETLK, &some)), EINVAL);
  CHECK(close(b), 0);
  back.l_len = -5;
  CHECK(ERROR(fcntl(a, F_SETLK, &back)), 0);
  CHECK(fcntl(a, F_GETFL) & O_RDWR, O_RDWR);
  if (wrong == 0) puts("well");
  return wrong;
}
