// Maps a file and counts its letters x.
#include <atoll.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int fd = open(argv[1], O_RDONLY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) return 3;
  const size_t room =
      ((size_t)status.st_size + ATOLL_MAP_ALIGNMENT - 1) / ATOLL_MAP_ALIGNMENT * ATOLL_MAP_ALIGNMENT;
  char* const at = aligned_alloc(ATOLL_MAP_ALIGNMENT, room);
  if (at == NULL) return 4;
  const int32_t size = atoll_map_file(fd, at, (int32_t)status.st_size, 0);
  close(fd);
  if (size < 0) {
    fprintf(stderr, "map: %d\n", (int)-size);
    return 5;
  }
  int count = 0;
  for (int32_t i = 0; i < size; ++i) count += at[i] == 'x';
  printf("%d bytes, %d x\n", (int)size, count);
  return 0;
}
