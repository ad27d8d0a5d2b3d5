#include "stdlib/vnet/stream.hpp"

#include <algorithm>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {
namespace {

constexpr u64 first_timeout = ns_per_second;
constexpr u64 probe_interval = 75 * ns_per_second;  // of keepalive
constexpr u32 most_probes = 9;
constexpr u64 challenge_interval = ns_per_second / 2;
constexpr u32 most_syns = 6;
constexpr u32 most_attempts = 15;
constexpr u32 most_attempts_of_orphans = 8;

}  // namespace

Stream::Stream(Stack& stack, const Endpoint& local, const Endpoint& remote, u32 first_sequence)
    : Timer(stack.fabric().events()),
      stack_(stack),
      local_(local),
      remote_(remote),
      out_(stack.limits().send_buffer),
      unacknowledged_(first_sequence),
      next_(first_sequence),
      highest_(first_sequence),
      mss_(536),
      congestion_window_(0),
      recovery_until_(first_sequence),
      in_(stack.limits().receive_buffer),
      timeout_(first_timeout) {
  while (in_.capacity() >> own_scale_ > 0xffff) ++own_scale_;
}

Stream::~Stream() = default;

// --- For whoever has it ---

Outcome<u32> Stream::read(std::span<u8> bytes, bool peek) {
  if (is_read_shut_ || bytes.empty()) return 0u;
  if (in_.size() > 0) {
    if (peek) return static_cast<u32>(in_.copy(bytes));
    const usize before = in_.free();
    const auto count = static_cast<u32>(in_.pop(bytes));
    has_room(before);
    return count;
  }
  if (has_taken_end_) return 0u;
  if (state_ == State::closed) return error_ == Errno::success ? Errno::notconn : error_;
  if (state_ == State::syn_sent || state_ == State::syn_received) return Errno::notconn;
  return Errno::again;
}

// Something was read: the other end may go on.
void Stream::has_room(usize before) {
  if (state_ == State::closed) return;
  if (short_ != nullptr) {
    if (before < in_.capacity() / 2 && in_.free() >= in_.capacity() / 2) short_->notify();
    return;
  }
  if (state_ != State::established && state_ != State::fin_wait_1 && state_ != State::fin_wait_2) {
    return;
  }
  const u32 opened = expected_ + static_cast<u32>(in_.free()) - promised_;
  if (opened >= std::min<usize>(in_.capacity() / 2, usize{2} * mss_)) send_ack();
}

Outcome<u32> Stream::write(std::span<const u8> bytes) {
  if (state_ == State::closed) return error_ == Errno::success ? Errno::pipe : error_;
  if (state_ == State::syn_sent || state_ == State::syn_received) return Errno::notconn;
  if (is_ending_ || !may_send()) return Errno::pipe;
  if (bytes.empty()) return 0u;
  if (find_short()) {
    const u32 count = write_short(bytes);
    if (count == 0) return Errno::again;
    return count;
  }
  const auto count = static_cast<u32>(out_.push(bytes));
  if (count == 0) return Errno::again;
  send_what_fits();
  return count;
}

Errno Stream::connected() const {
  if (state_ == State::syn_sent || state_ == State::syn_received) return Errno::again;
  return state_ == State::closed ? error_ : Errno::success;
}

bool Stream::is_readable() const {
  return in_.size() > 0 || is_read_shut_ || has_taken_end_ || state_ == State::closed;
}

bool Stream::is_writable() const {
  if (state_ == State::syn_sent || state_ == State::syn_received) return false;
  if (state_ == State::closed || is_ending_) return true;
  return (short_ != nullptr ? short_->in_ : out_).free() > 0;
}

Errno Stream::shutdown(u32 how) {
  if (how == 0 || how > (net::shutdown_read | net::shutdown_write)) return Errno::inval;
  if (state_ == State::closed || state_ == State::syn_sent || state_ == State::syn_received) {
    return Errno::notconn;
  }
  if ((how & net::shutdown_read) != 0 && !is_read_shut_) {
    is_read_shut_ = true;
    const usize before = in_.free();
    in_.drop(in_.size());
    has_room(before);
    notify();
  }
  if ((how & net::shutdown_write) != 0) finish_writing();
  return Errno::success;
}

Errno Stream::set(net::Option option, i32 value) {
  switch (option) {
    case net::Option::nodelay:
      if (value != 0 && value != 1) return Errno::inval;
      has_nodelay_ = value == 1;
      if (may_send()) send_what_fits();
      return Errno::success;
    case net::Option::keepalive:
      if (value < 0 || value > 32767) return Errno::inval;
      keepalive_ = static_cast<u64>(value) * ns_per_second;
      last_heard_ = events().now();
      if (state_ != State::closed) arm();
      return Errno::success;
    case net::Option::receive_buffer:
    case net::Option::send_buffer:
      // Is what the stack's limits say, and no promise elsewhere either.
      return value < 0 ? Errno::inval : Errno::success;
    default:
      return Errno::inval;
  }
}

Outcome<u32> Stream::get(net::Option option) {
  switch (option) {
    case net::Option::nodelay:
      return has_nodelay_ ? 1u : 0u;
    case net::Option::keepalive:
      return static_cast<u32>(keepalive_ / ns_per_second);
    case net::Option::receive_buffer:
      return static_cast<u32>(in_.capacity());
    case net::Option::send_buffer:
      return static_cast<u32>(out_.capacity());
    case net::Option::error: {
      const bool is_told = state_ != State::closed || is_error_told_;
      is_error_told_ = state_ == State::closed;
      return is_told ? 0u : static_cast<u32>(error_);
    }
    case net::Option::listens:
      return 0u;
    default:
      return Errno::inval;
  }
}

void Stream::close() {
  if (is_orphan_) return;
  const auto self = shared_from_this();
  is_orphan_ = true;
  on_change_ = {};
  if (is_counted_) stack_.settle(*this);
  if (state_ == State::closed) return in_.clear();
  if (state_ == State::syn_sent || state_ == State::syn_received) return end(Errno::connaborted);
  if (in_.size() > 0 && state_ != State::time_wait) return abort(Errno::connreset);
  finish_writing();
  if (state_ == State::fin_wait_2) {
    end_at_time_ = events().now() + late_segments;
    arm();
  }
}

void Stream::discard() {
  is_orphan_ = true;
  on_change_ = {};
  if (is_counted_) stack_.settle(*this);
  abort(Errno::connreset);
}

// --- Opening and ending ---

void Stream::begin_connecting() {
  mss_ = stack_.mss(remote_.address);
  send_syn();
}

void Stream::begin_accepting(const Segment& syn, const std::shared_ptr<Listener>& listener) {
  state_ = State::syn_received;
  listener_ = listener;
  mss_ = stack_.mss(remote_.address);
  expected_ = syn.sequence + 1;
  set_offers(syn);
  send_syn();
}

void Stream::send_syn() {
  const bool is_answer = state_ == State::syn_received;
  Segment segment;
  segment.source_port = local_.port;
  segment.destination_port = remote_.port;
  segment.sequence = unacknowledged_;
  segment.acknowledgement = is_answer ? expected_ : 0;
  segment.flags = is_answer ? flag::syn | flag::ack : flag::syn;
  segment.window = static_cast<u16>(std::min<usize>(in_.free(), 0xffff));
  segment.mss = static_cast<u16>(std::min<u32>(stack_.mss(remote_.address), 0xffff));
  // An answer has it only where it was offered.
  if (!is_answer || has_scale_) segment.scale = own_scale_;
  promised_ = expected_ + segment.window;
  next_ = highest_ = unacknowledged_ + 1;
  if (attempts_ == 0) {
    is_measuring_ = true;
    measured_ = unacknowledged_;
    measured_since_ = events().now();
  }
  const auto error = stack_.send_segment(*this, segment, {});
  if (error && state_ == State::syn_sent) return end(*error);
  wait_for_answer();
}

void Stream::send_reset(u32 sequence) {
  Segment segment;
  segment.source_port = local_.port;
  segment.destination_port = remote_.port;
  segment.sequence = sequence;
  segment.acknowledgement = expected_;
  segment.flags = flag::rst | flag::ack;
  stack_.send_segment(*this, segment, {});
}

void Stream::abort(Errno error) {
  if (state_ == State::closed) return;
  leave_short();
  if (state_ != State::syn_sent && state_ != State::time_wait) send_reset(highest_);
  end(error);
}

void Stream::end(Errno error) {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  leave_short();
  if (state_ == State::syn_received) {
    if (const auto listener = listener_.lock()) listener->failed();
    is_orphan_ = true;
  }
  state_ = State::closed;
  error_ = error;
  cancel();
  out_.clear();
  early_ = {};
  if (is_orphan_) in_.clear();
  notify();
  stack_.ended(*this);
}

void Stream::take_unreachable(Errno error, u32 sequence) {
  // Later ones may be forged, or pass.
  if (state_ == State::syn_sent && sequence == unacknowledged_) end(error);
}

// --- Sending ---

bool Stream::may_send() const {
  return state_ == State::established || state_ == State::close_wait ||
         state_ == State::fin_wait_1 || state_ == State::closing || state_ == State::last_ack;
}

void Stream::send_what_fits() {
  while (true) {
    const u32 sent = in_flight();
    const u32 unsent = has_sent_end() ? 0 : static_cast<u32>(out_.size()) - sent;
    const u32 window = std::min(offered_, congestion_window_);
    const u32 count = std::min({unsent, mss_, window > sent ? window - sent : 0});
    const bool is_last = count == unsent;
    const bool ends = is_last && is_ending_ && !has_sent_end();
    if (count == 0 && !ends) break;
    if (count < mss_ && sent > 0 && !ends) {
      // A small one waits for more room (RFC 9293, 3.8.6.2.1), or for an answer (RFC 896).
      if (!is_last && count < largest_offered_ / 2) break;
      if (is_last && !has_nodelay_) break;
    }
    u8 flags = flag::ack;
    if (is_last) flags |= flag::psh;
    if (ends) flags |= flag::fin;
    const u32 sequence = next_;
    next_ += count + (ends ? 1 : 0);
    if (!is_measuring_ && !is_before(sequence, highest_)) {
      is_measuring_ = true;
      measured_ = sequence;
      measured_since_ = events().now();
    }
    if (is_before(highest_, next_)) highest_ = next_;
    send(sequence, count, flags);
  }
  wait_for_answer();
}

void Stream::send(u32 sequence, usize count, u8 flags) {
  Segment segment;
  segment.source_port = local_.port;
  segment.destination_port = remote_.port;
  segment.sequence = sequence;
  segment.acknowledgement = expected_;
  segment.flags = flags;
  const u32 room = window();
  segment.window = static_cast<u16>(room >> (has_scale_ ? own_scale_ : 0));
  promised_ = expected_ + room;
  Ring::Pieces pieces;
  if (count > 0) pieces = out_.peek(sequence - unacknowledged_, count);
  segment.payload = pieces.first;
  stack_.send_segment(*this, segment, pieces.second);
}

// What a segment can say of the room.
u32 Stream::window() const {
  const u8 scale = has_scale_ ? own_scale_ : 0;
  return static_cast<u32>(std::min<usize>(in_.free() >> scale, 0xffff)) << scale;
}

void Stream::send_challenge() {
  if (events().now() < next_challenge_) return;
  next_challenge_ = events().now() + challenge_interval;
  send_ack();
}

void Stream::finish_writing() {
  if (is_ending_ || (state_ != State::established && state_ != State::close_wait)) return;
  leave_short();
  is_ending_ = true;
  state_ = state_ == State::established ? State::fin_wait_1 : State::last_ack;
  notify();
  send_what_fits();
}

void Stream::retransmit_first() {
  const usize count = std::min<usize>(out_.size(), mss_);
  const bool ends = is_ending_ && count == out_.size() && !is_end_acknowledged_;
  if (count == 0 && !ends) return;
  is_measuring_ = false;
  const u32 reached = unacknowledged_ + static_cast<u32>(count) + (ends ? 1 : 0);
  // What a time-out has taken back may be sent by this.
  if (is_before(next_, reached)) next_ = reached;
  if (is_before(highest_, next_)) highest_ = next_;
  const u8 flags = ends ? flag::ack | flag::fin : flag::ack;
  send(unacknowledged_, count, flags);
}

// --- Times ---

void Stream::wait_for_answer() {
  const bool is_needed = state_ == State::syn_sent || state_ == State::syn_received ||
                         in_flight() > 0 || (may_send() && out_.size() > 0);
  if (!is_needed) {
    answer_at_ = 0;
  } else if (answer_at_ == 0) {
    answer_at_ = events().now() + timeout_;
  }
  arm();
}

void Stream::arm() {
  u64 at = ~u64{0};
  if (answer_at_ != 0) at = std::min(at, answer_at_);
  if (end_at_time_ != 0) at = std::min(at, end_at_time_);
  if (keepalive_ != 0 && is_listening_for_life()) {
    at = std::min(at, last_heard_ + keepalive_ + probes_ * probe_interval);
  }
  if (at == ~u64{0}) {
    cancel();
  } else if (!is_set() || this->at() != at) {
    Timer::set(at);
  }
}

void Stream::due() {
  const auto self = shared_from_this();
  const u64 now = events().now();
  if (end_at_time_ != 0 && now >= end_at_time_) {
    return end(state_ == State::time_wait ? Errno::success : Errno::timedout);
  }
  if (answer_at_ != 0 && now >= answer_at_) no_answer();
  if (state_ != State::closed && keepalive_ != 0) keep_alive();
  if (state_ != State::closed) arm();
}

void Stream::no_answer() {
  answer_at_ = 0;
  ++attempts_;
  const bool is_opening = state_ == State::syn_sent || state_ == State::syn_received;
  const u32 most = is_opening ? most_syns : is_orphan_ ? most_attempts_of_orphans : most_attempts;
  if (attempts_ > most) return end(Errno::timedout);
  timeout_ = std::min(2 * timeout_, most_timeout);
  is_measuring_ = false;
  if (is_opening) return send_syn();
  const u32 lost = highest_ - unacknowledged_;
  if (lost > 0) {
    // All that is under way is taken as lost, and sent again, slowly.
    threshold_ = std::max(lost / 2, 2 * mss_);
    congestion_window_ = mss_;
    is_recovering_ = false;
    duplicates_ = 0;
    recovery_until_ = highest_;
    next_ = unacknowledged_;
  }
  if (offered_ == 0 && out_.size() > 0) {
    send(unacknowledged_ - 1, 0, flag::ack);  // has to be answered, with the window
    wait_for_answer();
  } else {
    send_what_fits();
  }
}

// Elsewhere something is sent that has to be answered.
bool Stream::is_listening_for_life() const {
  return state_ == State::established || state_ == State::close_wait || state_ == State::fin_wait_2;
}

void Stream::keep_alive() {
  if (!is_listening_for_life()) return;
  const u64 now = events().now();
  if (short_ != nullptr && clean_epoch_ == stack_.fabric().epoch()) last_heard_ = now;
  if (now < last_heard_ + keepalive_ + probes_ * probe_interval) return;
  if (++probes_ > most_probes) return abort(Errno::timedout);
  leave_short();
  send(highest_ - 1, 0, flag::ack);
}

void Stream::wait_out() {
  leave_short();
  state_ = State::time_wait;
  answer_at_ = 0;
  end_at_time_ = events().now() + late_segments;
  out_.clear();
  arm();
  stack_.is_waiting(*this);
}

// --- The short path ---

void Stream::learn(const Packet& packet) {
  const u64 epoch = stack_.fabric().epoch();
  if (packet.epoch != epoch) return;
  partner_ = packet.origin;
  clean_epoch_ = packet.is_clean ? epoch : 0;
}

bool Stream::is_idle() const {
  return state_ == State::established && !is_ending_ && !is_orphan_ && out_.size() == 0 &&
         unacknowledged_ == highest_ && next_ == highest_ && early_.empty() && !has_end_;
}

bool Stream::find_short() {
  const u64 epoch = stack_.fabric().epoch();
  if (short_ != nullptr) {
    if (clean_epoch_ == epoch) return true;
    leave_short();
    return false;
  }
  if (clean_epoch_ != epoch || !is_idle()) return false;
  const auto other = partner_.lock();
  if (other == nullptr || other.get() == this || other->clean_epoch_ != epoch ||
      other->short_ != nullptr || other->partner_.lock().get() != this || !other->is_idle() ||
      next_ != other->expected_ || other->next_ != expected_) {
    return false;
  }
  short_ = other.get();
  short_->short_ = this;
  return true;
}

// Both ends count as if each byte had been acknowledged at once.
u32 Stream::write_short(std::span<const u8> bytes) {
  Stream& other = *short_;
  const bool was_empty = other.in_.size() == 0;
  const auto count = static_cast<u32>(other.is_read_shut_ ? bytes.size() : other.in_.push(bytes));
  next_ += count;
  unacknowledged_ = highest_ = next_;
  other.expected_ += count;
  if (was_empty && count > 0) other.notify();
  return count;
}

void Stream::leave_short() {
  if (short_ == nullptr) return;
  Stream& other = *short_;
  for (Stream* const end : {this, &other}) {
    const Stream& its_other = *end->short_;
    end->offered_ = static_cast<u32>(its_other.in_.free());
    end->offer_sequence_ = its_other.next_;
    end->offer_acknowledgement_ = end->next_;
    end->promised_ = end->expected_ + static_cast<u32>(end->in_.free());
    end->recovery_until_ = end->next_;
    end->is_measuring_ = false;
    end->last_heard_ = end->events().now();
  }
  short_ = other.short_ = nullptr;
  notify();
  other.notify();
}

}  // namespace atollvm::vnet
