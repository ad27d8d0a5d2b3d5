// Asks a DNS server for the IPv4 addresses of a name: `resolve SERVER PORT NAME`.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return fprintf(stderr, "usage: resolve SERVER PORT NAME\n"), 2;
  unsigned char packet[512] = {0x12, 0x34, 1, 0, 0, 1};
  size_t size = 12;
  for (char* part = strtok(argv[3], "."); part != NULL; part = strtok(NULL, ".")) {
    size_t length = strlen(part);
    if (length > 63 || size + length + 6 > sizeof(packet)) return 2;
    packet[size++] = (unsigned char)length;
    memcpy(packet + size, part, length);
    size += length;
  }
  const unsigned char end[] = {0, 0, 1, 0, 1};
  memcpy(packet + size, end, sizeof(end));
  size += sizeof(end);

  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return perror("socket"), 1;
  struct timeval time = {1, 500000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0) perror("SO_RCVTIMEO");
  struct sockaddr_in to = {0}, from;
  to.sin_family = AF_INET;
  to.sin_port = htons((unsigned short)atoi(argv[2]));
  to.sin_addr.s_addr = inet_addr(argv[1]);
  if (sendto(fd, packet, size, 0, (struct sockaddr*)&to, sizeof(to)) != (ssize_t)size) {
    return perror("sendto"), 1;
  }
  socklen_t from_size = sizeof(from);
  ssize_t got = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr*)&from, &from_size);
  if (got < 0) return printf("%s\n", errno == EAGAIN ? "no answer" : strerror(errno)), 1;
  if (from.sin_port != to.sin_port || from.sin_addr.s_addr != to.sin_addr.s_addr) return 1;
  int answers = packet[6] << 8 | packet[7];
  printf("%d answers\n", answers);
  unsigned char* at = packet + size;
  for (; answers > 0 && at + 16 <= packet + got; --answers, at += 16) {
    struct in_addr address;
    memcpy(&address, at + 12, 4);
    printf("%s\n", inet_ntoa(address));
  }
  close(fd);
  return 0;
}
