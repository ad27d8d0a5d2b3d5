#include "stdlib/host/support.hpp"

namespace atollvm::host {

HostResult call_random_fill(Environment& environment, HostContext& context) {
  const auto to = context.memory(context.arg_u32(0), context.arg_u32(1));
  if (!to) return context.error32(Errno::fault);
  if (to->size() > max_transfer) return context.error32(Errno::inval);
  return context.error32(environment.random(*to) ? Errno::success : Errno::io);
}

}  // namespace atollvm::host
