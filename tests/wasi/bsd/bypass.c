// Tries to get round the rules of a network: `bypass WHAT HOST PORT`. The exit code is the number that Atoll has for the
// error: 2 for EACCES, 28 for EINVAL, 100 for none.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int code(int result) {
  if (result >= 0) return 100;
  if (errno == EACCES) return 2;
  if (errno == EINVAL) return 28;
  perror("bypass");
  return 101;
}

static struct sockaddr_storage address;
static socklen_t size;

static int set(const char* host, int port) {
  struct sockaddr_in* const four = (struct sockaddr_in*)&address;
  struct sockaddr_in6* const six = (struct sockaddr_in6*)&address;
  memset(&address, 0, sizeof address);
  if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons((unsigned short)port);
    size = sizeof *four;
    return AF_INET;
  }
  if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1) exit(102);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons((unsigned short)port);
  size = sizeof *six;
  return AF_INET6;
}

// What is no socket stays none, and a listener connects to nobody.
static int with_wasi(void) {
  char byte = 0;
  for (int fd = 0; fd < 64; ++fd) {
    if (fd > 2) fcntl(fd, F_SETFL, O_NONBLOCK);  // nobody will come
    const int made = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    if (made >= 0) return fprintf(stderr, "accept of %d\n", fd), 1;
    if (fd <= 2) continue;
    if (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || send(fd, &byte, 1, MSG_DONTWAIT) >= 0) return fprintf(stderr, "bytes of %d\n", fd), 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const char* const what = argv[1];
  const int port = atoi(argv[3]);
  if (strcmp(what, "none") == 0) return socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES ? 0 : 1;
  if (strcmp(what, "wasi") == 0) {
    // The listener that was granted is behind the directory: it does not block for us.
    return with_wasi();
  }
  if (strcmp(what, "name") == 0) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo* found = NULL;
    if (getaddrinfo(argv[2], argv[3], &hints, &found) != 0) return code(-1);
    return code(connect(socket(AF_INET, SOCK_STREAM, 0), found->ai_addr, found->ai_addrlen));
  }
  if (strcmp(what, "aton") == 0) {
    struct sockaddr_in* const four = (struct sockaddr_in*)&address;
    four->sin_family = AF_INET;
    four->sin_port = htons((unsigned short)port);
    if (inet_aton(argv[2], &four->sin_addr) != 1) return 102;
    return code(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr*)four, sizeof *four));
  }
  const int family = set(argv[2], port);
  const int is_stream = strcmp(what, "send") != 0 && strcmp(what, "receive") != 0;
  const int fd = socket(family, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0);
  if (fd < 0) return 103;
  struct sockaddr* const to = (struct sockaddr*)&address;
  if (strcmp(what, "send") == 0) return code((int)sendto(fd, "x", 1, 0, to, size));
  if (strcmp(what, "receive") == 0) return code(bind(fd, to, size));
  if (strcmp(what, "listen") == 0) {
    if (bind(fd, to, size) < 0) return code(-1);
    return code(listen(fd, 1));
  }
  if (strcmp(what, "scope") == 0) ((struct sockaddr_in6*)to)->sin6_scope_id = 1;
  if (strcmp(what, "source") == 0) {
    set(argv[2], 0);
    if (bind(fd, to, size) < 0) return 104;
    set(argv[2], port);
  }
  return code(connect(fd, to, size));
}
