#include "scheduler/snapshot/snapshot.hpp"

namespace atollvm::snapshot {

base::Result<Summary> write(sched::Scheduler&, sched::Machine& machine, Objects&, Sink&) {
  return base::Error{base::ErrorCode::unsupported, machine.options().name,
                     "this build can't write snapshots"};
}

base::Result<Summary> read(sched::Scheduler&, sched::Machine& machine, Objects&, const Bounds&,
                           Source&) {
  return base::Error{base::ErrorCode::unsupported, machine.options().name,
                     "this build can't read snapshots"};
}

}  // namespace atollvm::snapshot
