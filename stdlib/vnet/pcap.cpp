#include "stdlib/vnet/pcap.hpp"

namespace atollvm::vnet::pcap {
namespace {

constexpr u32 magic_of_nanoseconds = 0xa1b23c4d;
constexpr u32 most_bytes = 262144;  // of a packet
constexpr u32 link_type_raw = 101;

void put(Bytes& to, u64 value, u32 bytes) {
  for (u32 i = 0; i < bytes; ++i) to.push_back(static_cast<u8>(value >> 8 * i));
}

}  // namespace

Bytes file_header() {
  Bytes bytes;
  put(bytes, magic_of_nanoseconds, 4);
  put(bytes, 2, 2);
  put(bytes, 4, 2);
  put(bytes, 0, 8);
  put(bytes, most_bytes, 4);
  put(bytes, link_type_raw, 4);
  return bytes;
}

Bytes record(u64 time, Span packet) {
  Bytes bytes;
  put(bytes, time / 1'000'000'000, 4);
  put(bytes, time % 1'000'000'000, 4);
  put(bytes, packet.size(), 4);
  put(bytes, packet.size(), 4);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  return bytes;
}

}  // namespace atollvm::vnet::pcap
