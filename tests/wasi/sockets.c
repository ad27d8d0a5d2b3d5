// An echo server with what wasi-libc has of sockets: accept, recv, send, shutdown, poll, fcntl. The
// listeners are descriptors that the program was started with: `sockets FIRST COUNT`.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX 64

static int failures;
static void check(const char* what, int holds) {
  if (holds) return;
  printf("failed: %s (errno %d)\n", what, errno);
  failures++;
}

static int accept_one(int listener) {
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  return accept(listener, (struct sockaddr*)&from, &size);
}

// What is said of descriptors, and calls that are wrong.
static void look_at(int listener) {
  struct stat status;
  check("fstat of a listener", fstat(listener, &status) == 0 && S_ISSOCK(status.st_mode));
  int type = 0;
  socklen_t size = sizeof type;
  check("type of a listener", getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM);
  char byte;
  check("read from a listener", read(listener, &byte, 1) < 0);
  check("recv from a listener", recv(listener, &byte, 1, 0) < 0 && errno == ENOTCONN);
  check("recv from a stream", recv(0, &byte, 1, 0) < 0 && errno == ENOTSOCK);
  check("accept of a stream", accept_one(0) < 0 && errno == ENOTSOCK);
  check("shutdown of a stream", shutdown(1, SHUT_WR) < 0 && errno == ENOTSOCK);
  check("shutdown of nothing", shutdown(99, SHUT_WR) < 0 && errno == EBADF);
  check("nonblocking", fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) == 0);
  check("nobody is there", accept_one(listener) < 0 && errno == EAGAIN);
  struct pollfd one = {listener, POLLIN, 0};
  check("poll in vain", poll(&one, 1, 30) == 0);
}

static int talk(int fd) {
  char buffer[4096];
  const ssize_t looked = recv(fd, buffer, 1, MSG_PEEK);
  const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n > 0 && looked != 1) check("peek", 0);
  if (n <= 0) {
    shutdown(fd, SHUT_WR);
    return 1;
  }
  for (ssize_t at = 0; at < n;) {
    const ssize_t sent = send(fd, buffer + at, n - at, 0);
    if (sent < 0 && errno != EAGAIN) return 1;
    if (sent > 0) at += sent;
    if (sent < 0) {
      struct pollfd one = {fd, POLLOUT, 0};
      poll(&one, 1, -1);
    }
  }
  return n == 5 && memcmp(buffer, "quit\n", 5) == 0 ? 2 : 0;
}

int main(int argc, char** argv) {
  const int first = atoi(argv[1]);
  const int listeners = atoi(argv[2]);
  struct pollfd all[MAX];
  int count = 0;
  for (; count < listeners; ++count) all[count] = (struct pollfd){first + count, POLLIN, 0};
  for (int i = 0; i < listeners; ++i) look_at(first + i);
  check("no listener behind the last one", accept_one(first + listeners) < 0);
  puts(failures == 0 ? "ready" : "not ready");
  fflush(stdout);
  for (int ends = 0; !ends;) {
    if (poll(all, count, -1) < 0) return perror("poll"), 1;
    for (int i = count; i-- > 0;) {
      if (!all[i].revents) continue;
      if (i < listeners) {
        const int fd = accept_one(all[i].fd);
        if (fd < 0 || count == MAX) return perror("accept"), 1;
        struct stat status;
        check("fstat of a connection", fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
        fcntl(fd, F_SETFL, O_NONBLOCK);
        all[count++] = (struct pollfd){fd, POLLIN, 0};
        continue;
      }
      const int what = talk(all[i].fd);
      if (what == 0) continue;
      close(all[i].fd);
      all[i] = all[--count];
      ends |= what == 2;
    }
  }
  // Blocking, with read and write.
  const int listener = first;
  fcntl(listener, F_SETFL, 0);
  const int fd = accept_one(listener);
  char buffer[16];
  check("all of it", recv(fd, buffer, 10, MSG_WAITALL) == 10);
  check("read", read(fd, buffer + 10, 6) > 0);
  check("write", write(fd, buffer, 10) == 10);
  check("shutdown", shutdown(fd, SHUT_RDWR) == 0);
  check("after it", read(fd, buffer, 1) == 0);
  close(fd);
  puts(failures == 0 ? "all good" : "failed");
  return failures != 0;
}
