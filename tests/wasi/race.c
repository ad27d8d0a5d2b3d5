// Two of these fight over the directory /w: `move` lets names there change between a directory, a
// link that leads out and one that leads in; `open` opens files through them for a second, and says
// whether it ever got the file outside, which begins with "outside".
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int move(double until) {
  symlink("..", "/w/out");
  symlink("inside", "/w/in");
  long turns = 0;
  for (; seconds() < until; ++turns) {
    rename("/w/out", "/w/x");
    rename("/w/x", "/w/out");
    rename("/w/in", "/w/x");
    rename("/w/x", "/w/in");
    rename("/w/inside", "/w/x");
    rename("/w/x", "/w/inside");
  }
  puts(turns > 0 ? "moved" : "idle");
  return 0;
}

static int open_all(double until) {
  static const char* const paths[] = {"/w/x/file", "/w/x/../file", "/w/in/file", "/w/x/./x/file"};
  long good = 0;
  while (seconds() < until) {
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; ++i) {
      char text[20] = {0};
      const int fd = open(paths[i], O_RDWR | (i % 2 ? O_CREAT : 0), 0644);
      if (fd < 0) continue;
      read(fd, text, sizeof text - 1);
      close(fd);
      if (strncmp(text, "outside", 7) == 0) {
        printf("%s led outside\n", paths[i]);
        return 1;
      }
      good += strncmp(text, "inside", 6) == 0;
    }
  }
  puts(good > 0 ? "stayed inside" : "never got in");
  return 0;
}

int main(int count, char** arguments) {
  const double until = seconds() + 1;
  return count > 1 && strcmp(arguments[1], "move") == 0 ? move(until) : open_all(until);
}
