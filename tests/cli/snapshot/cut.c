// A library to preload: a program that is killed leaves of the files below $CUT_FOLDER what a power
// cut would. What is written stays in memory until fsync(); with CUT=names a new name, too, until
// fsync() of its folder. While $CUT_FOLDER/../full is there, fsync() fails with ENOSPC.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FD 4096
#define MAX_PATH 4096

struct buffer {
  int is_ours;
  char* bytes;
  size_t size;
};
struct name {
  char from[MAX_PATH];
  char to[MAX_PATH];
  struct name* next;
};
static struct buffer buffers[MAX_FD];
static struct name* names;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// The path of a descriptor; 0: it is not below the folder.
static int path_of(int fd, char* path) {
  char link[64];
  const char* const folder = getenv("CUT_FOLDER");
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, MAX_PATH - 1);
  if (folder == NULL || size <= 0) return 0;
  path[size] = '\0';
  return strncmp(path, folder, strlen(folder)) == 0;
}

static void watch(int fd, int flags) {
  char path[MAX_PATH];
  if (fd < 0 || fd >= MAX_FD || (flags & O_ACCMODE) == O_RDONLY || !path_of(fd, path)) return;
  buffers[fd].is_ours = 1;
}

int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int fd = REAL(openat)(folder, path, flags, va_arg(more, int));
  va_end(more);
  watch(fd, flags);
  return fd;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  if (fd < 0 || fd >= MAX_FD || !buffers[fd].is_ours) return REAL(write)(fd, bytes, size);
  struct buffer* const own = &buffers[fd];
  own->bytes = realloc(own->bytes, own->size + size);
  memcpy(own->bytes + own->size, bytes, size);
  own->size += size;
  return (ssize_t)size;
}

int close(int fd) {
  if (fd >= 0 && fd < MAX_FD && buffers[fd].is_ours) {
    free(buffers[fd].bytes);
    memset(&buffers[fd], 0, sizeof(buffers[fd]));
  }
  return REAL(close)(fd);
}

int fsync(int fd) {
  char path[MAX_PATH];
  if (!path_of(fd, path)) return REAL(fsync)(fd);
  char full[MAX_PATH];
  snprintf(full, sizeof(full), "%s/../full", getenv("CUT_FOLDER"));
  if (access(full, F_OK) == 0) {
    errno = ENOSPC;
    return -1;
  }
  if (fd < MAX_FD && buffers[fd].is_ours) {
    struct buffer* const own = &buffers[fd];
    if (REAL(write)(fd, own->bytes, own->size) != (ssize_t)own->size) return -1;
    own->size = 0;
    return 0;
  }
  pthread_mutex_lock(&mutex);
  for (struct name** each = &names; *each != NULL;) {
    const size_t length = strlen(path);
    struct name* const own = *each;
    if (strncmp(own->to, path, length) == 0 && strrchr(own->to, '/') == own->to + length) {
      rename(own->from, own->to);
      *each = own->next;
      free(own);
    } else {
      each = &own->next;
    }
  }
  pthread_mutex_unlock(&mutex);
  return 0;
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  const char* const cut = getenv("CUT");
  char from_path[MAX_PATH];
  char to_path[MAX_PATH];
  if (cut == NULL || strcmp(cut, "names") != 0 || !path_of(from_folder, from_path) ||
      !path_of(to_folder, to_path)) {
    return REAL(renameat)(from_folder, from, to_folder, to);
  }
  struct name* const own = malloc(sizeof(*own));
  const int is_long = snprintf(own->from, MAX_PATH, "%s/%s", from_path, from) >= MAX_PATH ||
                      snprintf(own->to, MAX_PATH, "%s/%s", to_path, to) >= MAX_PATH;
  if (is_long) abort();
  pthread_mutex_lock(&mutex);
  own->next = names;
  names = own;
  pthread_mutex_unlock(&mutex);
  return 0;
}
