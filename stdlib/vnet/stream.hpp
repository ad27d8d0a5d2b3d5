// A connection: one end of TCP (RFC 9293), with window scaling (RFC 7323), retransmission (RFC
// 6298) and congestion control (RFC 5681, 6582). What it sends goes by packets, or, on the short
// path (docs/virtual-networks.md), straight into the other end's buffer.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "stdlib/net/socket.hpp"
#include "stdlib/vnet/link.hpp"
#include "stdlib/vnet/ring.hpp"

namespace atollvm::vnet {

using cap::Errno;
using net::Outcome;

class Listener;
class Stack;

// Comparing sequence numbers, which wrap around.
constexpr bool is_before(u32 a, u32 b) { return static_cast<i32>(a - b) < 0; }

class Stream final : public std::enable_shared_from_this<Stream>, private Timer {
 public:
  enum class State : u8 {
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
    closed,
  };

  // For Stack: see connect() and Listener.
  Stream(Stack& stack, const Endpoint& local, const Endpoint& remote, u32 first_sequence);
  ~Stream() override;

  // --- For whoever has the connection. Errors beside those that are named: what ended it
  // (connreset, connrefused, timedout, hostunreach, netunreach, acces).

  // 0: the end. Errors: again, notconn. `peek`: the bytes stay to be read again.
  Outcome<u32> read(std::span<u8> bytes, bool peek = false);
  // Errors: again, pipe, notconn.
  Outcome<u32> write(std::span<const u8> bytes);
  // again: nothing has become of connecting yet.
  [[nodiscard]] Errno connected() const;
  // Errors: inval, notconn.
  [[nodiscard]] Errno shutdown(u32 how);
  // Errors: inval.
  [[nodiscard]] Errno set(net::Option option, i32 value);
  // Errors: inval.
  [[nodiscard]] Outcome<u32> get(net::Option option);
  // Bytes that can be read.
  [[nodiscard]] usize waiting() const { return in_.size(); }
  // Nobody has it any more. What was written is still sent; what was not read resets it.
  void close();
  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] const Endpoint& remote() const { return remote_; }
  // Whether read(), write() would give something else than again.
  [[nodiscard]] bool is_readable() const;
  [[nodiscard]] bool is_writable() const;
  // Is called when any of these may have changed. It must not call the network.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }

  [[nodiscard]] State state() const { return state_; }
  // Whether what is written now goes straight to the other end.
  [[nodiscard]] bool is_short() const { return short_ != nullptr; }
  // What its buffers have taken.
  [[nodiscard]] usize memory() const { return out_.memory() + in_.memory(); }

  // --- For Stack.

  void begin_connecting();
  void begin_accepting(const Segment& syn, const std::shared_ptr<Listener>& listener);
  void take(const Segment& segment, const Packet& packet);
  // Whether it counts as one of the stack's sockets.
  [[nodiscard]] bool is_counted() const { return is_counted_; }
  void set_counted(bool is_counted) { is_counted_ = is_counted; }
  [[nodiscard]] bool is_replaced_by(const Segment& syn) const {
    return state_ == State::time_wait && is_before(expected_, syn.sequence);
  }
  // An error of ICMP about one of its segments.
  void take_unreachable(Errno error, u32 sequence);
  [[nodiscard]] bool is_orphan() const { return is_orphan_; }
  // Ends it without a packet.
  void drop() { end(state_ == State::time_wait ? Errno::success : Errno::connreset); }
  // Nobody will have it.
  void discard();
  // Ends it at once, with a reset for the other end if there is one.
  void abort(Errno error);

 private:
  static constexpr u64 most_timeout = 60 * ns_per_second;
  // How long late ones may come, and orphans wait for an end.
  static constexpr u64 late_segments = 60 * ns_per_second;

  struct Range {  // numbers that have come too early
    u32 from;
    u32 to;
  };

  void due() override;
  void arm();
  void end(Errno error);
  void notify() const {
    if (on_change_) on_change_();
  }

  // Sending.
  [[nodiscard]] u32 in_flight() const { return next_ - unacknowledged_; }
  [[nodiscard]] bool has_sent_end() const {
    return is_end_acknowledged_ || (is_ending_ && is_before(end_number(), next_));
  }
  // The number of FIN, once everything is written.
  [[nodiscard]] u32 end_number() const { return unacknowledged_ + static_cast<u32>(out_.size()); }
  [[nodiscard]] bool may_send() const;
  void send_what_fits();
  void send(u32 sequence, usize count, u8 flags);
  void send_syn();
  void send_ack() { send(highest_, 0, flag::ack); }
  // The same, for segments that are answered alone: not too often, or two ends could do so for
  // ever.
  void send_challenge();
  void send_reset(u32 sequence);
  void retransmit_first();
  void finish_writing();
  void no_answer();
  void keep_alive();
  [[nodiscard]] bool is_listening_for_life() const;
  void wait_for_answer();

  // Receiving.
  void take_in_syn_sent(const Segment& segment);
  bool take_reset_or_syn(const Segment& segment);
  bool take_acknowledgement(const Segment& segment);
  void take_new_acknowledgement(u32 acknowledged);
  void take_duplicate();
  void measure(u64 round_trip);
  bool take_data(const Segment& segment);
  void add_range(u32 from, u32 to);
  void take_end();
  void wait_out();
  void has_room(usize before);
  [[nodiscard]] u32 window() const;  // of what may come
  void offer(const Segment& segment);
  void set_offers(const Segment& syn);

  // The short path.
  void learn(const Packet& packet);
  bool find_short();
  void leave_short();
  [[nodiscard]] bool is_idle() const;  // open, with nothing under way or out of order
  u32 write_short(std::span<const u8> bytes);

  Stack& stack_;
  const Endpoint local_;
  const Endpoint remote_;
  State state_ = State::syn_sent;
  Errno error_ = Errno::success;
  std::weak_ptr<Listener> listener_;  // until it is accepted
  std::function<void()> on_change_;
  bool is_counted_ = false;
  bool is_error_told_ = false;
  bool is_orphan_ = false;
  bool is_read_shut_ = false;
  bool has_nodelay_ = false;

  // Sending: [unacknowledged_, next_) is under way, up to highest_ has been.
  Ring out_;  // from unacknowledged_ on, without SYN and FIN
  u32 unacknowledged_;
  u32 next_;
  u32 highest_;
  u32 offered_ = 0;  // the other end's window
  u32 largest_offered_ = 0;
  u32 offer_sequence_ = 0;  // of the segment that it came from
  u32 offer_acknowledgement_ = 0;
  u8 offer_scale_ = 0;
  u32 mss_;
  bool is_ending_ = false;  // a FIN follows what is in out_
  bool is_end_acknowledged_ = false;

  // Congestion control.
  u32 congestion_window_;
  u32 threshold_ = ~u32{0};
  u32 duplicates_ = 0;
  u32 recovery_until_;
  bool is_recovering_ = false;

  // Receiving.
  Ring in_;
  std::vector<Range> early_;
  u32 expected_ = 0;
  u32 promised_ = 0;  // up to there the window was offered
  u8 own_scale_ = 0;
  bool has_scale_ = false;  // both ends scale
  bool has_end_ = false;    // of the other's stream, somewhere
  u32 end_at_ = 0;
  bool has_taken_end_ = false;

  // Times.
  u64 answer_at_ = 0;    // something has to be acknowledged until then; 0: nothing
  u64 end_at_time_ = 0;  // what is left of it ends then; 0: never
  u64 keepalive_ = 0;    // ns; 0: never
  u64 last_heard_ = 0;
  u64 timeout_;
  u64 round_trip_ = 0;
  u64 variation_ = 0;
  bool is_measuring_ = false;
  u32 measured_ = 0;
  u64 measured_since_ = 0;
  u32 attempts_ = 0;
  u32 probes_ = 0;
  u64 next_challenge_ = 0;

  std::weak_ptr<Stream> partner_;  // the other end, when its segments have been seen
  u64 clean_epoch_ = 0;            // when they came by a way without faults; epochs begin with 1
  Stream* short_ = nullptr;        // the other end, which has this one, on the short path
};

}  // namespace atollvm::vnet
