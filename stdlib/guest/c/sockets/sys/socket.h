// See atoll_socket.h.
#pragma once

// The system's own has no sin_zero, which older programs clear.
#ifndef __wasilibc___struct_sockaddr_in_h
#define __wasilibc___struct_sockaddr_in_h
#define __need_STDDEF_H_misc
#include <__struct_in_addr.h>
#include <__typedef_in_port_t.h>
#include <__typedef_sa_family_t.h>
#include <stddef.h>
#include <stdint.h>
struct sockaddr_in {
  _Alignas(max_align_t) sa_family_t sin_family;
  in_port_t sin_port;
  struct in_addr sin_addr;
  unsigned char sin_zero[8];
};
#endif

#include <stdint.h>

#include_next <sys/socket.h>

#include <atoll_socket.h>
