// orders FOLDER ORDER: puts a file in its place in a right or a wrong order, and waits to be
// killed.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int folder = open(argv[1], O_RDONLY | O_DIRECTORY);
  const int file = openat(folder, "new", O_WRONLY | O_CREAT, 0600);
  if (write(file, "whole\n", 6) != 6) return 1;
  if (strcmp(argv[2], "name-first") != 0 && fsync(file) != 0) return 1;
  if (renameat(folder, "new", folder, "file") != 0) return 1;
  if (strcmp(argv[2], "no-folder") != 0 && fsync(folder) != 0) return 1;
  puts("done");
  fflush(stdout);
  pause();
  return 0;
}
