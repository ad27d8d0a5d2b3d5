// What the functions of sockets do at their edges: prints the same wherever it is right.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define SAY(call) say(#call, (long)(call))

static const char* word(int error) {
  switch (error) {
#define WORD(name) \
  case name:       \
    return #name;
    WORD(EACCES)
    WORD(EADDRINUSE)
    WORD(EAFNOSUPPORT)
    WORD(EAGAIN) WORD(EALREADY) WORD(EBADF) WORD(ECONNREFUSED) WORD(EDESTADDRREQ) WORD(EINPROGRESS)
        WORD(EINVAL) WORD(EISCONN) WORD(EMSGSIZE) WORD(ENOPROTOOPT) WORD(ENOTCONN) WORD(ENOTSOCK)
            WORD(EOPNOTSUPP) WORD(EPIPE) WORD(EPROTONOSUPPORT) WORD(ETIMEDOUT)
  }
  return strerror(error);
}
static void say(const char* what, long result) {
  if (result >= 0) printf("%s: %ld\n", what, result);
  if (result < 0) printf("%s: %s\n", what, word(errno));
}

static struct sockaddr_in at(const char* address, int port) {
  struct sockaddr_in result;
  memset(&result, 0, sizeof(result));
  result.sin_family = AF_INET;
  result.sin_port = htons((unsigned short)port);
  inet_pton(AF_INET, address, &result.sin_addr);
  return result;
}
#define ADDRESS(value) (struct sockaddr*)&(value), sizeof(value)

static int number(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  if (getsockopt(fd, level, name, &value, &size) < 0) return -1;
  return size == sizeof(value) ? value : -1;
}
static int set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value));
}
static long milliseconds(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return now.tv_sec * 1000 + now.tv_usec / 1000;
}
static int port_of(int fd) {
  struct sockaddr_in own;
  socklen_t size = sizeof(own);
  if (getsockname(fd, (struct sockaddr*)&own, &size) < 0) return -1;
  return ntohs(own.sin_port);
}
static int ready(int fd, short events, int timeout) {
  struct pollfd one = {fd, events, 0};
  int count = poll(&one, 1, timeout);
  return count <= 0 ? count : one.revents & (POLLIN | POLLOUT);
}

static void streams(void) {
  char data[100];
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in own = at("127.0.0.1", 0);
  SAY(bind(listener, ADDRESS(own)));
  SAY(bind(listener, ADDRESS(own)));
  SAY(number(listener, SOL_SOCKET, SO_ACCEPTCONN));
  SAY(listen(listener, 5));
  SAY(number(listener, SOL_SOCKET, SO_ACCEPTCONN));
  own = at("127.0.0.1", port_of(listener));
  int other = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  SAY(bind(other, ADDRESS(own)));
  SAY(recv(other, data, 1, 0));
  SAY(send(other, data, 1, MSG_NOSIGNAL));
  SAY(accept(other, NULL, NULL));
  SAY(connect(other, ADDRESS(own)));
  SAY(connect(other, ADDRESS(own)));
  SAY(ready(listener, POLLIN, 1000) == POLLIN);
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  int fd = accept(listener, (struct sockaddr*)&from, &size);
  SAY(fd >= 0 && size == sizeof(from) && ntohs(from.sin_port) == port_of(other));
  size = sizeof(from);
  SAY(getpeername(other, (struct sockaddr*)&from, &size));
  SAY(memcmp(&from.sin_addr, &own.sin_addr, 4) == 0 && from.sin_port == own.sin_port);
  SAY(fcntl(listener, F_SETFL, O_NONBLOCK));
  SAY(accept(listener, NULL, NULL));
  struct stat status;
  SAY(fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));

  SAY(write(other, "hello", 5));
  SAY(recv(fd, data, 3, MSG_PEEK));
  SAY(recv(fd, data, sizeof(data), 0));
  SAY(recv(fd, data, sizeof(data), MSG_DONTWAIT));
  SAY(recv(listener, data, 1, 0));
  struct timeval time = {0, 50000};
  SAY(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
  time.tv_usec = 0;
  size = sizeof(time);
  SAY(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, &size));
  SAY(time.tv_sec * 1000000 + time.tv_usec >= 50000);
  long begin = milliseconds();
  SAY(read(fd, data, 1));
  SAY(milliseconds() - begin >= 49);
  SAY(set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
  SAY(number(fd, IPPROTO_TCP, TCP_NODELAY));
  SAY(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
  SAY(number(fd, SOL_SOCKET, SO_KEEPALIVE));
  SAY(set(fd, SOL_SOCKET, SO_RCVBUF, 20000));
  SAY(number(fd, SOL_SOCKET, SO_RCVBUF) >= 20000);
  SAY(number(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
  SAY(number(fd, SOL_SOCKET, SO_ERROR));
  SAY(number(fd, SOL_SOCKET, 12345));
  SAY(set(fd, SOL_SOCKET, 12345, 1));
  SAY(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &size, 1));
  SAY(set(0, SOL_SOCKET, SO_REUSEADDR, 1));
  SAY(set(999, SOL_SOCKET, SO_REUSEADDR, 1));

  fd_set reads, writes;
  FD_ZERO(&reads);
  FD_ZERO(&writes);
  FD_SET(fd, &reads);
  FD_SET(fd, &writes);
  SAY(select(fd + 1, &reads, &writes, NULL, NULL));
  SAY(!FD_ISSET(fd, &reads) && FD_ISSET(fd, &writes));
  FD_ZERO(&reads);
  FD_SET(fd, &reads);
  time = (struct timeval){0, 20000};
  SAY(select(fd + 1, &reads, NULL, NULL, &time));
  SAY(FD_ISSET(fd, &reads) != 0);

  SAY(shutdown(other, SHUT_WR));
  SAY(ready(fd, POLLIN | POLLOUT, 1000) == (POLLIN | POLLOUT));
  SAY(read(fd, data, 1));
  SAY(send(fd, "bye", 3, 0));
  SAY(recv(other, data, 3, MSG_WAITALL));
  SAY(send(other, "x", 1, MSG_NOSIGNAL));
  SAY(close(fd));
  SAY(close(fd));
  SAY(close(other));
  SAY(close(listener));

  // Nobody listens there now.
  other = socket(AF_INET, SOCK_STREAM, 0);
  SAY(connect(other, ADDRESS(own)));
  SAY(close(other));
}

static void nonblocking(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in own = at("127.0.0.1", 0);
  bind(listener, ADDRESS(own));
  listen(listener, 5);
  own = at("127.0.0.1", port_of(listener));
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  SAY(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
  SAY((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  SAY(connect(fd, ADDRESS(own)));
  SAY(ready(fd, POLLOUT, 1000) == POLLOUT);
  SAY(number(fd, SOL_SOCKET, SO_ERROR));
  close(listener);
  close(fd);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int result = connect(fd, ADDRESS(own));
  if (result < 0 && errno == EINPROGRESS) {
    ready(fd, POLLOUT, 1000);
    errno = number(fd, SOL_SOCKET, SO_ERROR);
  }
  say("refused", result);
  close(fd);
}

static void datagrams(void) {
  char data[100];
  int one = socket(AF_INET, SOCK_DGRAM, 0);
  int two = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  struct sockaddr_in own = at("127.0.0.1", 0);
  SAY(bind(one, ADDRESS(own)));
  SAY(bind(two, ADDRESS(own)));
  SAY(listen(one, 1));
  SAY(send(one, "x", 1, 0));
  own = at("127.0.0.1", port_of(two));
  SAY(sendto(one, "hello", 5, 0, ADDRESS(own)));
  SAY(sendto(one, "", 0, 0, ADDRESS(own)));
  SAY(ready(two, POLLIN, 1000) == POLLIN);
  SAY(recv(two, data, 2, MSG_PEEK));
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  SAY(recvfrom(two, data, sizeof(data), 0, (struct sockaddr*)&from, &size));
  SAY(ntohs(from.sin_port) == port_of(one));
  SAY(recvfrom(two, data, sizeof(data), 0, (struct sockaddr*)&from, &size));
  SAY(recvfrom(two, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr*)&from, &size));
  SAY(connect(one, ADDRESS(own)));
  SAY(write(one, "again", 5));
  SAY(read(two, data, 3));
  SAY(sendto(two, "back", 4, 0, (struct sockaddr*)&from, size));
  SAY(recv(one, data, sizeof(data), 0));
  SAY(number(one, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
  struct timeval time = {0, 30000};
  SAY(setsockopt(two, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
  SAY(recvfrom(two, data, sizeof(data), 0, (struct sockaddr*)&from, &size));
  SAY(recv(two, data, sizeof(data), 0));
  SAY(close(one));
  SAY(close(two));
}

static void six(void) {
  int listener = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 own = {0};
  own.sin6_family = AF_INET6;
  own.sin6_addr = in6addr_loopback;
  if (bind(listener, ADDRESS(own)) < 0) return;
  socklen_t size = sizeof(own);
  listen(listener, 1);
  getsockname(listener, (struct sockaddr*)&own, &size);
  SAY(size == sizeof(own) && own.sin6_family == AF_INET6);
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  SAY(connect(fd, ADDRESS(own)));
  struct sockaddr_storage from;
  size = sizeof(from);
  int other = accept(listener, (struct sockaddr*)&from, &size);
  char text[INET6_ADDRSTRLEN], port[8];
  SAY(getnameinfo((struct sockaddr*)&from, size, text, sizeof(text), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV));
  printf("%s\n", text);
  SAY(size == sizeof(own) && atoi(port) > 0);
  close(other);
  close(fd);
  close(listener);
}

static void names(void) {
  struct addrinfo hints, *list;
  memset(&hints, 0, sizeof(hints));
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  SAY(getaddrinfo("localhost", "http", &hints, &list));
  struct sockaddr_in* first = (struct sockaddr_in*)list->ai_addr;
  printf("%s %d\n", inet_ntoa(first->sin_addr), ntohs(first->sin_port));
  freeaddrinfo(list);
  hints.ai_flags = AI_PASSIVE;
  SAY(getaddrinfo(NULL, "7", &hints, &list));
  printf("%s\n", inet_ntoa(((struct sockaddr_in*)list->ai_addr)->sin_addr));
  freeaddrinfo(list);
  hints.ai_flags = AI_NUMERICHOST;
  printf("%s\n", gai_strerror(getaddrinfo("localhost", "7", &hints, &list)));
  hints.ai_flags = 0;
  printf("%s\n", gai_strerror(getaddrinfo("localhost", "nonsense", &hints, &list)));
  printf("%s\n", gai_strerror(getaddrinfo(NULL, NULL, &hints, &list)));
  struct hostent* entry = gethostbyname("127.0.0.1");
  SAY(entry != NULL && entry->h_length == 4);
  SAY(socket(AF_UNIX + 100, SOCK_STREAM, 0));
  SAY(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  SAY(inet_addr("1.2.3.4") == htonl(0x01020304));
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  streams();
  nonblocking();
  datagrams();
  six();
  names();
  return 0;
}
