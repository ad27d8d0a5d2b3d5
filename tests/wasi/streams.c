// What a program sees of its surroundings. The first argument says what to do.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static int show(int count, char** arguments) {
  for (int i = 0; i < count; ++i) printf("argument %d: %s\n", i, arguments[i]);
  for (char** each = environ; *each != NULL; ++each) printf("variable %s\n", *each);
  return 0;
}

// Copies input to output, large pieces at a time.
static int copy(void) {
  static char buffer[3 << 20];
  ssize_t size;
  while ((size = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    if (write(STDOUT_FILENO, buffer, (size_t)size) != size) return 1;
  }
  return size < 0;
}

// Waits for input for half a second at a time, and says what happened.
static int wait_for_input(void) {
  for (;;) {
    struct pollfd one = {STDIN_FILENO, POLLIN, 0};
    const int count = poll(&one, 1, 500);
    if (count == 0) {
      puts("time");
      fflush(stdout);
      continue;
    }
    if (count < 0 || (one.revents & POLLIN) == 0) return 1;
    char text[100];
    const ssize_t size = read(STDIN_FILENO, text, sizeof text);
    if (size <= 0) return size < 0;
    printf("input: %.*s", (int)size, text);
    fflush(stdout);
  }
}

static int do_not_wait(void) {
  if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0) return 1;
  char text[10];
  if (read(STDIN_FILENO, text, sizeof text) != -1 || errno != EAGAIN) return 2;
  puts("nothing yet");
  return 0;
}

static int seek_input(void) {
  char text[100];
  if (lseek(STDIN_FILENO, 5, SEEK_SET) != 5) return 1;
  const ssize_t size = read(STDIN_FILENO, text, sizeof text);
  printf("%.*s", (int)size, text);
  return 0;
}

static int clocks(void) {
  struct timespec from, to;
  const struct timespec half = {0, 50 * 1000 * 1000};
  clock_gettime(CLOCK_MONOTONIC, &from);
  if (nanosleep(&half, NULL) != 0 || clock_nanosleep(CLOCK_MONOTONIC, 0, &half, NULL) != 0)
    return 1;
  clock_gettime(CLOCK_MONOTONIC, &to);
  const long long passed = (to.tv_sec - from.tv_sec) * 1000000000ll + (to.tv_nsec - from.tv_nsec);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  unsigned char random[16] = {0};
  if (getentropy(random, sizeof random) != 0) return 2;
  puts(passed >= 100000000 && now.tv_sec > 1600000000 ? "clocks" : "wrong");
  return 0;
}

int main(int count, char** arguments) {
  if (count < 2) return 100;
  if (strcmp(arguments[1], "show") == 0) return show(count, arguments);
  if (strcmp(arguments[1], "copy") == 0) return copy();
  if (strcmp(arguments[1], "wait") == 0) return wait_for_input();
  if (strcmp(arguments[1], "nonblocking") == 0) return do_not_wait();
  if (strcmp(arguments[1], "seek") == 0) return seek_input();
  if (strcmp(arguments[1], "clocks") == 0) return clocks();
  if (strcmp(arguments[1], "exit") == 0) exit(atoi(arguments[2]));
  if (strcmp(arguments[1], "abort") == 0) abort();
  return 101;
}
