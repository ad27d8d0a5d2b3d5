// The sockets of BSD and POSIX for programs of WASI, over Atoll's networks (docs/networks.md).
//
// Programs stay as they are: compile them, and atoll_socket.c, with -isystem on the folder
// `sockets` beside this file. The headers there are the system's own with what these lack.
//
// A socket is a descriptor of WASI like others: read, write, close, fcntl and poll work on it, it
// can be sent to another process, and it is counted by `--handles` and by the rules' `connections`.
// Without a network, or by a rule, calls fail with EACCES.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PF_UNSPEC AF_UNSPEC
#define PF_INET AF_INET
#define PF_INET6 AF_INET6
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX
#define AF_LOCAL AF_UNIX
#define SOCK_RAW 3
#define SOCK_SEQPACKET 4

// Of SOL_SOCKET; SO_TYPE is the C library's. What is not here gives ENOPROTOOPT.
#define SO_REUSEADDR 2  // always on
#define SO_ERROR 4
#define SO_BROADCAST 6  // on where the rules name addresses for it
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define SO_KEEPALIVE 9
#define SO_LINGER 13     // only off
#define SO_REUSEPORT 15  // refused
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL 38
#define SO_DOMAIN 39
#define SOMAXCONN 128

// Wasi-libc's stands for what its headers do not have.
#undef MSG_TRUNC
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000  // there are no signals
#define MSG_MORE 0x8000      // says nothing here

// What poll() can't tell is never there.
#ifndef POLLPRI
#define POLLPRI 0
#endif

int socket(int domain, int type, int protocol);
int socketpair(int domain, int type, int protocol, int pair[2]);  // always EOPNOTSUPP
int bind(int fd, const struct sockaddr* address, socklen_t size);
int listen(int fd, int backlog);
int connect(int fd, const struct sockaddr* address, socklen_t size);
ssize_t sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* to,
               socklen_t to_size);
ssize_t recvfrom(int fd, void* data, size_t size, int flags, struct sockaddr* from,
                 socklen_t* from_size);
int setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int getsockname(int fd, struct sockaddr* address, socklen_t* size);
int getpeername(int fd, struct sockaddr* address, socklen_t* size);

#ifdef __cplusplus
}
#endif
