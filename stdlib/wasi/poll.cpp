// poll_oneoff: waits for the first of several clocks and descriptors.
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

// More than a process has descriptors and clocks for.
constexpr u32 max_subscriptions = 8192;
constexpr u32 event_size = 32;

enum class EventType : u8 { clock = 0, read = 1, write = 2 };

struct Subscription {
  u64 userdata = 0;
  EventType type = EventType::clock;
  u64 deadline_ns = 0;                  // of a clock, by the loop's own
  std::shared_ptr<cap::Object> object;  // of a descriptor; null with an error
  Errno error = Errno::success;         // what is wrong with the descriptor
};

struct Poll {
  std::vector<Subscription> subscriptions{};
  u32 events_at = 0;
  u32 count_at = 0;
};

struct Event {
  u64 bytes = 0;
  bool hung_up = false;
  Errno error = Errno::success;
};

// Where the fields of a subscription are.
struct Layout {
  u32 size;
  u32 clock;    // its number
  u32 timeout;  // then the precision
  u32 flags;
};
constexpr Layout layout_of(Edition edition) {
  // Formerly a clock had another number, a user's own, before its own.
  return edition == Edition::unstable ? Layout{56, 24, 32, 48} : Layout{48, 16, 24, 40};
}

u64 saturating_sum(u64 x, u64 y) { return x > UINT64_MAX - y ? UINT64_MAX : x + y; }

// When a clock's time has come, by the loop's clock. Errors: inval (clock, flags).
Outcome<u64> deadline_of(const Environment& environment, u32 clock, u64 timeout, u16 flags) {
  constexpr u16 absolute = 1;
  if (clock > static_cast<u32>(host::Clock::monotonic)) return Errno::inval;
  if ((flags & ~absolute) != 0) return Errno::inval;
  u64 left = timeout;
  if ((flags & absolute) != 0) {
    const i64 now = environment.clock(static_cast<host::Clock>(clock));
    const u64 passed = now < 0 ? 0 : static_cast<u64>(now);
    left = timeout > passed ? timeout - passed : 0;
  }
  return saturating_sum(loop::monotonic_ns(), left);
}

// Finds what a descriptor's subscription waits for. What is wrong with it is told by its event.
void find_object(const HostContext& context, cap::Handle handle, Subscription& subscription) {
  const auto found = context.handles().find(
      handle, Kind::stream | Kind::file | Kind::listener | Kind::datagrams, cap::rights_none);
  if (const Errno* error = std::get_if<Errno>(&found)) {
    subscription.error = *error;
    return;
  }
  cap::Capability& capability = *std::get<cap::Capability*>(found);
  const bool is_listener = capability.object->kind() == Kind::listener;
  const Rights needed =
      right_poll_fd_readwrite | (is_listener                             ? right_sock_accept
                                 : subscription.type == EventType::write ? right_fd_write
                                                                         : right_fd_read);
  if ((descriptor_of(capability).base & needed) != needed) {
    subscription.error = Errno::notcapable;
    return;
  }
  subscription.object = capability.object;
}

Outcome<Subscription> read_subscription(const Call& call, std::span<const u8> bytes) {
  const Layout layout = layout_of(call.edition);
  Subscription subscription;
  subscription.userdata = load<u64>(bytes, 0);
  const u8 type = load<u8>(bytes, 8);
  if (type > static_cast<u8>(EventType::write)) return Errno::inval;
  subscription.type = static_cast<EventType>(type);
  if (subscription.type != EventType::clock) {
    find_object(call.context, load<u32>(bytes, 16), subscription);
    return subscription;
  }
  const Outcome<u64> deadline =
      deadline_of(call.environment, load<u32>(bytes, layout.clock),
                  load<u64>(bytes, layout.timeout), load<u16>(bytes, layout.flags));
  if (const Errno* error = error_of(deadline)) return *error;
  subscription.deadline_ns = std::get<u64>(deadline);
  return subscription;
}

// A file is always ready; at its end that is said.
Event file_event(vfs::File& file, bool write) {
  Event event;
  if (write) return event;
  const Outcome<vfs::Stat> stat = file.stat(Wait::never);
  const Outcome<u64> position = file.seek(0, 1);
  if (error_of(stat) != nullptr || error_of(position) != nullptr) return event;
  const u64 size = std::get<vfs::Stat>(stat).size;
  const u64 at = std::get<u64>(position);
  event.bytes = size > at ? size - at : 0;
  event.hung_up = event.bytes == 0;
  return event;
}

// The host's descriptor behind a subscription, or nothing.
std::optional<int> wait_fd(const Subscription& subscription) {
  if (subscription.object == nullptr) return std::nullopt;
  const cap::Object& object = *subscription.object;
  if (object.kind() == Kind::stream) return static_cast<const host::Stream&>(object).wait_fd();
  const net::Socket* const socket = host::socket_of(object);
  return socket == nullptr || socket->fd() < 0 ? std::nullopt : std::optional(socket->fd());
}

// What to ask in place of the host, or null.
cap::Readiness* readiness_of(const Subscription& subscription) {
  if (subscription.object == nullptr) return nullptr;
  cap::Object& object = *subscription.object;
  if (object.kind() == Kind::stream) return static_cast<host::Stream&>(object).readiness();
  net::Socket* const socket = host::socket_of(object);
  return socket == nullptr ? nullptr : socket->readiness();
}

// What has happened already, if anything. `ready`: poll's answer for wait_fd().
std::optional<Event> event_of(const Subscription& subscription, u64 now, const pollfd& ready) {
  if (subscription.error != Errno::success) return Event{0, false, subscription.error};
  if (subscription.type == EventType::clock) {
    return subscription.deadline_ns <= now ? std::optional<Event>(Event{}) : std::nullopt;
  }
  const bool write = subscription.type == EventType::write;
  cap::Object& object = *subscription.object;
  if (object.kind() == Kind::file) return file_event(static_cast<vfs::File&>(object), write);
  if (object.kind() == Kind::stream) {
    if (vfs::File* const file = static_cast<host::Stream&>(object).file()) {
      return file_event(*file, write);
    }
  }
  if (cap::Readiness* const readiness = readiness_of(subscription)) {
    const cap::Readiness::State state = readiness->state(write);
    if (!state.is_ready) return std::nullopt;
    return Event{state.bytes, state.has_ended};
  }
  if (ready.fd < 0) return Event{0, false, Errno::badf};
  if (ready.revents == 0) return std::nullopt;
  Event event;
  event.hung_up = (ready.revents & (POLLHUP | POLLERR)) != 0;
  if (write) return event;
  // Of a socket, that there are some: to count them takes a system call for each poll of each.
  if (host::socket_of(object) != nullptr) {
    event.bytes = 1;
    return event;
  }
  int bytes = 0;
  if (ioctl(ready.fd, FIONREAD, &bytes) == 0 && bytes > 0) {
    event.bytes = static_cast<u64>(bytes);
  }
  return event;
}

// Asks the system about all descriptors at once.
std::vector<pollfd> ask(const Poll& poll) {
  std::vector<pollfd> all;
  all.reserve(poll.subscriptions.size());
  for (const Subscription& each : poll.subscriptions) {
    const short events = each.type == EventType::write ? POLLOUT : POLLIN;
    all.push_back({wait_fd(each).value_or(-1), events, 0});
  }
  // The system takes no more at once than a process may have open.
  constexpr usize most = 256;
  for (usize at = 0; at < all.size(); at += most) {
    const std::span<pollfd> some = std::span(all).subspan(at, std::min(most, all.size() - at));
    if (std::ranges::all_of(some, [](const pollfd& each) { return each.fd < 0; })) continue;
    if (::poll(some.data(), some.size(), 0) >= 0) continue;
    // What poll can't say, the next attempt tells.
    for (pollfd& each : some) each.revents = each.events;
  }
  return all;
}

void put_event(std::span<u8> to, const Subscription& subscription, const Event& event) {
  memset(to.data(), 0, to.size());
  store<u64>(to, 0, subscription.userdata);
  store<u16>(to, 8, static_cast<u16>(event.error));
  store<u8>(to, 10, static_cast<u8>(subscription.type));
  store<u64>(to, 16, event.bytes);
  store<u16>(to, 24, event.hung_up ? 1 : 0);
}

HostResult run(HostContext& context, const std::shared_ptr<Poll>& poll) {
  const u32 room = static_cast<u32>(poll->subscriptions.size()) * event_size;
  const auto events = context.memory(poll->events_at, room);
  if (!events) return give(context, Errno::fault);
  const u64 now = loop::monotonic_ns();
  u32 count = 0;
  std::optional<u64> deadline;
  std::vector<loop::Loop::Interest> interests;
  const std::vector<pollfd> ready = ask(*poll);
  for (usize i = 0; i < ready.size(); ++i) {
    const Subscription& each = poll->subscriptions[i];
    if (const std::optional<Event> event = event_of(each, now, ready[i])) {
      put_event(events->subspan(usize{count} * event_size, event_size), each, *event);
      ++count;
    } else if (each.type == EventType::clock) {
      deadline = std::min(deadline.value_or(UINT64_MAX), each.deadline_ns);
    } else {
      const net::Socket* const socket = host::socket_of(*each.object);
      interests.push_back({ready[i].fd, each.type == EventType::write,
                           socket == nullptr ? 0 : socket->number(), readiness_of(each)});
    }
  }
  if (count != 0) return give_number(context, poll->count_at, count);
  // The same thing may be asked many times; it is waited for once.
  const auto place = [](const loop::Loop::Interest& each) {
    return std::tuple(each.fd, each.readiness, each.write);
  };
  std::ranges::sort(interests, {}, place);
  const auto repeated = std::ranges::unique(interests, {}, place);
  interests.erase(repeated.begin(), repeated.end());
  return loop::of(context).when_any(context, interests, deadline,
                                    [poll](HostContext& later) { return run(later, poll); });
}

}  // namespace

HostResult call_poll_oneoff(Call& call) {
  const u32 count = call.u32_at(2);
  if (count == 0 || count > max_subscriptions) return give(call, Errno::inval);
  const u32 size = layout_of(call.edition).size;
  const auto bytes = call.context.memory(call.u32_at(0), count * size);
  if (!bytes || !call.context.memory(call.u32_at(1), count * event_size) ||
      !call.context.memory(call.u32_at(3), 4)) {
    return give(call, Errno::fault);
  }
  auto poll = std::make_shared<Poll>(Poll{});
  poll->events_at = call.u32_at(1);
  poll->count_at = call.u32_at(3);
  poll->subscriptions.reserve(count);
  for (u32 i = 0; i < count; ++i) {
    Outcome<Subscription> each = read_subscription(call, bytes->subspan(usize{i} * size, size));
    if (const Errno* error = error_of(each)) return give(call, *error);
    poll->subscriptions.push_back(std::get<Subscription>(std::move(each)));
  }
  return run(call.context, poll);
}

}  // namespace atollvm::wasi
