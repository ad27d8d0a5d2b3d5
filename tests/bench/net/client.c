// 64 connections that each send 64 bytes and wait for them: `client PORT SECONDS` prints the
// requests, the seconds, the client's own CPU seconds, and the latency in us: p50, p99, p99.9.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64
#define SIZE 64
#define MOST 8000000

static float latency[MOST];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static int compare(const void* a, const void* b) {
  const float x = *(const float*)a, y = *(const float*)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const double seconds = atof(argv[2]);
  const int set = epoll_create1(0);
  int fds[CONNECTIONS];
  ssize_t got[CONNECTIONS] = {0};
  double sent[CONNECTIONS];
  char data[4096];
  memset(data, 'x', sizeof data);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (unsigned i = 0; i < CONNECTIONS; ++i) {
    fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[i], (struct sockaddr*)&address, sizeof address) != 0)
      return perror("connect"), 1;
    const int on = 1;
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event);
  }
  usleep(200000);
  const double begin = now(), cpu_before = cpu();
  for (int i = 0; i < CONNECTIONS; ++i) {
    sent[i] = now();
    if (write(fds[i], data, SIZE) != SIZE) return 1;
  }
  size_t count = 0;
  while (now() < begin + seconds) {
    struct epoll_event events[CONNECTIONS];
    const int ready = epoll_wait(set, events, CONNECTIONS, 1000);
    for (int k = 0; k < ready; ++k) {
      const unsigned i = events[k].data.u32;
      const ssize_t size = read(fds[i], data, sizeof data);
      if (size <= 0) return fprintf(stderr, "closed\n"), 1;
      got[i] += size;
      if (got[i] < SIZE) continue;
      got[i] = 0;
      const double time = now();
      if (count < MOST) latency[count] = (float)((time - sent[i]) * 1e6);
      ++count;
      sent[i] = time;
      if (write(fds[i], data, SIZE) != SIZE) return 1;
    }
  }
  const double took = now() - begin;
  const size_t kept = count < MOST ? count : MOST;
  qsort(latency, kept, sizeof latency[0], compare);
  printf("%zu %.3f %.3f %.0f %.0f %.0f\n", count, took, cpu() - cpu_before,
         (double)latency[kept / 2], (double)latency[kept * 99 / 100],
         (double)latency[kept * 999 / 1000]);
  return 0;
}
