#include "stdlib/vnet/fragments.hpp"

#include <algorithm>
#include <iterator>

namespace atollvm::vnet {
namespace {

constexpr usize part_cost = 128;  // of a part, beside its bytes
constexpr u32 max_payload = 65535;

}  // namespace

std::optional<Bytes> Reassembler::add(u64 now, const IpHeader& header, Span packet) {
  while (!partials_.empty() && now - partials_.front().since >= timeout) drop(partials_.begin());
  const Span payload = header.payload(packet);
  const usize end = header.offset + payload.size();
  const usize headers = header.source.family == Family::v4 ? v4_header_size : 0;
  if (payload.empty() || end + headers > max_payload ||
      (header.has_more && payload.size() % 8 != 0)) {
    return std::nullopt;
  }
  auto partial = find(header);
  if (partial == partials_.end()) {
    if (partials_.size() == max_datagrams) drop(partials_.begin());
    partial = partials_.insert(partials_.end(), Partial{header, now});
    partial->charged = part_cost;
    bytes_ += part_cost;
  }
  if (partial->is_spoilt) return std::nullopt;

  auto& parts = partial->parts;
  const auto next = parts.lower_bound(header.offset);
  if (next != parts.end() && next->first == header.offset &&
      next->second.size() == payload.size() &&
      std::equal(payload.begin(), payload.end(), next->second.begin())) {
    return std::nullopt;  // the same again
  }
  const bool hits_next = next != parts.end() && next->first < end;
  const bool hits_last = next != parts.begin() &&
                         std::prev(next)->first + std::prev(next)->second.size() > header.offset;
  const bool is_beyond = partial->size && (end > *partial->size || !header.has_more);
  const bool is_short = !header.has_more && !parts.empty() &&
                        parts.rbegin()->first + parts.rbegin()->second.size() > end;
  if (hits_next || hits_last || is_beyond || is_short) {
    spoil(*partial);
    return std::nullopt;
  }
  if (!header.has_more) partial->size = static_cast<u32>(end);
  parts.emplace(header.offset, Bytes(payload.begin(), payload.end()));
  partial->charged += payload.size() + part_cost;
  bytes_ += payload.size() + part_cost;
  while (bytes_ > max_bytes) {
    const bool is_own = partials_.begin() == partial;
    drop(partials_.begin());
    if (is_own) return std::nullopt;
  }

  partial->held += static_cast<u32>(payload.size());
  // Nothing overlaps, so that all is there when there is enough.
  if (partial->held != partial->size) return std::nullopt;
  Bytes whole;
  whole.reserve(partial->held);
  for (const auto& [offset, bytes] : parts) whole.insert(whole.end(), bytes.begin(), bytes.end());
  IpHeader of_whole = partial->header;
  of_whole.is_fragment = false;
  drop(partial);
  return write_ip(of_whole, whole);
}

Reassembler::Partials::iterator Reassembler::find(const IpHeader& header) {
  return std::find_if(partials_.begin(), partials_.end(), [&](const Partial& each) {
    return each.header.identification == header.identification &&
           each.header.protocol == header.protocol && each.header.source == header.source &&
           each.header.destination == header.destination;
  });
}

void Reassembler::drop(Partials::iterator partial) {
  bytes_ -= partial->charged;
  partials_.erase(partial);
}

void Reassembler::spoil(Partial& partial) {
  partial.parts.clear();
  bytes_ -= partial.charged - part_cost;
  partial.charged = part_cost;
  partial.is_spoilt = true;
}

}  // namespace atollvm::vnet
