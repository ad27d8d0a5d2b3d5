// An echo server for many clients, by poll(): `echo ADDRESS PORT`. It ends when a line is "quit".
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CLIENTS 200
#define ROOM 65536

struct client {
  char data[ROOM];
  size_t used;
  int has_ended;
};
static struct client clients[MAX_CLIENTS + 1];
static struct pollfd fds[MAX_CLIENTS + 1];
static int count = 1;

static void die(const char* what) {
  perror(what);
  exit(1);
}

static void take(int listener) {
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  int fd = accept(listener, (struct sockaddr*)&from, &size);
  if (fd < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) die("accept");
    return;
  }
  char text[INET_ADDRSTRLEN];
  if (strcmp(inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text)), "127.0.0.1") != 0) {
    printf("a client from %s\n", text);
  }
  if (count > MAX_CLIENTS) {
    close(fd);
    return;
  }
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) die("TCP_NODELAY");
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) die("fcntl");
  memset(&clients[count], 0, sizeof(clients[count]));
  fds[count].fd = fd;
  fds[count].events = POLLIN;
  fds[count].revents = 0;
  ++count;
}

static void drop(int i) {
  close(fds[i].fd);
  --count;
  fds[i] = fds[count];
  clients[i] = clients[count];
}

// Gives 1 when the program is to end.
static int serve(int i) {
  struct client* own = &clients[i];
  if (fds[i].revents & (POLLIN | POLLHUP) && !own->has_ended && own->used < ROOM) {
    ssize_t n = recv(fds[i].fd, own->data + own->used, ROOM - own->used, 0);
    if (n < 0 && errno != EAGAIN) return drop(i), 0;
    if (n == 0) own->has_ended = 1;
    if (n > 0) own->used += (size_t)n;
    if (n == 5 && memcmp(own->data, "quit\n", 5) == 0) return 1;
  }
  if (own->used > 0) {
    ssize_t n = send(fds[i].fd, own->data, own->used, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return drop(i), 0;
    if (n > 0) {
      own->used -= (size_t)n;
      memmove(own->data, own->data + n, own->used);
    }
  }
  if (own->has_ended && own->used == 0) return drop(i), 0;
  fds[i].events =
      (own->has_ended || own->used == ROOM ? 0 : POLLIN) | (own->used > 0 ? POLLOUT : 0);
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 3) return fprintf(stderr, "usage: echo ADDRESS PORT\n"), 2;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) die("socket");
  int on = 1;
  if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) die("SO_REUSEADDR");
  struct sockaddr_in at;
  memset(&at, 0, sizeof(at));
  at.sin_family = AF_INET;
  at.sin_port = htons((unsigned short)atoi(argv[2]));
  if (inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) return fprintf(stderr, "no address\n"), 2;
  if (bind(listener, (struct sockaddr*)&at, sizeof(at)) < 0) die("bind");
  if (listen(listener, SOMAXCONN) < 0) die("listen");
  socklen_t size = sizeof(at);
  if (getsockname(listener, (struct sockaddr*)&at, &size) < 0) die("getsockname");
  printf("listening at port %d\n", ntohs(at.sin_port));
  fflush(stdout);
  if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0) die("fcntl");
  fds[0].fd = listener;
  fds[0].events = POLLIN;
  while (1) {
    if (poll(fds, (nfds_t)count, -1) < 0) die("poll");
    for (int i = count; i-- > 1;) {
      if (fds[i].revents != 0 && serve(i)) return 0;
    }
    if (fds[0].revents != 0) take(listener);
  }
}
