// start_cost N COMMAND...: runs a command N times with its output thrown away, and prints for each
// run its wall time in milliseconds and its peak resident memory in KiB. A small program of its
// own, since Linux counts the memory of whoever forked as a child's.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const int runs = argc > 2 ? std::atoi(argv[1]) : 0;
  if (runs <= 0) {
    std::fputs("usage: start_cost N COMMAND...\n", stderr);
    return 2;
  }
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = vfork();
    if (child == 0) {
      dup2(nothing, STDIN_FILENO);
      dup2(nothing, STDOUT_FILENO);
      execvp(argv[2], argv + 2);
      _exit(127);
    }
    int status = 0;
    rusage usage{};
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
      std::fprintf(stderr, "start_cost: %s failed\n", argv[2]);
      return 1;
    }
    const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
    std::printf("%.3f %ld\n", wall.count(), usage.ru_maxrss);
  }
}
