// There are no sockets among a process's descriptors.
#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {

HostResult call_sock_accept(Call& call) { return give(call, Errno::notsock); }
HostResult call_sock_recv(Call& call) { return give(call, Errno::notsock); }
HostResult call_sock_send(Call& call) { return give(call, Errno::notsock); }
HostResult call_sock_shutdown(Call& call) { return give(call, Errno::notsock); }

}  // namespace atollvm::wasi
