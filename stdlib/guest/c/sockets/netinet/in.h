// See atoll_socket.h.
#pragma once

#include <sys/socket.h>

#include_next <netinet/in.h>

#ifndef IPPROTO_ICMPV6
#define IPPROTO_ICMPV6 58
#endif
#define IPV6_V6ONLY 26  // always on

#define IN6_IS_ADDR_UNSPECIFIED(a) (memcmp((a), &in6addr_any, 16) == 0)
#define IN6_IS_ADDR_LOOPBACK(a) (memcmp((a), &in6addr_loopback, 16) == 0)
