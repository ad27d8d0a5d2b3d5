// See atoll_socket.h. What wasi-libc has of the same functions is replaced: these wait as POSIX has
// it, give addresses, and take the flags that programs use.
#include <arpa/inet.h>
#include <atoll.h>
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
#include <sys/time.h>
#include <time.h>
#include <wasi/api.h>

// Handles are looked through for the network: it is behind the directories.
#define MAX_HANDLES 4096
#define MAX_ADDRESSES 16

static int fail(int error) {
  errno = error;
  return -1;
}

// The errors of Atoll's calls are WASI's errno.
static int result_of(int32_t result) {
  if (result >= 0) return result;
  return fail(result == -ATOLL_E_NOTCAPABLE ? EACCES : -result);
}

// The network's handle, or -1. It can have been closed, or passed on.
static int32_t network(void) {
  static int32_t known = -1;
  AtollSocketAddress address;
  // A handle of another kind gives E_BADF; a network says that this is no name.
  const int32_t no_name = -ATOLL_E_INVAL;
  if (known >= 0 && atoll_host_lookup(known, "", 0, &address, 1, 0) != -ATOLL_E_BADF) return known;
  for (known = 0; known < MAX_HANDLES; ++known) {
    const int32_t answer = atoll_host_lookup(known, "", 0, &address, 1, 0);
    if (answer == no_name || answer == -ATOLL_E_NOTCAPABLE) return known;
  }
  return known = -1;
}

// --- Addresses ----------------------------------------------------------------------------------

static int from_sockaddr(const struct sockaddr* from, socklen_t size, AtollSocketAddress* to) {
  memset(to, 0, sizeof *to);
  if (from == NULL || size < sizeof(sa_family_t)) return fail(EINVAL);
  if (from->sa_family == AF_INET) {
    const struct sockaddr_in* own = (const struct sockaddr_in*)from;
    if (size < offsetof(struct sockaddr_in, sin_zero)) return fail(EINVAL);
    to->family = ATOLL_ADDRESS_IPV4;
    to->port = ntohs(own->sin_port);
    memcpy(&to->bytes, &own->sin_addr, 4);
    return 0;
  }
  if (from->sa_family == AF_INET6) {
    const struct sockaddr_in6* own = (const struct sockaddr_in6*)from;
    if (size < offsetof(struct sockaddr_in6, sin6_scope_id)) return fail(EINVAL);
    to->family = ATOLL_ADDRESS_IPV6;
    to->port = ntohs(own->sin6_port);
    memcpy(&to->bytes, &own->sin6_addr, 16);
    return 0;
  }
  return fail(EAFNOSUPPORT);
}

static socklen_t make_sockaddr(const AtollSocketAddress* from, struct sockaddr_storage* to) {
  memset(to, 0, sizeof *to);
  if (from->family == ATOLL_ADDRESS_IPV4) {
    struct sockaddr_in* own = (struct sockaddr_in*)to;
    own->sin_family = AF_INET;
    own->sin_port = htons(from->port);
    memcpy(&own->sin_addr, &from->bytes, 4);
    return sizeof *own;
  }
  struct sockaddr_in6* own = (struct sockaddr_in6*)to;
  own->sin6_family = AF_INET6;
  own->sin6_port = htons(from->port);
  memcpy(&own->sin6_addr, &from->bytes, 16);
  return sizeof *own;
}

// As much as fits; the size is the whole one.
static void to_sockaddr(const AtollSocketAddress* from, struct sockaddr* to, socklen_t* size) {
  if (to == NULL || size == NULL) return;
  struct sockaddr_storage whole;
  const socklen_t length = make_sockaddr(from, &whole);
  memcpy(to, &whole, *size < length ? *size : length);
  *size = length;
}

static int get_name(int fd, int side, struct sockaddr* address, socklen_t* size) {
  AtollSocketAddress own;
  const int result = result_of(atoll_socket_address(fd, side, &own));
  if (result == 0) to_sockaddr(&own, address, size);
  return result;
}

int getsockname(int fd, struct sockaddr* address, socklen_t* size) {
  return get_name(fd, 0, address, size);
}

int getpeername(int fd, struct sockaddr* address, socklen_t* size) {
  return get_name(fd, 1, address, size);
}

in_addr_t inet_addr(const char* text) {
  struct in_addr address;
  return inet_aton(text, &address) ? address.s_addr : INADDR_NONE;
}

char* inet_ntoa(struct in_addr address) {
  static char text[INET_ADDRSTRLEN];
  return (char*)inet_ntop(AF_INET, &address, text, sizeof text);
}

// --- Making and connecting ----------------------------------------------------------------------

// The type of a socket, or 0 with ENOTSOCK or EBADF.
static int type_of(int fd) {
  __wasi_fdstat_t status;
  const __wasi_errno_t error = __wasi_fd_fdstat_get(fd, &status);
  if (error != 0) return fail(error), 0;
  if (status.fs_filetype == __WASI_FILETYPE_SOCKET_STREAM) return SOCK_STREAM;
  if (status.fs_filetype == __WASI_FILETYPE_SOCKET_DGRAM) return SOCK_DGRAM;
  return fail(ENOTSOCK), 0;
}

static int is_nonblocking(int fd) {
  __wasi_fdstat_t status;
  return __wasi_fd_fdstat_get(fd, &status) == 0 && (status.fs_flags & __WASI_FDFLAGS_NONBLOCK) != 0;
}

int socket(int domain, int type, int protocol) {
  const int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (domain != AF_INET && domain != AF_INET6) return fail(EAFNOSUPPORT);
  const int is_stream = kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP);
  const int is_datagram = kind == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP);
  if (!is_stream && !is_datagram) return fail(EPROTONOSUPPORT);
  const int32_t from = network();
  if (from < 0) return fail(EACCES);
  const int fd =
      result_of(atoll_socket_open(from, domain == AF_INET ? ATOLL_ADDRESS_IPV4 : ATOLL_ADDRESS_IPV6,
                                  is_stream ? ATOLL_SOCKET_STREAM : ATOLL_SOCKET_DATAGRAMS));
  if (fd >= 0 && (type & SOCK_NONBLOCK) != 0)
    (void)__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK);
  return fd;
}

int socketpair(int domain, int type, int protocol, int pair[2]) {
  (void)domain, (void)type, (void)protocol, (void)pair;
  return fail(EOPNOTSUPP);
}

int bind(int fd, const struct sockaddr* address, socklen_t size) {
  AtollSocketAddress at;
  if (type_of(fd) == 0 || from_sockaddr(address, size, &at) != 0) return -1;
  return result_of(atoll_socket_bind(fd, &at));
}

int listen(int fd, int backlog) {
  const int type = type_of(fd);
  if (type == 0) return -1;
  if (type == SOCK_DGRAM) return fail(EOPNOTSUPP);
  return result_of(atoll_socket_listen(fd, backlog < 0 ? 0 : backlog));
}

// The names that addresses were found by, the newest first: rules can name hosts.
static struct {
  AtollSocketAddress address;
  char name[256];
} found[MAX_ADDRESSES];

static const char* name_of(const AtollSocketAddress* address) {
  for (int i = 0; i < MAX_ADDRESSES; ++i) {
    if (found[i].address.family == address->family &&
        memcmp(&found[i].address.bytes, &address->bytes, 16) == 0) {
      return found[i].name;
    }
  }
  return "";
}

static void note_name(const AtollSocketAddress* address, const char* name) {
  if (strlen(name) >= sizeof found[0].name) return;
  memmove(found + 1, found, sizeof found - sizeof found[0]);
  found[0].address = *address;
  strcpy(found[0].name, name);
}

int connect(int fd, const struct sockaddr* address, socklen_t size) {
  const int type = type_of(fd);
  AtollSocketAddress to;
  if (type == 0) return -1;
  if (type == SOCK_DGRAM && address != NULL && address->sa_family == AF_UNSPEC) {
    memset(&to, 0, sizeof to);
  } else if (from_sockaddr(address, size, &to) != 0) {
    return -1;
  }
  const char* const name = name_of(&to);
  int64_t timeout = -1;
  if (is_nonblocking(fd)) {
    timeout = 0;
  } else {
    const int32_t limit = atoll_socket_option_get(fd, ATOLL_OPTION_SEND_TIMEOUT);
    if (limit > 0) timeout = (int64_t)limit * 1000000;
  }
  const int32_t result = atoll_socket_connect(fd, &to, (char*)name, strlen(name), timeout);
  // As Linux has it for SO_SNDTIMEO.
  if (result == -ATOLL_E_TIMEDOUT && timeout > 0) return fail(EINPROGRESS);
  return result_of(result);
}

int accept4(int fd, struct sockaddr* restrict address, socklen_t* restrict size, int flags) {
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) return fail(EINVAL);
  __wasi_fd_t made = 0;
  const __wasi_errno_t error =
      __wasi_sock_accept(fd, (flags & SOCK_NONBLOCK) != 0 ? __WASI_FDFLAGS_NONBLOCK : 0, &made);
  if (error != 0) return fail(error);
  if (address != NULL && size != NULL && getpeername((int)made, address, size) != 0) {
    // It has ended already, which its first read tells.
    const AtollSocketAddress nobody = {.family = ATOLL_ADDRESS_IPV4};
    to_sockaddr(&nobody, address, size);
  }
  return (int)made;
}

int accept(int fd, struct sockaddr* restrict address, socklen_t* restrict size) {
  return accept4(fd, address, size, 0);
}

int shutdown(int fd, int how) {
  const __wasi_errno_t error = __wasi_sock_shutdown(fd, (__wasi_sdflags_t)how);
  return error == 0 ? 0 : fail(error);
}

// --- Sending and receiving ----------------------------------------------------------------------

// Makes a descriptor nonblocking for one call with MSG_DONTWAIT. Gives what to give back, or -1.
static int begin_call(int fd, int flags) {
  __wasi_fdstat_t status;
  if ((flags & MSG_DONTWAIT) == 0 || __wasi_fd_fdstat_get(fd, &status) != 0) return -1;
  if ((status.fs_flags & __WASI_FDFLAGS_NONBLOCK) != 0) return -1;
  (void)__wasi_fd_fdstat_set_flags(fd, status.fs_flags | __WASI_FDFLAGS_NONBLOCK);
  return status.fs_flags;
}
static void end_call(int fd, int before) {
  if (before >= 0) (void)__wasi_fd_fdstat_set_flags(fd, (__wasi_fdflags_t)before);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  if ((flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)) != 0) return fail(EOPNOTSUPP);
  const __wasi_ciovec_t part = {data, size};
  __wasi_size_t sent = 0;
  const int before = begin_call(fd, flags);
  const __wasi_errno_t error = __wasi_sock_send(fd, &part, 1, 0, &sent);
  end_call(fd, before);
  if (error == 0) return (ssize_t)sent;
  return fail(error == ENOTCONN && type_of(fd) == SOCK_DGRAM ? EDESTADDRREQ : error);
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  if ((flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_WAITALL | MSG_TRUNC)) != 0) {
    return fail(EOPNOTSUPP);
  }
  const __wasi_iovec_t part = {data, size};
  __wasi_size_t got = 0;
  __wasi_roflags_t what = 0;
  const int before = begin_call(fd, flags);
  const __wasi_errno_t error =
      __wasi_sock_recv(fd, &part, 1, flags & (MSG_PEEK | MSG_WAITALL), &got, &what);
  end_call(fd, before);
  return error == 0 ? (ssize_t)got : fail(error);
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* to,
               socklen_t to_size) {
  // A connection has its other end; what is said of another one does not count.
  if (to == NULL || type_of(fd) != SOCK_DGRAM) return send(fd, data, size, flags);
  AtollSocketAddress address;
  if (from_sockaddr(to, to_size, &address) != 0) return -1;
  return result_of(atoll_udp_send(fd, data, size, &address));
}

ssize_t recvfrom(int fd, void* data, size_t size, int flags, struct sockaddr* from,
                 socklen_t* from_size) {
  if (from == NULL || from_size == NULL) return recv(fd, data, size, flags);
  if (type_of(fd) != SOCK_DGRAM) {
    *from_size = 0;
    return recv(fd, data, size, flags);
  }
  if ((flags & MSG_PEEK) != 0) return fail(EOPNOTSUPP);
  int64_t timeout = -1;
  if ((flags & MSG_DONTWAIT) != 0 || is_nonblocking(fd)) {
    timeout = 0;
  } else {
    const int32_t limit = atoll_socket_option_get(fd, ATOLL_OPTION_RECEIVE_TIMEOUT);
    if (limit > 0) timeout = (int64_t)limit * 1000000;
  }
  AtollSocketAddress address;
  const int32_t result = atoll_udp_receive(fd, data, size, &address, timeout);
  if (result == -ATOLL_E_TIMEDOUT) return fail(EAGAIN);
  if (result >= 0) to_sockaddr(&address, from, from_size);
  return result_of(result);
}

// --- Names of hosts -----------------------------------------------------------------------------

static const struct {
  const char* name;
  unsigned short port;
} services[] = {{"domain", 53}, {"echo", 7},   {"ftp", 21},   {"http", 80},
                {"https", 443}, {"imap", 143}, {"ntp", 123},  {"pop3", 110},
                {"smtp", 25},   {"ssh", 22},   {"telnet", 23}};
#define SERVICES (sizeof services / sizeof services[0])

// The port, or -1.
static int port_of(const char* service, int is_number) {
  char* end = NULL;
  const long number = strtol(service, &end, 10);
  if (*service >= '0' && *service <= '9' && *end == 0) {
    return number <= 65535 ? (int)number : -1;
  }
  for (size_t i = 0; !is_number && i < SERVICES; ++i) {
    if (strcmp(services[i].name, service) == 0) return services[i].port;
  }
  return -1;
}

static int lookup_error(int32_t error) {
  if (error == -ATOLL_E_NOENT || error == -ATOLL_E_INVAL || error == -ATOLL_E_NAMETOOLONG) {
    return EAI_NONAME;
  }
  if (error == -ATOLL_E_AGAIN || error == -ATOLL_E_TIMEDOUT) return EAI_AGAIN;
  errno = error == -ATOLL_E_NOTCAPABLE ? EACCES : -error;
  return EAI_SYSTEM;
}

// An address as it is written, which needs no network. Gives 1, or 0.
static int read_number(const char* host, AtollSocketAddress* address) {
  memset(address, 0, sizeof *address);
  address->family = ATOLL_ADDRESS_IPV4;
  if (inet_pton(AF_INET, host, &address->bytes) == 1) return 1;
  address->family = ATOLL_ADDRESS_IPV6;
  return inet_pton(AF_INET6, host, &address->bytes) == 1;
}

// Gives how many addresses there are, or EAI_.
static int find(const char* host, int is_number, int passive, AtollSocketAddress* all) {
  if (host == NULL) {
    memset(all, 0, 2 * sizeof *all);
    all[0].family = ATOLL_ADDRESS_IPV4;
    all[1].family = ATOLL_ADDRESS_IPV6;
    if (!passive) {
      inet_pton(AF_INET, "127.0.0.1", &all[0].bytes);
      inet_pton(AF_INET6, "::1", &all[1].bytes);
    }
    return 2;
  }
  if (read_number(host, all)) return 1;
  if (is_number) return EAI_NONAME;
  const int32_t from = network();
  if (from < 0) {
    errno = EACCES;
    return EAI_SYSTEM;
  }
  const int32_t count = atoll_host_lookup(from, host, strlen(host), all, MAX_ADDRESSES, -1);
  if (count < 0) return lookup_error(count);
  for (int i = count; i-- > 0;) note_name(&all[i], host);
  return count == 0 ? EAI_NONAME : count;
}

struct entry {
  struct addrinfo info;
  struct sockaddr_storage address;
};

int getaddrinfo(const char* host, const char* service, const struct addrinfo* hints,
                struct addrinfo** list) {
  const struct addrinfo none = {0};
  if (hints == NULL) hints = &none;
  const int known = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL |
                    AI_ADDRCONFIG | AI_NUMERICSERV;
  const int family = hints->ai_family;
  if ((hints->ai_flags & ~known) != 0) return EAI_BADFLAGS;
  if (host == NULL && service == NULL) return EAI_NONAME;
  if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6) return EAI_FAMILY;
  const int type = hints->ai_socktype;
  if (type != 0 && type != SOCK_STREAM && type != SOCK_DGRAM) return EAI_SOCKTYPE;
  const int port = service == NULL ? 0 : port_of(service, (hints->ai_flags & AI_NUMERICSERV) != 0);
  if (port < 0) return (hints->ai_flags & AI_NUMERICSERV) != 0 ? EAI_NONAME : EAI_SERVICE;
  AtollSocketAddress all[MAX_ADDRESSES];
  const int count =
      find(host, (hints->ai_flags & AI_NUMERICHOST) != 0, (hints->ai_flags & AI_PASSIVE) != 0, all);
  if (count < 0) return count;
  struct addrinfo* first = NULL;
  struct addrinfo** next = &first;
  for (int i = 0; i < count; ++i) {
    const int own = all[i].family == ATOLL_ADDRESS_IPV4 ? AF_INET : AF_INET6;
    if (family != AF_UNSPEC && family != own) continue;
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (int k = 0; k < 2; ++k) {
      const int protocol = types[k] == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
      if (type != 0 && type != types[k]) continue;
      if (hints->ai_protocol != 0 && hints->ai_protocol != protocol) continue;
      const int names = first == NULL && (hints->ai_flags & AI_CANONNAME) != 0 && host != NULL;
      struct entry* const entry = calloc(1, sizeof *entry + (names ? strlen(host) + 1 : 0));
      if (entry == NULL) {
        freeaddrinfo(first);
        return EAI_MEMORY;
      }
      all[i].port = (uint32_t)port;
      entry->info.ai_family = own;
      entry->info.ai_socktype = types[k];
      entry->info.ai_protocol = protocol;
      entry->info.ai_addrlen = make_sockaddr(&all[i], &entry->address);
      entry->info.ai_addr = (struct sockaddr*)&entry->address;
      if (names) entry->info.ai_canonname = strcpy((char*)(entry + 1), host);
      *next = &entry->info;
      next = &entry->info.ai_next;
    }
  }
  if (first == NULL) return EAI_NONAME;
  *list = first;
  return 0;
}

void freeaddrinfo(struct addrinfo* list) {
  while (list != NULL) {
    struct addrinfo* const next = list->ai_next;
    free(list);
    list = next;
  }
}

const char* gai_strerror(int error) {
  switch (error) {
    case 0:
      return "Success";
    case EAI_BADFLAGS:
      return "Bad value for ai_flags";
    case EAI_NONAME:
      return "Name or service not known";
    case EAI_AGAIN:
      return "Temporary failure in name resolution";
    case EAI_FAIL:
      return "Non-recoverable failure in name resolution";
    case EAI_NODATA:
      return "No address associated with hostname";
    case EAI_FAMILY:
      return "ai_family not supported";
    case EAI_SOCKTYPE:
      return "ai_socktype not supported";
    case EAI_SERVICE:
      return "Servname not supported for ai_socktype";
    case EAI_MEMORY:
      return "Memory allocation failure";
    case EAI_SYSTEM:
      return "System error";
    case EAI_OVERFLOW:
      return "Argument buffer overflow";
    default:
      return "Unknown error";
  }
}

int getnameinfo(const struct sockaddr* address, socklen_t size, char* host, socklen_t host_size,
                char* service, socklen_t service_size, int flags) {
  AtollSocketAddress own;
  if (from_sockaddr(address, size, &own) != 0) return EAI_FAMILY;
  if (host != NULL && host_size > 0) {
    if ((flags & NI_NAMEREQD) != 0) return EAI_NONAME;
    if (inet_ntop(address->sa_family, &own.bytes, host, host_size) == NULL) return EAI_OVERFLOW;
  }
  if (service != NULL && service_size > 0) {
    const int length = snprintf(service, service_size, "%u", (unsigned)own.port);
    if (length < 0 || (socklen_t)length >= service_size) return EAI_OVERFLOW;
  }
  return 0;
}

int h_errno;

struct hostent* gethostbyname(const char* name) {
  static char own_name[256];
  static struct in_addr addresses[MAX_ADDRESSES];
  static char* list[MAX_ADDRESSES + 1];
  static char* aliases[1];
  static struct hostent entry = {own_name, aliases, AF_INET, 4, list};
  AtollSocketAddress all[MAX_ADDRESSES];
  const int count = find(name, 0, 0, all);
  if (count < 0) {
    h_errno = count == EAI_AGAIN ? TRY_AGAIN : count == EAI_NONAME ? HOST_NOT_FOUND : NO_RECOVERY;
    return NULL;
  }
  int used = 0;
  for (int i = 0; i < count; ++i) {
    if (all[i].family != ATOLL_ADDRESS_IPV4) continue;
    memcpy(&addresses[used], &all[i].bytes, 4);
    list[used] = (char*)&addresses[used];
    ++used;
  }
  list[used] = NULL;
  h_errno = NO_DATA;
  if (used == 0) return NULL;
  snprintf(own_name, sizeof own_name, "%s", name);
  return &entry;
}

const char* hstrerror(int error) {
  return error == HOST_NOT_FOUND ? "Unknown host"
         : error == TRY_AGAIN    ? "Host name lookup failure"
         : error == NO_DATA      ? "No address associated with name"
                                 : "Unknown server error";
}

struct servent* getservbyname(const char* name, const char* protocol) {
  static char* aliases[1];
  static char own_protocol[8];
  static struct servent entry = {NULL, aliases, 0, own_protocol};
  for (size_t i = 0; i < SERVICES; ++i) {
    if (strcmp(services[i].name, name) != 0) continue;
    entry.s_name = (char*)services[i].name;
    entry.s_port = htons(services[i].port);
    snprintf(own_protocol, sizeof own_protocol, "%s", protocol == NULL ? "tcp" : protocol);
    return &entry;
  }
  return NULL;
}

// --- Options ------------------------------------------------------------------------------------

// What Atoll calls an option of a number, or -1.
static int option_of(int level, int name) {
  if (level == IPPROTO_TCP && name == TCP_NODELAY) return ATOLL_OPTION_NODELAY;
  if (level != SOL_SOCKET) return -1;
  if (name == SO_SNDBUF) return ATOLL_OPTION_SEND_BUFFER;
  if (name == SO_RCVBUF) return ATOLL_OPTION_RECEIVE_BUFFER;
  if (name == SO_RCVTIMEO) return ATOLL_OPTION_RECEIVE_TIMEOUT;
  if (name == SO_SNDTIMEO) return ATOLL_OPTION_SEND_TIMEOUT;
  return -1;
}

// Seconds without a word, as Linux has it.
#define KEEPALIVE_SECONDS 7200

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (type_of(fd) == 0) return -1;
  const int option = option_of(level, name);
  if (option == ATOLL_OPTION_RECEIVE_TIMEOUT || option == ATOLL_OPTION_SEND_TIMEOUT) {
    struct timeval time;
    if (value == NULL || size < sizeof time) return fail(EINVAL);
    memcpy(&time, value, sizeof time);
    if (time.tv_usec < 0 || time.tv_usec >= 1000000) return fail(EDOM);
    // Rounded up: 0 means for ever.
    int64_t milliseconds =
        time.tv_sec < 0 ? 0 : (int64_t)time.tv_usec / 1000 + (time.tv_usec % 1000 != 0);
    if (time.tv_sec > INT32_MAX / 1000 - 1) {
      milliseconds = INT32_MAX;
    } else if (time.tv_sec > 0) {
      milliseconds += (int64_t)time.tv_sec * 1000;
    }
    return result_of(atoll_socket_option(fd, option, (int32_t)milliseconds));
  }
  if (level == SOL_SOCKET && name == SO_LINGER) {
    struct linger linger;
    if (value == NULL || size < sizeof linger) return fail(EINVAL);
    memcpy(&linger, value, sizeof linger);
    return linger.l_onoff == 0 ? 0 : fail(ENOPROTOOPT);
  }
  int number = 0;
  if (value == NULL || size < sizeof number) return fail(EINVAL);
  memcpy(&number, value, sizeof number);
  if (option == ATOLL_OPTION_NODELAY)
    return result_of(atoll_socket_option(fd, option, number != 0));
  if (option >= 0) return result_of(atoll_socket_option(fd, option, number));
  if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) return number != 0 ? 0 : fail(EINVAL);
  if (level == SOL_SOCKET && name == SO_KEEPALIVE) {
    return result_of(
        atoll_socket_option(fd, ATOLL_OPTION_KEEPALIVE, number != 0 ? KEEPALIVE_SECONDS : 0));
  }
  if (level == IPPROTO_TCP && name == TCP_KEEPIDLE) {
    return result_of(atoll_socket_option(fd, ATOLL_OPTION_KEEPALIVE, number));
  }
  if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_BROADCAST)) return 0;
  return fail(ENOPROTOOPT);
}

static int give_number(int number, void* value, socklen_t* size) {
  if (value == NULL || size == NULL) return fail(EFAULT);
  const socklen_t length = *size < sizeof number ? *size : sizeof number;
  memcpy(value, &number, length);
  *size = length;
  return 0;
}

int getsockopt(int fd, int level, int name, void* restrict value, socklen_t* restrict size) {
  const int type = type_of(fd);
  if (type == 0) return -1;
  int option = option_of(level, name);
  if (level == SOL_SOCKET) {
    if (name == SO_TYPE) return give_number(type, value, size);
    if (name == SO_PROTOCOL) {
      return give_number(type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, value, size);
    }
    if (name == SO_REUSEADDR) return give_number(1, value, size);
    if (name == SO_ERROR) option = ATOLL_OPTION_ERROR;
    if (name == SO_KEEPALIVE) option = ATOLL_OPTION_KEEPALIVE;
    if (name == SO_ACCEPTCONN) option = ATOLL_OPTION_LISTENS;
    if (name == SO_DOMAIN) {
      AtollSocketAddress own;
      if (result_of(atoll_socket_address(fd, 0, &own)) != 0) return -1;
      return give_number(own.family == ATOLL_ADDRESS_IPV4 ? AF_INET : AF_INET6, value, size);
    }
  }
  if (option < 0) return fail(ENOPROTOOPT);
  const int number = result_of(atoll_socket_option_get(fd, option));
  if (number < 0) return -1;
  if (option == ATOLL_OPTION_RECEIVE_TIMEOUT || option == ATOLL_OPTION_SEND_TIMEOUT) {
    const struct timeval time = {number / 1000, number % 1000 * 1000};
    if (value == NULL || size == NULL) return fail(EFAULT);
    if (*size > sizeof time) *size = sizeof time;
    memcpy(value, &time, *size);
    return 0;
  }
  return give_number(name == SO_KEEPALIVE ? number != 0 : number, value, size);
}

// --- Waiting ------------------------------------------------------------------------------------

// One call of poll_oneoff. Gives the number of descriptors with events.
static int wait_for(struct pollfd* all, nfds_t count, int64_t timeout) {
  const size_t most = 2 * (size_t)count + 1;
  char few[64 * (sizeof(__wasi_subscription_t) + sizeof(__wasi_event_t))]
      __attribute__((aligned(8)));
  const size_t each = sizeof(__wasi_subscription_t) + sizeof(__wasi_event_t);
  char* const room = most <= 64 ? few : malloc(most * each);
  if (room == NULL) return fail(ENOMEM);
  __wasi_subscription_t* const wanted = (__wasi_subscription_t*)room;
  __wasi_event_t* const events = (__wasi_event_t*)(room + most * sizeof *wanted);
  size_t used = 0;
  for (nfds_t i = 0; i < count; ++i) {
    all[i].revents = 0;
    if (all[i].fd < 0) continue;
    // Without any the other end's closing can still be told.
    const int reads = (all[i].events & POLLIN) != 0;
    const int writes = (all[i].events & POLLOUT) != 0;
    for (int write = 0; write < 2; ++write) {
      if (write ? !writes : !reads) continue;
      memset(&wanted[used], 0, sizeof wanted[used]);
      wanted[used].userdata = i;
      wanted[used].u.tag = write ? __WASI_EVENTTYPE_FD_WRITE : __WASI_EVENTTYPE_FD_READ;
      wanted[used++].u.u.fd_read.file_descriptor = (__wasi_fd_t)all[i].fd;
    }
  }
  if (timeout >= 0) {
    memset(&wanted[used], 0, sizeof wanted[used]);
    wanted[used].userdata = count;
    wanted[used].u.tag = __WASI_EVENTTYPE_CLOCK;
    wanted[used].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    wanted[used++].u.u.clock.timeout = (__wasi_timestamp_t)timeout;
  }
  __wasi_size_t got = 0;
  int ready = 0;
  const __wasi_errno_t error =
      used == 0 ? __WASI_ERRNO_INVAL : __wasi_poll_oneoff(wanted, events, used, &got);
  for (size_t i = 0; error == 0 && i < got; ++i) {
    if (events[i].type == __WASI_EVENTTYPE_CLOCK) continue;
    struct pollfd* const one = &all[events[i].userdata];
    if (one->revents == 0) ++ready;
    if (events[i].error != 0) {
      one->revents |= events[i].error == __WASI_ERRNO_BADF ? POLLNVAL : POLLERR;
      continue;
    }
    one->revents |= events[i].type == __WASI_EVENTTYPE_FD_READ ? POLLIN : POLLOUT;
    if ((events[i].fd_readwrite.flags & __WASI_EVENTRWFLAGS_FD_READWRITE_HANGUP) != 0) {
      one->revents |= POLLHUP;
    }
  }
  if (room != few) free(room);
  return error == 0 ? ready : fail(error);
}

int poll(struct pollfd* all, nfds_t count, int timeout) {
  return wait_for(all, count, timeout < 0 ? -1 : (int64_t)timeout * 1000000);
}

int pselect(int count, fd_set* restrict read, fd_set* restrict write, fd_set* restrict other,
            const struct timespec* restrict timeout, const sigset_t* restrict mask) {
  (void)mask;
  if (count < 0 || (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0))) {
    return fail(EINVAL);
  }
  struct pollfd* const all = malloc(((size_t)count + 1) * sizeof *all);
  if (all == NULL) return fail(ENOMEM);
  nfds_t used = 0;
  for (int fd = 0; fd < count; ++fd) {
    short events = 0;
    if (read != NULL && FD_ISSET(fd, read)) events |= POLLIN;
    if (write != NULL && FD_ISSET(fd, write)) events |= POLLOUT;
    if (events != 0) all[used++] = (struct pollfd){fd, events, 0};
  }
  const int64_t time =
      timeout == NULL ? -1 : (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec;
  int result = wait_for(all, used, time);
  for (nfds_t i = 0; result >= 0 && i < used; ++i) {
    if ((all[i].revents & POLLNVAL) != 0) result = fail(EBADF);
  }
  if (result >= 0) {
    if (read != NULL) FD_ZERO(read);
    if (write != NULL) FD_ZERO(write);
    if (other != NULL) FD_ZERO(other);
    result = 0;
    for (nfds_t i = 0; i < used; ++i) {
      const int ends = (all[i].revents & (POLLHUP | POLLERR)) != 0;
      if ((all[i].events & POLLIN) != 0 && ((all[i].revents & POLLIN) != 0 || ends)) {
        FD_SET(all[i].fd, read);
        ++result;
      }
      if ((all[i].events & POLLOUT) != 0 && ((all[i].revents & POLLOUT) != 0 || ends)) {
        FD_SET(all[i].fd, write);
        ++result;
      }
    }
  }
  free(all);
  return result;
}

int select(int count, fd_set* restrict read, fd_set* restrict write, fd_set* restrict other,
           struct timeval* restrict timeout) {
  struct timespec time;
  if (timeout != NULL) time = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
  return pselect(count, read, write, other, timeout == NULL ? NULL : &time, NULL);
}
