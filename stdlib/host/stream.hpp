// Streams of bytes without a position: standard input and output, pipes, terminals, sockets.
#pragma once

#include "stdlib/vfs/vfs.hpp"
#include "vm/cap/readiness.hpp"

namespace atollvm::net {
class Socket;
}

namespace atollvm::host {

// Reading and writing never block, except for one without a descriptor to wait for, with
// Wait::allowed. Process's thread, or the pool with Wait::allowed.
class Stream : public cap::Object {
 public:
  Stream() : Object(cap::Kind::stream) {}

  // At least one byte, or 0 at the end. Errors: again (wait for wait_fd() or readiness(); without
  // either call again with Wait::allowed in the pool), badf (not open for it), io.
  virtual vfs::Outcome<u32> read(std::span<u8> bytes, vfs::Wait wait);
  // At least one byte of at least one. Errors: as read, pipe, nospc, fbig.
  virtual vfs::Outcome<u32> write(std::span<const u8> bytes, vfs::Wait wait);
  virtual vfs::Outcome<vfs::Stat> stat(vfs::Wait wait);
  [[nodiscard]] virtual std::optional<int> wait_fd() const { return std::nullopt; }
  // What to wait for in place of wait_fd(), or null.
  [[nodiscard]] virtual cap::Readiness* readiness() { return nullptr; }
  [[nodiscard]] virtual bool is_terminal() const { return false; }
  // The regular file behind it (redirected), or null.
  [[nodiscard]] virtual vfs::File* file() const { return nullptr; }
  // The socket of a connection of the guest's own, or null.
  [[nodiscard]] virtual net::Socket* socket() const { return nullptr; }
};

// A stream over a descriptor of the host, which stays the caller's and must stay open as long. Its
// flags are never changed: other programs share them. Writing to a closed pipe raises SIGPIPE,
// which the program must ignore.
std::shared_ptr<Stream> make_stream(int fd);

}  // namespace atollvm::host
