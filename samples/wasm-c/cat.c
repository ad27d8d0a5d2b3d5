// Copies files, or standard input, to standard output: cat [FILE...]. Without a C library, with
// Atoll's own host calls only.
#include <atoll.h>

static char buffer[1 << 16];
static char path[4096];

static uint32_t length_of(const char* text) {
  uint32_t n = 0;
  while (text[n]) n++;
  return n;
}

static int32_t write_all(int32_t handle, const char* bytes, uint32_t size) {
  while (size > 0) {
    const int32_t done = atoll_write(handle, bytes, size);
    if (done < 0) return done;
    bytes += done;
    size -= (uint32_t)done;
  }
  return 0;
}

static int32_t copy(int32_t from) {
  for (;;) {
    const int32_t size = atoll_read(from, buffer, sizeof buffer);
    if (size <= 0) return size;
    const int32_t error = write_all(ATOLL_STDOUT, buffer, (uint32_t)size);
    if (error < 0) return error;
  }
}

static int32_t copy_file(uint32_t path_size) {
  const int32_t file = atoll_open(ATOLL_ROOT, path, path_size, 0, ATOLL_RIGHT_READ);
  if (file < 0) return file;
  const int32_t error = copy(file);
  atoll_close(file);
  return error;
}

static void complain(const char* name, uint32_t size, int32_t error) {
  const char* reason = error == -ATOLL_E_NOENT        ? ": no such file\n"
                       : error == -ATOLL_E_NOTCAPABLE ? ": not allowed\n"
                                                      : ": can't be copied\n";
  write_all(ATOLL_STDERR, "cat: ", 5);
  write_all(ATOLL_STDERR, name, size);
  write_all(ATOLL_STDERR, reason, length_of(reason));
}

__attribute__((export_name("main"))) int32_t run(void) {
  const int32_t count = atoll_args_count();
  int32_t status = 0;
  if (count <= 1 && copy(ATOLL_STDIN) < 0) status = 1;
  for (int32_t i = 1; i < count; i++) {
    const int32_t size = atoll_args_get(i, path, sizeof path);
    const int32_t error = size < 0 ? size : copy_file((uint32_t)size);
    if (error < 0) {
      complain(path, size < 0 ? 0 : (uint32_t)size, error);
      status = 1;
    }
  }
  return status;
}
