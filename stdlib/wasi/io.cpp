// Reading and writing. A transfer moves the bytes of a guest's buffers in turns: it goes on at once
// while nothing blocks and the turn is short, else the process is parked in between.
#include <algorithm>
#include <vector>

#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

// More buffers than this in one call are refused, as POSIX systems do.
constexpr u32 max_buffers = 1024;
constexpr u32 max_datagram = 65535;

struct Buffer {
  u32 address = 0;
  u32 size = 0;
};

struct Transfer {
  std::shared_ptr<cap::Object> object;
  bool writes = false;
  std::vector<Buffer> buffers{};  // those with bytes
  usize next = 0;                 // the first with bytes left to move
  u32 skip = 0;                   // bytes of it that are done
  u32 total = 0;
  u32 done = 0;
  u32 count_at = 0;         // where the guest wants the number of bytes
  std::optional<u64> at{};  // position in the file where it began, else the file's own
  vfs::WriteMode mode{};
  bool nonblocking = false;
  u32 receive_flags = 0;          // of sock_recv
  std::optional<u32> flags_at{};  // where the guest wants those of what was received
  bool is_cut = false;            // it was a longer datagram
  std::optional<u64> deadline{};  // of a socket with a timeout

  [[nodiscard]] host::Stream* stream() const {
    return object->kind() == Kind::stream ? static_cast<host::Stream*>(object.get()) : nullptr;
  }
  // The file, also a stream's; null for a stream without.
  [[nodiscard]] vfs::File* file() const {
    host::Stream* const from = stream();
    return from == nullptr ? static_cast<vfs::File*>(object.get()) : from->file();
  }
  [[nodiscard]] std::optional<u64> position() const {
    return at ? std::optional(*at + done) : std::nullopt;
  }
  Outcome<u32> read(std::span<u8> bytes, Wait wait) const {
    if (vfs::File* const from = file()) return from->read(bytes, position(), wait);
    if ((receive_flags & receive_peek) != 0) return stream()->socket()->read(bytes, true);
    net::Socket* const socket = nonblocking ? nullptr : stream()->socket();
    return socket != nullptr ? socket->read_or_wait(bytes) : stream()->read(bytes, wait);
  }
  Outcome<u32> write(std::span<const u8> bytes, Wait wait) const {
    if (vfs::File* const to = file()) return to->write(bytes, position(), mode, wait);
    return stream()->write(bytes, wait);
  }
};

// Fills in the buffers of the array of `count` iovecs at `array`. Errors: inval (too many buffers
// or bytes), fault.
Errno read_buffers(const HostContext& context, u32 array, u32 count, Transfer& transfer) {
  if (count > max_buffers) return Errno::inval;
  const auto bytes = bytes_at(context, array, count * 8);
  if (!bytes) return Errno::fault;
  u64 total = 0;
  for (u32 i = 0; i < count; ++i) {
    const Buffer buffer{load<u32>(*bytes, i * 8), load<u32>(*bytes, i * 8 + 4)};
    if (buffer.size == 0) continue;
    if (!context.memory(buffer.address, buffer.size)) return Errno::fault;
    total += buffer.size;
    if (total > UINT32_MAX) return Errno::inval;
    transfer.buffers.push_back(buffer);
  }
  transfer.total = static_cast<u32>(total);
  return Errno::success;
}

void advance(Transfer& transfer, u32 size) {
  transfer.done += size;
  while (size > 0) {
    const u32 left = transfer.buffers[transfer.next].size - transfer.skip;
    const u32 step = std::min(left, size);
    size -= step;
    transfer.skip += step;
    if (step == left) {
      ++transfer.next;
      transfer.skip = 0;
    }
  }
}

// Calls `each(guest bytes, offset)` for the next `size` bytes. False when they are not all inside.
template <class Each>
bool for_each_part(const HostContext& context, const Transfer& transfer, u32 size,
                   const Each& each) {
  u32 skip = transfer.skip;
  for (usize i = transfer.next, at = 0; at < size; ++i, skip = 0) {
    const Buffer& buffer = transfer.buffers[i];
    const u32 part = std::min<u32>(buffer.size - skip, size - static_cast<u32>(at));
    const auto bytes = context.memory(buffer.address + skip, part);
    if (!bytes) return false;
    each(*bytes, at);
    at += part;
  }
  return true;
}

// The next bytes of the transfer, at most `size` of them, as one piece of memory: the guest's own
// where they are in one buffer, else `copy`.
std::optional<std::span<u8>> as_one(const HostContext& context, const Transfer& transfer, u32 size,
                                    std::vector<u8>& copy) {
  const Buffer& buffer = transfer.buffers[transfer.next];
  if (buffer.size - transfer.skip >= size) {
    return context.memory(buffer.address + transfer.skip, size);
  }
  copy.resize(size);
  if (!transfer.writes) return std::span<u8>(copy);
  const bool inside = for_each_part(context, transfer, size, [&](std::span<u8> part, usize at) {
    memcpy(copy.data() + at, part.data(), part.size());
  });
  return inside ? std::optional<std::span<u8>>(copy) : std::nullopt;
}

bool copy_back(const HostContext& context, const Transfer& transfer, u32 size,
               std::span<const u8> from) {
  return for_each_part(context, transfer, size, [&](std::span<u8> part, usize at) {
    memcpy(part.data(), from.data() + at, part.size());
  });
}

HostResult finish(HostContext& context, const Transfer& transfer) {
  if (transfer.flags_at) {
    const auto flags = context.memory(*transfer.flags_at, 2);
    if (!flags) return give(context, Errno::fault);
    store<u16>(*flags, 0, transfer.is_cut ? 1 : 0);
  }
  return give_number<u32>(context, transfer.count_at, transfer.done);
}
// An error after some bytes comes with the next call.
HostResult finish(HostContext& context, const Transfer& transfer, Errno error) {
  return transfer.done == 0 ? give(context, error) : finish(context, transfer);
}

HostResult run(HostContext& context, Transfer transfer, std::optional<host::Share> share = {});

HostResult wait_for_stream(HostContext& context, Transfer transfer,
                           const loop::Loop::Interest& interest) {
  const bool writes = transfer.writes;
  const net::Socket* const socket = host::socket_of(*transfer.object);
  if (socket != nullptr && is_over(*socket, writes, transfer.deadline)) {
    return finish(context, transfer, Errno::again);
  }
  loop::Loop& loop = loop::of(context);
  const std::optional<u64> state_deadline = transfer.deadline;
  auto resume = [state = std::make_shared<Transfer>(std::move(transfer))](HostContext& later) {
    return run(later, std::move(*state));
  };
  if (state_deadline) {
    return loop.when_any(context, {&interest, 1}, state_deadline, std::move(resume));
  }
  return loop.when_ready(context, interest, std::move(resume));
}

HostResult wait_for_turn(HostContext& context, Transfer transfer, const host::Share& share) {
  const bool is_unbegun = transfer.done == 0;
  auto resume = [state = std::make_shared<Transfer>(std::move(transfer)),
                 share](HostContext& later) { return run(later, std::move(*state), share); };
  return host::wait_for_share(context, share, is_unbegun, std::move(resume));
}

// One turn in the pool, through memory of our own.
HostResult run_in_pool(HostContext& context, Transfer transfer, const host::Share& share) {
  const u32 size = share.size();
  auto buffer = std::make_shared<std::vector<u8>>(size);
  if (transfer.writes) {
    const bool inside = for_each_part(context, transfer, size, [&](std::span<u8> part, usize at) {
      memcpy(buffer->data() + at, part.data(), part.size());
    });
    if (!inside) return give(context, Errno::fault);
  }
  loop::Loop& loop = loop::of(context);
  auto state = std::make_shared<Transfer>(std::move(transfer));
  return loop.work(context, [state, share, buffer]() -> runtime::Finish {
    const Outcome<u32> outcome =
        state->writes ? state->write(*buffer, Wait::allowed) : state->read(*buffer, Wait::allowed);
    return [state, share, buffer, outcome](HostContext& later) {
      host::settle_io(later, share, outcome);
      if (const Errno* error = error_of(outcome)) return finish(later, *state, *error);
      const u32 moved = std::get<u32>(outcome);
      if (!state->writes && !copy_back(later, *state, moved, *buffer)) {
        return give(later, Errno::fault);
      }
      advance(*state, moved);
      if (moved == 0) return finish(later, *state);
      return run(later, std::move(*state));
    };
  });
}

// One datagram, whole.
HostResult run_datagram(HostContext& context, Transfer transfer, std::optional<host::Share> paid) {
  const auto& datagrams = static_cast<const host::Datagrams&>(*transfer.object);
  const u32 size = std::min(transfer.total, max_datagram + 1);
  if (transfer.writes && size > max_datagram) return give(context, Errno::msgsize);
  if (!paid) {
    const net::Network& network = datagrams.socket->network();
    paid = host::take_io(context, size, network.bandwidth(), /*is_whole=*/true);
    if (paid->size() < size) {
      host::settle_io(context, *paid, Errno::dquot);
      return give(context, Errno::dquot);
    }
    host::take_one(*paid, network.packets());
    if (paid->io.at != 0) return wait_for_turn(context, std::move(transfer), *paid);
  }
  std::vector<u8> copy;
  auto bytes = std::optional<std::span<u8>>(copy);
  if (size != 0) bytes = as_one(context, transfer, size, copy);
  if (!bytes) return give(context, Errno::fault);
  Outcome<u32> outcome = Errno::again;
  if (transfer.writes) {
    outcome = datagrams.socket->write(*bytes);
  } else {
    const auto received = datagrams.receive(*bytes, (transfer.receive_flags & receive_peek) != 0);
    if (const Errno* const error = error_of(received)) {
      outcome = *error;
    } else {
      outcome = std::get<net::Socket::Received>(received).size;
      transfer.is_cut = std::get<net::Socket::Received>(received).is_cut;
    }
  }
  host::settle_io(context, *paid, outcome);
  if (host::must_wait(outcome)) {
    if (transfer.nonblocking) return give(context, Errno::again);
    const auto interest = host::interest_of(*datagrams.socket, transfer.writes);
    return wait_for_stream(context, std::move(transfer), interest);
  }
  if (const Errno* error = error_of(outcome)) return give(context, *error);
  const u32 moved = std::get<u32>(outcome);
  if (!transfer.writes && !copy.empty() && !copy_back(context, transfer, moved, copy)) {
    return give(context, Errno::fault);
  }
  transfer.done = moved;
  return finish(context, transfer);
}

// Moves what is left, as far as it can be done now; `paid`: its next share.
HostResult run(HostContext& context, Transfer transfer, std::optional<host::Share> paid) {
  if (transfer.object->kind() == Kind::datagrams) {
    return run_datagram(context, std::move(transfer), std::move(paid));
  }
  u32 turn = 0;
  while (transfer.done < transfer.total) {
    // A stream gives what it has; only a file is read until the buffers are full.
    const bool is_plain_stream = transfer.file() == nullptr;
    const bool waits_for_all = (transfer.receive_flags & receive_wait_all) != 0;
    if (is_plain_stream && !transfer.writes && transfer.done > 0 && !waits_for_all) break;
    if (turn >= max_turn) {
      loop::Loop& loop = loop::of(context);
      auto state = std::make_shared<Transfer>(std::move(transfer));
      return loop.soon(context,
                       [state](HostContext& later) { return run(later, std::move(*state)); });
    }
    if (!paid) {
      const net::Socket* const socket = host::socket_of(*transfer.object);
      paid = host::take_io(context, std::min(transfer.total - transfer.done, max_turn),
                           socket == nullptr ? nullptr : socket->network().bandwidth());
      if (paid->io.at != 0) return wait_for_turn(context, std::move(transfer), *paid);
    }
    const host::Share share = *std::exchange(paid, std::nullopt);
    const u32 size = share.size();
    if (size == 0) return finish(context, transfer, Errno::dquot);
    std::vector<u8> copy;
    const auto bytes = as_one(context, transfer, size, copy);
    if (!bytes) return give(context, Errno::fault);
    const Outcome<u32> outcome =
        transfer.writes ? transfer.write(*bytes, Wait::never) : transfer.read(*bytes, Wait::never);
    if (host::must_wait(outcome)) {
      if (!is_plain_stream) return run_in_pool(context, std::move(transfer), share);
      const auto interest = host::interest_of(*transfer.stream(), transfer.writes);
      if (!transfer.nonblocking && !interest)
        return run_in_pool(context, std::move(transfer), share);
      host::settle_io(context, share, outcome);
      if (transfer.nonblocking) return finish(context, transfer, Errno::again);
      return wait_for_stream(context, std::move(transfer), *interest);
    }
    host::settle_io(context, share, outcome);
    if (const Errno* error = error_of(outcome)) return finish(context, transfer, *error);
    const u32 moved = std::get<u32>(outcome);
    if (!transfer.writes && !copy.empty() && !copy_back(context, transfer, moved, copy)) {
      return give(context, Errno::fault);
    }
    advance(transfer, moved);
    if (moved == 0) break;
    turn += moved;
  }
  return finish(context, transfer);
}

// A call with the array of buffers in parameters 1 and 2, and the count's address in `count`.
HostResult start(Call& call, bool writes, u32 count, std::optional<u64> at, u32 receive_flags = 0,
                 std::optional<u32> flags_at = std::nullopt) {
  Transfer transfer{call.object<cap::Object>(), writes};
  transfer.receive_flags = receive_flags;
  transfer.flags_at = flags_at;
  transfer.count_at = call.u32_at(count);
  transfer.at = at;
  const u32 flags = call.descriptor->flags;
  transfer.nonblocking = (flags & flag_nonblock) != 0;
  transfer.mode.append =
      (flags & flag_append) != 0 || only_appends(call.context.capability().rights);
  if ((flags & (flag_sync | flag_rsync)) != 0) {
    transfer.mode.durability = vfs::Durability::all;
  } else if ((flags & flag_dsync) != 0) {
    transfer.mode.durability = vfs::Durability::data;
  }
  if (!call.context.memory(transfer.count_at, 4)) return give(call, Errno::fault);
  const Errno error = read_buffers(call.context, call.u32_at(1), call.u32_at(2), transfer);
  if (error != Errno::success) return give(call, error);
  if (at) {
    if (transfer.file() == nullptr) return give(call, Errno::spipe);
    constexpr u64 most = static_cast<u64>(INT64_MAX);
    if (*at > most || transfer.total > most - *at) return give(call, Errno::inval);
  }
  return run(call.context, std::move(transfer));
}

// Positioned access needs the right to seek, too.
HostResult start_at(Call& call, bool writes) {
  if ((call.descriptor->base & right_fd_seek) == 0) {
    const bool is_pipe = call.kind() == Kind::stream;
    return give(call, is_pipe ? Errno::spipe : Errno::notcapable);
  }
  if (writes && only_appends(call.context.capability().rights)) {
    return give(call, Errno::notcapable);
  }
  return start(call, writes, 4, call.u64_at(3));
}

// The file whose position a call is about. Errors: spipe, notcapable.
Outcome<vfs::File*> seekable(const Call& call, Rights one_of) {
  cap::Object& object = *call.context.capability().object;
  vfs::File* const file = object.kind() == Kind::file ? static_cast<vfs::File*>(&object)
                                                      : static_cast<host::Stream&>(object).file();
  if (file == nullptr) return Errno::spipe;
  if ((call.descriptor->base & one_of) == 0) return Errno::notcapable;
  return file;
}

HostResult seek(Call& call, Rights one_of, i64 offset, u32 whence, u32 address) {
  const Outcome<vfs::File*> file = seekable(call, one_of);
  if (const Errno* error = error_of(file)) return give(call, *error);
  if (!call.context.memory(address, 8)) return give(call, Errno::fault);
  const Outcome<u64> position = std::get<vfs::File*>(file)->seek(offset, whence);
  if (const Errno* error = error_of(position)) return give(call, *error);
  return give_number(call.context, address, std::get<u64>(position));
}

}  // namespace

HostResult call_fd_read(Call& call) { return start(call, false, 3, std::nullopt); }
HostResult call_fd_write(Call& call) { return start(call, true, 3, std::nullopt); }
HostResult call_fd_pread(Call& call) { return start_at(call, false); }
HostResult call_fd_pwrite(Call& call) { return start_at(call, true); }

bool is_over(const net::Socket& socket, bool write, std::optional<u64>& deadline) {
  const u32 timeout = socket.timeout(write);
  if (timeout == 0) return false;
  if (!deadline) deadline = loop::monotonic_ns() + u64{timeout} * 1'000'000;
  return loop::monotonic_ns() >= *deadline;
}

HostResult receive(Call& call, u32 flags) {
  const u32 flags_at = call.u32_at(5);
  if (!call.context.memory(flags_at, 2)) return give(call, Errno::fault);
  // To look at what there is, is not to wait for more.
  if ((flags & receive_peek) != 0) flags &= ~receive_wait_all;
  return start(call, false, 4, std::nullopt, flags, flags_at);
}
HostResult send(Call& call) { return start(call, true, 4, std::nullopt); }

HostResult call_fd_seek(Call& call) {
  constexpr u32 from_position = 1;
  const i64 offset = call.context.arg_i64(1);
  u32 whence = call.u32_at(2);
  if (whence > 2) return give(call, Errno::inval);
  // Once it was: position, end, start.
  if (call.edition == Edition::unstable) whence = (whence + 1) % 3;
  // To look at the position is not to move it.
  const bool looks = offset == 0 && whence == from_position;
  const Rights needed = looks ? right_fd_seek | right_fd_tell : right_fd_seek;
  return seek(call, needed, offset, whence, call.u32_at(3));
}

HostResult call_fd_tell(Call& call) {
  return seek(call, right_fd_seek | right_fd_tell, 0, 1, call.u32_at(1));
}

}  // namespace atollvm::wasi
