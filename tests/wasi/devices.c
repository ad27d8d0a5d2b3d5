// Devices and texts about the process, by the C library.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                              \
  do {                                                \
    if (!(condition)) {                               \
      printf("line %d: errno %d\n", __LINE__, errno); \
      exit(1);                                        \
    }                                                 \
  } while (0)

int main(void) {
  char bytes[5000];
  FILE* null = fopen("/dev/null", "w");
  CHECK(null != NULL);
  CHECK(fputs("gone", null) >= 0);
  CHECK(fclose(null) == 0);
  FILE* zero = fopen("/dev/zero", "r");
  CHECK(zero != NULL);
  memset(bytes, 1, sizeof bytes);
  CHECK(fread(bytes, 1, sizeof bytes, zero) == sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; ++i) CHECK(bytes[i] == 0);
  int random = open("/dev/urandom", O_RDONLY);
  CHECK(random >= 0);
  CHECK(read(random, bytes, sizeof bytes) == sizeof bytes);
  int full = open("/dev/full", O_WRONLY);
  CHECK(full >= 0);
  CHECK(write(full, bytes, 1) == -1 && errno == ENOSPC);
  CHECK(open("/dev/mem", O_RDONLY) == -1 && errno == ENOENT);
  CHECK(open("/dev/null", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
  struct stat status;
  CHECK(stat("/dev/null", &status) == 0 && S_ISCHR(status.st_mode));
  CHECK(fstat(full, &status) == 0 && S_ISCHR(status.st_mode));
  CHECK(isatty(full) == 0);
  CHECK(unlink("/dev/null") == -1 && errno == EROFS);
  FILE* mounts = fopen("/proc/self/mounts", "r");
  CHECK(mounts != NULL);
  while (fgets(bytes, sizeof bytes, mounts)) fputs(bytes, stdout);
  FILE* out = fopen("/dev/stdout", "w");
  CHECK(out != NULL);
  fflush(stdout);
  fputs("all good\n", out);
  return fclose(out);
}
