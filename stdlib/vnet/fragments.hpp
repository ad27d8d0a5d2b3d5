// Datagrams that come in parts (RFC 791, 8200, 5722: parts that overlap end the whole datagram).
#pragma once

#include <list>
#include <map>
#include <optional>

#include "stdlib/vnet/packet.hpp"

namespace atollvm::vnet {

class Reassembler {
 public:
  static constexpr usize max_datagrams = 64;
  static constexpr usize max_bytes = 256 << 10;
  static constexpr u64 timeout = 30'000'000'000;

  // Takes a part, whose header is given; the whole packet with its last one.
  std::optional<Bytes> add(u64 now, const IpHeader& header, Span packet);
  // What the parts that wait are charged.
  [[nodiscard]] usize bytes() const { return bytes_; }

 private:
  struct Partial {
    IpHeader header;
    u64 since = 0;
    std::map<u32, Bytes> parts{};  // by their offset
    std::optional<u32> size{};     // of the whole
    u32 held = 0;
    usize charged = 0;
    bool is_spoilt = false;  // what comes of it is dropped
  };
  using Partials = std::list<Partial>;  // the oldest first

  Partials::iterator find(const IpHeader& header);
  void drop(Partials::iterator partial);
  void spoil(Partial& partial);

  Partials partials_;
  usize bytes_ = 0;
};

}  // namespace atollvm::vnet
