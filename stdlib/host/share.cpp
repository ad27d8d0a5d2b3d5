// How calls wait for their share of I/O.
#include <algorithm>

#include "stdlib/host/attempt.hpp"

namespace atollvm::host {

void take_one(Share& share, std::shared_ptr<cap::Rate> of) {
  if (of == nullptr) return;
  share.io.at = std::max(share.io.at, of->take(1, loop::monotonic_ns()));
  share.count = std::move(of);
}

HostResult wait_for_share(HostContext& context, const Share& share, bool is_unbegun,
                          runtime::Finish finish, std::optional<u64> deadline,
                          runtime::Finish late) {
  const bool is_late = deadline && *deadline < share.io.at;
  if (is_late) {
    finish = [share, late = std::move(late)](HostContext& later) {
      settle_io(later, share, Errno::timedout);
      return late(later);
    };
  }
  context.process().is_unbegun = is_unbegun;
  std::function<void()> unused;
  const auto cancel = [share, &process = context.process()] {
    settle_io(HostContext(process, nullptr), share, Errno::canceled);
  };
  return loop::of(context).until(context, is_late ? *deadline : share.io.at, std::move(finish),
                                 cancel, unused);
}

}  // namespace atollvm::host
