// Fetches a page by HTTP/1.0: `get HOST PORT PATH`.
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

int main(int argc, char* argv[]) {
  if (argc != 4) return fprintf(stderr, "usage: get HOST PORT PATH\n"), 2;
  struct addrinfo hints, *list, *each;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  int error = getaddrinfo(argv[1], argv[2], &hints, &list);
  if (error != 0) {
    if (error == EAI_SYSTEM) perror("getaddrinfo");
    if (error != EAI_SYSTEM) fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
    return 1;
  }
  int fd = -1;
  for (each = list; each != NULL; each = each->ai_next) {
    fd = socket(each->ai_family, each->ai_socktype, each->ai_protocol);
    if (fd < 0) {
      perror("socket");
      continue;
    }
    if (connect(fd, each->ai_addr, each->ai_addrlen) == 0) break;
    if (each->ai_next == NULL) perror("connect");
    close(fd);
    fd = -1;
  }
  freeaddrinfo(list);
  if (fd < 0) return 1;
  FILE* stream = fdopen(fd, "r+");
  if (stream == NULL) return perror("fdopen"), 1;
  fprintf(stream, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", argv[3], argv[1]);
  fflush(stream);
  char line[1024];
  int is_body = 0;
  while (fgets(line, sizeof line, stream) != NULL) {
    if (is_body) fputs(line, stdout);
    if (strcmp(line, "\r\n") == 0) is_body = 1;
  }
  fclose(stream);
  return 0;
}
