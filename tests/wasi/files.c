// POSIX calls on files, as a C program of wasi-libc makes them: run with a writable directory as /w
// and one that can only be read as /r, which holds the file `fixed`. Prints what went wrong.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int failures;

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      printf("line %d: %s (errno %d, %s)\n", __LINE__, #condition, errno, strerror(errno)); \
      ++failures;                                                                           \
    }                                                                                       \
  } while (0)
#define FAILS(call, error)   \
  do {                       \
    errno = 0;               \
    CHECK((call) == -1);     \
    CHECK(errno == (error)); \
  } while (0)

static void read_and_write(void) {
  char buffer[100] = {0};
  const int fd = open("/w/file", O_RDWR | O_CREAT | O_EXCL, 0644);
  CHECK(fd >= 3);
  CHECK(write(fd, "hello world", 11) == 11);
  CHECK(lseek(fd, 6, SEEK_SET) == 6);
  CHECK(read(fd, buffer, sizeof buffer) == 5);
  CHECK(strcmp(buffer, "world") == 0);
  CHECK(pwrite(fd, "WORLD", 5, 6) == 5);
  CHECK(pread(fd, buffer, 11, 0) == 11);
  CHECK(memcmp(buffer, "hello WORLD", 11) == 0);
  CHECK(lseek(fd, 0, SEEK_CUR) == 11);
  CHECK(lseek(fd, -1, SEEK_END) == 10);
  FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
  CHECK(ftruncate(fd, 5) == 0);
  struct stat status;
  CHECK(fstat(fd, &status) == 0);
  CHECK(status.st_size == 5 && S_ISREG(status.st_mode) && status.st_nlink == 1);
  CHECK(posix_fallocate(fd, 0, 50) == 0);
  CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  CHECK(fstat(fd, &status) == 0 && status.st_size == 50);
  CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
  CHECK(!isatty(fd));
  CHECK(close(fd) == 0);
  FAILS(close(fd), EBADF);
  FAILS(open("/w/file", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
  FAILS(open("/w/none", O_RDONLY), ENOENT);
  FAILS(open("/w/file/x", O_RDONLY), ENOTDIR);
  FAILS(open("/elsewhere", O_RDONLY), ENOTCAPABLE);  // wasi-libc itself
}

static void standard_io(void) {
  FILE* file = fopen("/w/lines", "w");
  CHECK(file != NULL);
  for (int i = 0; i < 10000; ++i) fprintf(file, "line %d\n", i);
  CHECK(fclose(file) == 0);
  file = fopen("/w/lines", "a+");
  CHECK(fputs("last\n", file) >= 0);
  rewind(file);
  char line[100];
  int count = 0;
  while (fgets(line, sizeof line, file) != NULL) ++count;
  CHECK(count == 10001 && strcmp(line, "last\n") == 0);
  CHECK(fseek(file, -5, SEEK_END) == 0 && fgets(line, sizeof line, file) != NULL);
  CHECK(strcmp(line, "last\n") == 0);
  CHECK(fclose(file) == 0);
  CHECK(remove("/w/lines") == 0);
}

static void names(void) {
  struct stat status;
  CHECK(mkdir("/w/dir", 0755) == 0);
  FAILS(mkdir("/w/dir", 0755), EEXIST);
  CHECK(rename("/w/file", "/w/dir/moved") == 0);
  FAILS(stat("/w/file", &status), ENOENT);
  CHECK(link("/w/dir/moved", "/w/hard") == 0);
  CHECK(stat("/w/hard", &status) == 0 && status.st_nlink == 2);
  CHECK(symlink("dir/moved", "/w/soft") == 0);
  CHECK(lstat("/w/soft", &status) == 0 && S_ISLNK(status.st_mode));
  CHECK(stat("/w/soft", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 50);
  char text[100];
  CHECK(readlink("/w/soft", text, sizeof text) == 9 && memcmp(text, "dir/moved", 9) == 0);
  const struct timespec times[2] = {{1000000000, 5}, {1500000000, 123456789}};
  CHECK(utimensat(AT_FDCWD, "/w/hard", times, 0) == 0);
  CHECK(stat("/w/hard", &status) == 0);
  CHECK(status.st_mtim.tv_sec == 1500000000 && status.st_mtim.tv_nsec == 123456789);
  FAILS(rmdir("/w/dir"), ENOTEMPTY);
  FAILS(unlink("/w/dir"), EISDIR);
  FAILS(rmdir("/w/hard"), ENOTDIR);
  CHECK(unlink("/w/soft") == 0 && unlink("/w/hard") == 0);
  CHECK(access("/w/dir/moved", R_OK | W_OK) == 0);
}

static void entries(void) {
  for (int i = 0; i < 500; ++i) {
    char path[50];
    snprintf(path, sizeof path, "/w/dir/entry-%d", i);
    CHECK(close(open(path, O_WRONLY | O_CREAT, 0644)) == 0);
  }
  DIR* dir = opendir("/w/dir");
  CHECK(dir != NULL);
  int count = 0;
  for (struct dirent* entry = readdir(dir); entry != NULL; entry = readdir(dir)) ++count;
  CHECK(count == 503);
  rewinddir(dir);
  for (struct dirent* entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
    if (entry->d_type == DT_DIR) continue;
    CHECK(unlinkat(dirfd(dir), entry->d_name, 0) == 0);
  }
  CHECK(closedir(dir) == 0);
  CHECK(rmdir("/w/dir") == 0);
}

static void only_to_read(void) {
  struct stat status;
  char text[10];
  const int fd = open("/r/fixed", O_RDONLY);
  CHECK(fd >= 0 && read(fd, text, sizeof text) == 6);
  CHECK(close(fd) == 0);
  FAILS(open("/r/fixed", O_RDONLY | O_TRUNC), ENOTCAPABLE);
  FAILS(open("/r/new", O_WRONLY | O_CREAT, 0644), ENOTCAPABLE);
  FAILS(mkdir("/r/new", 0755), ENOTCAPABLE);
  FAILS(unlink("/r/fixed"), ENOTCAPABLE);
  FAILS(rename("/r/fixed", "/w/stolen"), ENOTCAPABLE);
  FAILS(link("/r/fixed", "/w/stolen"), ENOTCAPABLE);
  FAILS(symlink("x", "/r/new"), ENOTCAPABLE);
  FAILS(utimensat(AT_FDCWD, "/r/fixed", NULL, 0), ENOTCAPABLE);
  FAILS(stat("/w/stolen", &status), ENOENT);
  // wasi-libc asks for the rights that there are, so it opens; but it does not write.
  const int writer = open("/r/fixed", O_WRONLY);
  if (writer >= 0) {
    CHECK(write(writer, "x", 1) == -1);
    CHECK(ftruncate(writer, 0) == -1);
    close(writer);
  }
}

static void outside(void) {
  static const char* const paths[] = {"/w/../r/fixed", "/w/../../etc/passwd", "/r/../w",
                                      "/w/out",        "/w/out/fixed",        "/etc/passwd"};
  CHECK(symlink("../r", "/w/out") == 0);
  for (unsigned i = 0; i < sizeof paths / sizeof *paths; ++i) {
    errno = 0;
    const int fd = open(paths[i], O_RDONLY);
    if (fd >= 0) printf("%s was opened\n", paths[i]);
    CHECK(fd < 0 && (errno == ENOTCAPABLE || errno == ENOENT));
  }
  FAILS(symlink("/etc/passwd", "/w/absolute"), ENOTCAPABLE);
  CHECK(unlink("/w/out") == 0);
}

int main(void) {
  read_and_write();
  standard_io();
  names();
  entries();
  only_to_read();
  outside();
  puts(failures == 0 ? "all good" : "failed");
  return failures == 0 ? 0 : 1;
}
