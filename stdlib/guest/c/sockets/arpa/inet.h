// See atoll_socket.h.
#pragma once

#include <netinet/in.h>

#include_next <arpa/inet.h>

#ifdef __cplusplus
extern "C" {
#endif
in_addr_t inet_addr(const char* text);
char* inet_ntoa(struct in_addr address);
#ifdef __cplusplus
}
#endif
