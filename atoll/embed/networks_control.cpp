// Changing virtual networks while their machines run, and looking at them.
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "atoll/embed/log_stream.hpp"
#include "atoll/embed/networks.hpp"
#include "stdlib/vfs/posix.hpp"
#include "stdlib/vnet/drawing.hpp"
#include "stdlib/vnet/pcap.hpp"
#include "vm/base/monotonic.hpp"

namespace atollvm {
namespace {

using base::Error;
using base::ErrorCode;
using Nodes = std::vector<vnet::Node*>;

// A file stops growing there.
constexpr u64 max_capture = u64{1} << 30;

base::Result<vnet::Node*> node_of(const vnet::Fabric& fabric, const std::string& name) {
  const auto canonical = net::canonical_name(name);
  vnet::Node* const node = canonical ? fabric.find_node(*canonical) : nullptr;
  if (node == nullptr) {
    return base::Error{base::ErrorCode::not_found, name,
                       "no machine or router of this name has a NIC"};
  }
  return node;
}

base::Result<Nodes> nodes_of(const vnet::Fabric& fabric, const std::vector<std::string>& names) {
  Nodes nodes;
  for (const std::string& each : names) {
    const auto node = node_of(fabric, each);
    if (!node) return node.error();
    nodes.push_back(*node);
  }
  return nodes;
}

// All others, if there are no names.
base::Result<Nodes> nodes_of(const vnet::Fabric& fabric, const std::vector<std::string>& names,
                             const Nodes& but) {
  if (!names.empty()) return nodes_of(fabric, names);
  Nodes nodes;
  for (const auto& each : fabric.nodes()) {
    if (std::ranges::find(but, each.get()) == but.end()) nodes.push_back(each.get());
  }
  return nodes;
}

// Null: there is none.
vnet::Port* find_port(const vnet::Fabric& fabric, const std::string& name) {
  vnet::Port* only = nullptr;
  for (const auto& node : fabric.nodes()) {
    for (const auto& port : node->ports()) {
      if (port->name() == name) return port.get();
      if (node->name() == name) only = node->ports().size() == 1 ? port.get() : nullptr;
    }
  }
  return only;
}

Error no_port(const std::string& name) {
  return {ErrorCode::not_found, name, "there is no such NIC; `atoll net show` has them"};
}

// A pcap file that several places write to, with the fabric's lock held.
class CaptureFile {
 public:
  CaptureFile(vfs::Descriptor file, u64 began) : file_(std::move(file)), began_(began) {}

  // False: it can't be written.
  bool write(const vnet::Bytes& bytes) {
    if (size_ + bytes.size() > max_capture) return true;
    usize done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::write(file_.get(), bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        size_ = max_capture;  // no more: half a record is its end
        return false;
      }
      done += static_cast<usize>(count);
    }
    size_ += bytes.size();
    return true;
  }
  void take(u64 now, vnet::Span packet) { write(vnet::pcap::record(began_ + now, packet)); }

 private:
  const vfs::Descriptor file_;
  const u64 began_;  // ns since 1970 at which the fabric's time was 0
  u64 size_ = 0;
};

}  // namespace

std::string Networks::show(bool as_svg) {
  const vnet::Live::Turn turn(*live_);
  return as_svg ? vnet::draw_svg(*turn) : vnet::draw_text(*turn);
}

base::Status Networks::link(const std::string& nic, const machine::LinkSpec& link, Way way) {
  const vnet::Live::Turn turn(*live_);
  vnet::Port* const port = find_port(*turn, nic);
  if (port == nullptr) return no_port(nic);
  vnet::LinkSettings out = port->to_switch().settings();
  vnet::LinkSettings in = port->from_switch().settings();
  if (way != Way::in) apply_link(link, out);
  if (way != Way::out) apply_link(link, in);
  turn->set_link(*port, out, in);
  return {};
}

base::Status Networks::partition(const std::vector<std::string>& from,
                                 const std::vector<std::string>& to, bool is_one_way) {
  const vnet::Live::Turn turn(*live_);
  const auto first = nodes_of(*turn, from);
  if (!first) return first.error();
  const auto second = nodes_of(*turn, to, *first);
  if (!second) return second.error();
  turn->partition(*first, *second, is_one_way);
  return {};
}

base::Status Networks::heal(const std::vector<std::string>& from,
                            const std::vector<std::string>& to) {
  const vnet::Live::Turn turn(*live_);
  if (from.empty()) {
    turn->heal();
    return {};
  }
  const auto first = nodes_of(*turn, from);
  if (!first) return first.error();
  const auto second = nodes_of(*turn, to, *first);
  if (!second) return second.error();
  turn->heal(*first, *second);
  return {};
}

base::Status Networks::capture(const std::vector<std::string>& at, const std::string& file) {
  std::shared_ptr<CaptureFile> to;
  const auto open_file = [&]() -> base::Status {
    vfs::Descriptor made(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                              S_IRUSR | S_IWUSR));
    if (!made) return base::Error{base::ErrorCode::io, file, strerror(errno)};
    const u64 began = real_time() - (base::monotonic_ns() - live_->began());
    to = std::make_shared<CaptureFile>(std::move(made), began);
    if (!to->write(vnet::pcap::file_header())) {
      return base::Error{base::ErrorCode::io, file, "can't be written"};
    }
    return {};
  };
  const vnet::Live::Turn turn(*live_);
  std::vector<vnet::Port*> ports;
  std::vector<vnet::Switch*> switches;
  for (const std::string& each : at) {
    if (vnet::Switch* const found = turn->find_switch(each)) {
      switches.push_back(found);
    } else if (vnet::Port* const port = find_port(*turn, each)) {
      ports.push_back(port);
    } else {
      return base::Error{base::ErrorCode::not_found, each,
                         "there is no such switch or NIC; `atoll net show` has them"};
    }
  }
  if (!file.empty()) {
    if (base::Status opened = open_file(); !opened) return opened;
  }
  vnet::Capture capture;
  if (to != nullptr) {
    capture = [to](u64 now, vnet::Span packet) { to->take(now, packet); };
  }
  for (vnet::Port* const each : ports) turn->capture(*each, capture);
  for (vnet::Switch* const each : switches) turn->capture(*each, capture);
  return {};
}

}  // namespace atollvm
