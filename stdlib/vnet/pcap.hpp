// Captures as files that tcpdump and Wireshark read: pcap with nanoseconds, packets from their IP
// header on (LINKTYPE_RAW).
#pragma once

#include "stdlib/vnet/packet.hpp"

namespace atollvm::vnet::pcap {

// The beginning of a file.
Bytes file_header();
// A packet as it follows. `time`: ns since 1970.
Bytes record(u64 time, Span packet);

}  // namespace atollvm::vnet::pcap
