// The virtual networks of a server: made of a machine file, joined by its machines, and changed
// while these run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/machine/operator.hpp"
#include "scheduler/machine/topology.hpp"
#include "stdlib/vnet/live.hpp"

namespace atollvm {

// Threads: any.
class Networks {
 public:
  // Errors: invalid (with the place in the file).
  static base::Result<std::shared_ptr<Networks>> make(const machine::TopologySpec& topology);

  // A machine's place there, by its name and NICs. Errors: invalid (with the place in its
  // description), usage (its rules).
  base::Result<std::shared_ptr<vnet::Attachment>> join(const machine::MachineSpec& spec);

 private:
  explicit Networks(const machine::TopologySpec& topology)
      : live_(std::make_shared<vnet::Live>(topology.seed, topology.mtu)) {}
  base::Status build(const machine::TopologySpec& topology);

  const std::shared_ptr<vnet::Live> live_;
};

}  // namespace atollvm
