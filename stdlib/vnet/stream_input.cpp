// What segments do to a connection.
#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {
namespace {

constexpr u64 least_timeout = 200'000'000;
constexpr usize max_ranges = 32;  // that have come too early
constexpr u32 least_mss = 64;
constexpr u32 first_segments = 10;  // of the congestion window (RFC 6928)
constexpr u32 enough_duplicates = 3;
constexpr u8 max_scale = 14;

}  // namespace

void Stream::take(const Segment& segment, const Packet& packet) {
  const auto self = shared_from_this();
  if (state_ == State::closed) return;
  if (state_ == State::syn_sent) {
    take_in_syn_sent(segment);
    if (state_ == State::established) learn(packet);
    return;
  }
  // What matters of it is in the window, or at its edge.
  const auto room = static_cast<u32>(in_.free());
  const u32 length = static_cast<u32>(segment.payload.size()) + (segment.has(flag::syn) ? 1 : 0);
  const u32 first = segment.sequence - expected_;
  const bool is_in_window =
      length == 0 ? first <= room : room > 0 && (first < room || first + length - 1 < room);
  if (!is_in_window) {
    if (segment.has(flag::rst)) return;
    if (state_ == State::time_wait && segment.has(flag::fin)) {
      end_at_time_ = events().now() + late_segments;
      arm();
    }
    return segment.length() > 0 ? send_ack() : send_challenge();
  }
  last_heard_ = events().now();
  probes_ = 0;
  if (take_reset_or_syn(segment) || !segment.has(flag::ack)) return;
  if (state_ == State::syn_received) {
    if (segment.acknowledgement != highest_) return send_reset(segment.acknowledgement);
    unacknowledged_ = segment.acknowledgement;
    answer_at_ = 0;
    attempts_ = 0;
    if (is_measuring_) measure(events().now() - measured_since_);
    is_measuring_ = false;
    congestion_window_ = first_segments * mss_;
    state_ = State::established;
    offered_ = 0;
    offer_sequence_ = segment.sequence - 1;
    const auto listener = listener_.lock();
    if (listener == nullptr) return discard();
    listener->completed(self);
    if (state_ == State::closed) return;
  }
  if (!take_acknowledgement(segment) || state_ == State::closed) return;
  if (!segment.payload.empty() && is_orphan_) return abort(Errno::connreset);
  const bool has_come = take_data(segment);
  if (state_ == State::closed) return;
  if (may_send()) send_what_fits();
  if (segment.length() > 0) send_ack();
  if (state_ == State::established) learn(packet);
  if (has_come) notify();
}

void Stream::take_in_syn_sent(const Segment& segment) {
  const bool is_answer = segment.has(flag::ack) && segment.acknowledgement == highest_;
  if (segment.has(flag::rst)) {
    if (is_answer) end(Errno::connrefused);
    return;
  }
  if (segment.has(flag::ack) && !is_answer) return send_reset(segment.acknowledgement);
  if (!segment.has(flag::syn) || !is_answer) return;
  expected_ = segment.sequence + 1;
  set_offers(segment);
  unacknowledged_ = segment.acknowledgement;
  offered_ = segment.window;
  largest_offered_ = offered_;
  offer_sequence_ = segment.sequence;
  offer_acknowledgement_ = segment.acknowledgement;
  answer_at_ = 0;
  attempts_ = 0;
  if (is_measuring_) measure(events().now() - measured_since_);
  is_measuring_ = false;
  timeout_ = std::min(timeout_, most_timeout);
  congestion_window_ = first_segments * mss_;
  state_ = State::established;
  arm();
  send_ack();
  notify();
}

void Stream::set_offers(const Segment& syn) {
  mss_ = std::clamp<u32>(syn.mss.value_or(536), least_mss, mss_);
  has_scale_ = syn.scale.has_value();
  offer_scale_ = has_scale_ ? std::min(*syn.scale, max_scale) : u8{0};
}

// True: that was all.
bool Stream::take_reset_or_syn(const Segment& segment) {
  if (segment.has(flag::rst)) {
    if (segment.sequence != expected_) {
      send_challenge();  // RFC 5961
    } else {
      end(state_ == State::time_wait ? Errno::success : Errno::connreset);
    }
    return true;
  }
  if (segment.has(flag::syn)) {
    send_challenge();
    return true;
  }
  return false;
}

// --- Acknowledgements ---

bool Stream::take_acknowledgement(const Segment& segment) {
  const u32 number = segment.acknowledgement;
  if (is_before(highest_, number)) {
    send_challenge();
    return false;
  }
  const bool is_new = is_before(unacknowledged_, number);
  const u32 offered = static_cast<u32>(segment.window) << offer_scale_;
  const bool is_duplicate = number == unacknowledged_ && segment.length() == 0 &&
                            offered == offered_ && is_before(unacknowledged_, highest_);
  offer(segment);
  if (is_new) {
    take_new_acknowledgement(number);
  } else if (is_duplicate) {
    take_duplicate();
  }
  if (!is_orphan_) attempts_ = 0;  // somebody is there
  return true;
}

void Stream::offer(const Segment& segment) {
  const bool is_newer = is_before(offer_sequence_, segment.sequence) ||
                        (offer_sequence_ == segment.sequence &&
                         !is_before(segment.acknowledgement, offer_acknowledgement_));
  if (!is_newer || is_before(segment.acknowledgement, unacknowledged_)) return;
  offered_ = static_cast<u32>(segment.window) << offer_scale_;
  largest_offered_ = std::max(largest_offered_, offered_);
  offer_sequence_ = segment.sequence;
  offer_acknowledgement_ = segment.acknowledgement;
}

void Stream::take_new_acknowledgement(u32 number) {
  const u32 count = number - unacknowledged_;
  const auto bytes = static_cast<u32>(std::min<usize>(count, out_.size()));
  if (count > bytes) is_end_acknowledged_ = true;
  const usize before = out_.free();
  out_.drop(bytes);
  unacknowledged_ = number;
  if (is_before(next_, number)) next_ = number;
  attempts_ = 0;
  duplicates_ = 0;
  if (is_measuring_ && is_before(measured_, number)) {
    is_measuring_ = false;
    measure(events().now() - measured_since_);
  }
  if (is_recovering_ && is_before(number, recovery_until_)) {
    // One more was lost (RFC 6582).
    congestion_window_ = std::max(mss_, congestion_window_ - std::min(congestion_window_, count)) +
                         (count >= mss_ ? mss_ : 0);
    retransmit_first();
  } else if (is_recovering_) {
    is_recovering_ = false;
    congestion_window_ = threshold_;
  } else {
    const u32 more =
        congestion_window_ < threshold_
            ? std::min(count, mss_)
            : std::max<u32>(1, static_cast<u32>(u64{mss_} * mss_ / congestion_window_));
    congestion_window_ = std::min(congestion_window_ + more, max_buffer);
  }
  answer_at_ = 0;
  wait_for_answer();
  if (before < out_.capacity() / 2 && out_.free() >= out_.capacity() / 2) notify();
  if (!is_end_acknowledged_) return;
  if (state_ == State::fin_wait_1) {
    state_ = State::fin_wait_2;
    if (is_orphan_) end_at_time_ = events().now() + late_segments;
    arm();
  } else if (state_ == State::closing) {
    wait_out();
  } else if (state_ == State::last_ack) {
    end(Errno::success);
  }
}

void Stream::take_duplicate() {
  ++duplicates_;
  if (is_recovering_) {
    congestion_window_ = std::min(congestion_window_ + mss_, max_buffer);
    return;
  }
  if (duplicates_ != enough_duplicates || is_before(unacknowledged_, recovery_until_)) return;
  is_recovering_ = true;
  recovery_until_ = highest_;
  threshold_ = std::max((highest_ - unacknowledged_) / 2, 2 * mss_);
  congestion_window_ = threshold_ + enough_duplicates * mss_;
  retransmit_first();
}

void Stream::measure(u64 round_trip) {
  if (round_trip_ == 0 && variation_ == 0) {
    round_trip_ = round_trip;
    variation_ = round_trip / 2;
  } else {
    const u64 off = round_trip > round_trip_ ? round_trip - round_trip_ : round_trip_ - round_trip;
    variation_ = (3 * variation_ + off) / 4;
    round_trip_ = (7 * round_trip_ + round_trip) / 8;
  }
  timeout_ = std::clamp(round_trip_ + 4 * variation_, least_timeout, most_timeout);
}

// --- Data ---

// True: there is something to read.
bool Stream::take_data(const Segment& segment) {
  if (state_ != State::established && state_ != State::fin_wait_1 && state_ != State::fin_wait_2) {
    return false;
  }
  u32 from = segment.sequence;
  Span bytes = segment.payload;
  const u32 after = from + static_cast<u32>(bytes.size());
  const u32 edge = expected_ + static_cast<u32>(in_.free());
  if (segment.has(flag::fin) && !has_end_ && !is_before(after, expected_) &&
      !is_before(edge, after) && (early_.empty() || !is_before(after, early_.back().to))) {
    has_end_ = true;
    end_at_ = after;
  }
  u32 to = is_before(edge, after) ? edge : after;
  if (has_end_ && is_before(end_at_, to)) to = end_at_;
  if (is_before(from, expected_)) from = expected_;
  const bool was_empty = in_.size() == 0;
  if (is_before(from, to)) {
    bytes = bytes.subspan(from - segment.sequence, to - from);
    if (from == expected_) {
      in_.push(bytes);
      expected_ = to;
      while (!early_.empty() && !is_before(expected_, early_.front().from)) {
        const u32 reached = early_.front().to;
        if (is_before(expected_, reached)) {
          in_.extend(reached - expected_);
          expected_ = reached;
        }
        early_.erase(early_.begin());
      }
      if (is_read_shut_) in_.drop(in_.size());
    } else {
      // What is already there stays as it is: this is the same.
      in_.put(from - expected_, bytes);
      add_range(from, to);
      if (early_.size() > max_ranges) early_.pop_back();
    }
  }
  const bool is_at_end = has_end_ && expected_ == end_at_ && !has_taken_end_;
  if (is_at_end) take_end();
  return is_at_end || (was_empty && in_.size() > 0);
}

// In order, apart from each other.
void Stream::add_range(u32 from, u32 to) {
  auto place = early_.begin();
  while (place != early_.end() && is_before(place->to, from)) ++place;
  auto last = place;
  while (last != early_.end() && !is_before(to, last->from)) {
    if (is_before(last->from, from)) from = last->from;
    if (is_before(to, last->to)) to = last->to;
    ++last;
  }
  if (place == last) {
    early_.insert(place, Range{from, to});
  } else {
    *place = Range{from, to};
    early_.erase(place + 1, last);
  }
}

void Stream::take_end() {
  has_taken_end_ = true;
  ++expected_;
  if (state_ == State::established) {
    state_ = State::close_wait;
  } else if (state_ == State::fin_wait_1) {
    state_ = State::closing;
  } else {
    wait_out();
  }
}

}  // namespace atollvm::vnet
