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

// What a link does not say stays.
void apply_link(const machine::LinkSpec& link, vnet::LinkSettings& settings);

// Threads: any.
class Networks final : public machine::NetworkOperator {
 public:
  // Errors: invalid (with the place in the file).
  static base::Result<std::shared_ptr<Networks>> make(const machine::TopologySpec& topology);

  // A machine's place there, by its name and NICs. Errors: invalid (with the place in its
  // description), usage (its rules).
  base::Result<std::shared_ptr<vnet::Attachment>> join(const machine::MachineSpec& spec);

  std::string show(bool as_svg) override;
  base::Status link(const std::string& nic, const machine::LinkSpec& link, Way way) override;
  base::Status partition(const std::vector<std::string>& from, const std::vector<std::string>& to,
                         bool is_one_way) override;
  base::Status heal(const std::vector<std::string>& from,
                    const std::vector<std::string>& to) override;
  base::Status capture(const std::vector<std::string>& at, const std::string& file) override;

 private:
  explicit Networks(const machine::TopologySpec& topology)
      : live_(std::make_shared<vnet::Live>(topology.seed, topology.mtu)) {}
  base::Status build(const machine::TopologySpec& topology);

  const std::shared_ptr<vnet::Live> live_;
};

}  // namespace atollvm
