/* What files cost a program: `io MODE FOLDER COUNT`, for WASI and for this machine. Prints the
 * nanoseconds of one operation, of COUNT in a row:
 *   write, read  64 KiB after 64 KiB of one file, 256 MiB long, which write makes;
 *   tiny         64 bytes after 64 bytes of a file of 1 MiB;
 *   small        a file is made, written to (64 bytes), closed, looked at and removed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { block = 65536, blocks = 4096, tiny = 64, tiny_file = 1 << 20 };

static char bytes[block];
static char path[4096];

static void check(int ok, const char* what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static int open_at(const char* folder, const char* name, int flags) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const int file = open(path, flags, 0666);
  check(file >= 0, path);
  return file;
}

static void write_blocks(int file, long count) {
  for (long i = 0; i < count; ++i) {
    if (i % blocks == 0) lseek(file, 0, SEEK_SET);
    check(write(file, bytes, block) == block, "write");
  }
}

static void read_some(int file, long count, int size, long in_file) {
  for (long i = 0; i < count; ++i) {
    if (i % in_file == 0) lseek(file, 0, SEEK_SET);
    check(read(file, bytes, size) == size, "read");
  }
}

static void small_files(const char* folder, long count) {
  for (long i = 0; i < count; ++i) {
    const int file = open_at(folder, "small", O_CREAT | O_EXCL | O_WRONLY);
    check(write(file, bytes, tiny) == tiny, "write");
    check(close(file) == 0, "close");
    struct stat status;
    check(stat(path, &status) == 0 && status.st_size == tiny, "stat");
    check(unlink(path) == 0, "unlink");
  }
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("usage: io write|read|tiny|small FOLDER COUNT\n", stderr);
    return 2;
  }
  const char* mode = argv[1];
  const char* folder = argv[2];
  const long count = atol(argv[3]);
  memset(bytes, 'x', sizeof bytes);
  int file = -1;
  if (strcmp(mode, "tiny") == 0) {
    file = open_at(folder, "tiny", O_CREAT | O_TRUNC | O_RDWR);
    for (long i = 0; i < tiny_file / block; ++i) {
      check(write(file, bytes, block) == block, "write");
    }
  } else if (strcmp(mode, "small") != 0) {
    file = open_at(folder, "large", strcmp(mode, "write") == 0 ? O_CREAT | O_WRONLY : O_RDONLY);
  }
  const long long start = now();
  if (strcmp(mode, "write") == 0) {
    write_blocks(file, count);
  } else if (strcmp(mode, "read") == 0) {
    read_some(file, count, block, blocks);
  } else if (strcmp(mode, "tiny") == 0) {
    read_some(file, count, tiny, tiny_file / tiny);
  } else {
    small_files(folder, count);
  }
  printf("%.2f\n", (double)(now() - start) / (double)count);
  return 0;
}
