// What becomes of sockets in a snapshot: waits until its connection is none any more, and tells of
// all that it had. Descriptor 3 is a listener that it was started with.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void tell(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static int make(int type, struct sockaddr_in* own) {
  int fd = socket(AF_INET, type, 0);
  socklen_t size = sizeof(*own);
  memset(own, 0, size);
  own->sin_family = AF_INET;
  own->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr*)own, size) < 0) return -1;
  getsockname(fd, (struct sockaddr*)own, &size);
  return fd;
}

int main(void) {
  struct sockaddr_in at, own;
  const int listener = make(SOCK_STREAM, &at);
  tell("listen", listen(listener, 5));
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  tell("connect", connect(client, (struct sockaddr*)&at, sizeof(at)));
  const int server = accept(listener, NULL, NULL);
  const int datagrams = make(SOCK_DGRAM, &own);
  const int unused = socket(AF_INET, SOCK_STREAM, 0);
  fcntl(3, F_SETFL, O_NONBLOCK);
  puts("ready");
  fflush(stdout);
  char byte;
  do {
    usleep(20000);
  } while (recv(server, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
  puts("restored");
  tell("read", read(server, &byte, 1));
  tell("write", write(client, "x", 1));
  tell("recv of datagrams", recv(datagrams, &byte, 1, 0));
  tell("connect of one that was not connected", connect(unused, (struct sockaddr*)&at, sizeof(at)));
  tell("accept", accept(listener, NULL, NULL));
  struct pollfd one = {listener, POLLIN, 0};
  printf("poll: %d %d\n", poll(&one, 1, 1000), one.revents == POLLNVAL);
  tell("close", close(server));
  tell("accept of the one given", accept(3, NULL, NULL));

  const int again = make(SOCK_STREAM, &at);
  listen(again, 5);
  const int anew = socket(AF_INET, SOCK_STREAM, 0);
  tell("connect anew", connect(anew, (struct sockaddr*)&at, sizeof(at)));
  tell("accept anew", accept(again, NULL, NULL));
  fflush(stdout);
  return 0;
}
