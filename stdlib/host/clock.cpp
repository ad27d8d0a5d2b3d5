#include <time.h>

#include <limits>

#include "stdlib/host/support.hpp"

namespace atollvm::host {

HostResult call_clock_now(Environment& environment, HostContext& context) {
  const u32 clock = context.arg_u32(0);
  if (clock > static_cast<u32>(Clock::monotonic)) return context.error64(Errno::inval);
  return context.result_i64(environment.clock(static_cast<Clock>(clock)));
}

HostResult call_clock_sleep(Environment&, HostContext& context) {
  const i64 duration = context.arg_i64(0);
  if (duration < 0) return context.error32(Errno::inval);
  if (duration == 0) return context.result_i32(0);
  // Both are below 2^63: the sum can't wrap.
  const u64 deadline = loop::monotonic_ns() + static_cast<u64>(duration);
  if (is_scheduled(context)) return sleep_until(context, deadline);
  return loop::of(context).after(context, deadline,
                                 [](HostContext& later) { return later.result_i32(0); });
}

}  // namespace atollvm::host
