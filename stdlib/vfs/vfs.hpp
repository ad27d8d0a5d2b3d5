// What a file system gives: directories and files. Host directories, memory, overlays, archives and
// volumes are implementations of these two classes; everything above works on them alone.
//
// Rights are not checked here: the gate, the name space and the host calls have done so before.
// What an implementation must keep by itself is confinement: no path leaves the directory it is
// given to.
//
// Blocking: each function takes a Wait. With Wait::never it must not block (on a disk, a network, a
// lock held during either); what can't be done so gives `again`, without an effect, and is called
// again with Wait::allowed on a thread of the pool. With Wait::allowed `again` is never given.
// Functions without a Wait never block.
//
// Threads: any, at once. The host calls of one process come one after the other.
//
// Errors: those named at a function, and for all of them io, nomem, mfile and nfile (the host's own
// limits), acces and perm (the host refuses), and notsup, which is also the default.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stdlib/vfs/locks.hpp"
#include "vm/base/stream.hpp"
#include "vm/cap/object.hpp"

namespace atollvm::runtime {
class Process;
}

namespace atollvm::vfs {

using cap::Errno;

template <class T>
using Outcome = std::variant<T, Errno>;

// Paths longer than this (bytes) are refused with nametoolong.
inline constexpr usize max_path = 4095;

enum class Wait : u8 { never, allowed };

// Numbers are WASI preview 1's filetype.
enum class FileType : u8 {
  unknown = 0,
  block = 1,
  character = 2,
  directory = 3,
  regular = 4,
  socket = 6,
  link = 7
};

struct Stat {
  u64 device = 0;  // with inode: which file this is, while it exists
  u64 inode = 0;
  FileType type = FileType::unknown;
  u64 links = 0;
  u64 size = 0;         // bytes
  i64 accessed_ns = 0;  // since 1970, UTC
  i64 modified_ns = 0;
  i64 changed_ns = 0;
};

// What to set; nothing: leave as it is. Nanoseconds since 1970, UTC.
struct Times {
  std::optional<i64> accessed_ns{};
  std::optional<i64> modified_ns{};
  // The file system's own time of now instead.
  bool accessed_now = false;
  bool modified_now = false;
};

struct Entry {
  u64 next = 0;  // cookie of the entry after this one
  u64 inode = 0;
  FileType type = FileType::unknown;
  std::string name;  // never "." or ".."
};

// How to open. The numbers are part of the guest interface (append-only).
inline constexpr u32 open_create = 1u << 0;     // make an empty file when there is none
inline constexpr u32 open_exclusive = 1u << 1;  // with create: fail when there is something
inline constexpr u32 open_truncate = 1u << 2;   // set a file's size to 0
inline constexpr u32 open_append = 1u << 3;     // each write without a position goes to the end
inline constexpr u32 open_directory = 1u << 4;  // fail when it is not a directory
inline constexpr u32 open_nofollow = 1u << 5;   // fail when it is a symbolic link
inline constexpr u32 open_flags_all = (1u << 6) - 1;

// What a file is opened for; a directory needs neither.
struct Access {
  bool read = false;
  bool write = false;
};

// What must be on the disk when a write returns.
enum class Durability : u8 {
  none,
  data,  // the bytes, and what is needed to read them
  all,   // times, too
};

struct WriteMode {
  // Without a position: writes at the end in one step, as opening with open_append does for every
  // such write; the position is then behind what was written.
  bool append = false;
  Durability durability = Durability::none;
};

// How a range of a file will be used. The numbers are WASI preview 1's advice.
enum class Advice : u8 {
  normal = 0,
  sequential = 1,
  random = 2,
  will_need = 3,
  dont_need = 4,
  no_reuse = 5,
};

// Where an open file or directory of the host is, by which a snapshot finds it again.
struct Origin {
  std::string path;  // of the host, absolute
  Access access{};   // of a file: what it is open for
  bool append = false;
};

class Kept;
class Watch;

// The process that makes a call, for file systems that show each process something else.
struct Viewer {
  runtime::Process& process;
  // The text of a file of the file system of processes. On the process's thread.
  std::string (*describe)(runtime::Process& process, std::string_view folder,
                          std::string_view file) = nullptr;
};

// What opening gives in place of an object that the process has itself: another handle to what the
// handle of this number names, with not more rights. Whoever called puts that in its place.
class OwnHandle final : public cap::Object {
 public:
  static constexpr cap::Kind kinds = cap::Kind::stream | cap::Kind::file;
  explicit OwnHandle(u32 number) : Object(cap::Kind{}), number_(number) {}
  [[nodiscard]] u32 number() const { return number_; }

 private:
  u32 number_;
};

// An open regular file or device with a position. The position is the file's: all handles to it
// share it.
class File : public cap::Object {
 public:
  File() : Object(cap::Kind::file) {}

  // At most bytes.size() bytes from `at`, or from the position, which advances. 0: the end. May
  // give fewer than there are. Errors: badf (not open for reading), isdir.
  virtual Outcome<u32> read(std::span<u8> bytes, std::optional<u64> at, Wait wait);
  // The same for writing; past the end the file grows, with zeros between.
  // Errors: badf, fbig, nospc, rofs, txtbsy.
  virtual Outcome<u32> write(std::span<const u8> bytes, std::optional<u64> at, WriteMode mode,
                             Wait wait);
  // The new position. `whence`: 0 from the start, 1 from the position, 2 from the end.
  // Errors: inval (before the start, or no such whence).
  virtual Outcome<u64> seek(i64 offset, u32 whence);
  virtual Outcome<Stat> stat(Wait wait);
  // Errors: badf (not open for writing), fbig, nospc, rofs.
  virtual Errno truncate(u64 size, Wait wait);
  // Makes room on the disk for `size` bytes from `at`; the file grows to hold them, with zeros.
  // Errors: badf (not open for writing), inval (no bytes), fbig, nospc.
  virtual Errno allocate(u64 at, u64 size, Wait wait);
  // A hint: nothing that can be observed changes. `size` 0: up to the end.
  virtual Errno advise(u64 at, u64 size, Advice advice, Wait wait);
  // Returns when what was written is on the disk, as far as `durability` says (not none).
  virtual Errno sync(Durability durability, Wait wait);
  virtual Errno set_times(const Times& times, Wait wait);
  // As of now. Nothing: it is no file of the host, or has been removed.
  [[nodiscard]] virtual std::optional<Origin> origin() const;
  // As stat() says.
  [[nodiscard]] virtual FileType type() const { return FileType::regular; }
  // Those of all handles to it.
  [[nodiscard]] LockOwner& locks() { return locks_; }

 private:
  LockOwner locks_;
};

// An open directory. Paths are relative to it and stay below it: names separated by '/', where "."
// is the directory itself and ".." its parent after symbolic links have been followed. A trailing
// '/' says that a directory is meant and follows a link. Errors of every path: noent (also the
// empty path), notdir, nametoolong, loop (too many links, or a link that may not be followed),
// inval (NUL bytes), notcapable (it leads outside, or is absolute).
class Directory : public cap::Object {
 public:
  Directory() : Object(cap::Kind::directory) {}

  // A File, a Directory or an OwnHandle, by flags. What is neither (devices, pipes, sockets) is
  // refused with notsup and not waited for. Errors: exist, isdir (writing to a directory), nospc,
  // rofs, txtbsy; inval for flags that contradict.
  virtual Outcome<std::shared_ptr<cap::Object>> open(std::string_view path, u32 flags,
                                                     Access access, Wait wait);
  // Of what the path names; of the link itself when `follow` is not set.
  virtual Outcome<Stat> stat(std::string_view path, bool follow, Wait wait);
  virtual Errno set_times(std::string_view path, bool follow, const Times& times, Wait wait);
  // Entries from `cookie` on (0: from the start), about `bytes` of them; none: the end. An entry
  // that exists all the time is seen once, whatever happens to others. Errors: inval (a cookie that
  // no entry gave, if noticed).
  virtual Outcome<std::vector<Entry>> list(u64 cookie, u32 bytes, Wait wait);
  // Errors: exist, nospc, rofs, mlink.
  virtual Errno make_directory(std::string_view path, Wait wait);
  // Anything but a directory; a link itself. Errors: isdir, rofs, busy.
  virtual Errno remove_file(std::string_view path, Wait wait);
  // Errors: notempty, rofs, busy.
  virtual Errno remove_directory(std::string_view path, Wait wait);
  // Also replaces what `to_path` names. Errors: xdev (another file system), isdir, notempty, rofs,
  // inval (into itself), busy.
  virtual Errno rename(std::string_view path, Directory& to, std::string_view to_path, Wait wait);
  // A second name for what the first path names, which is not a directory; of a link itself.
  // Errors: exist, xdev, perm (a directory), mlink, nospc, rofs.
  virtual Errno link(std::string_view path, Directory& to, std::string_view to_path, Wait wait);
  // Makes a symbolic link that says `target`. Errors: exist, nospc, rofs; noent (empty target),
  // nametoolong, inval (NUL bytes), notcapable (an absolute target).
  virtual Errno make_link(std::string_view target, std::string_view path, Wait wait);
  // What a symbolic link says. Errors: inval (not a link).
  virtual Outcome<std::string> read_link(std::string_view path, Wait wait);
  virtual Errno sync(Wait wait);
  // Who is told of changes of the names in a directory, a link to which is followed; of what is
  // none, of changes of its own name alone. See watch.hpp. Errors: mfile, nfile, notsup, also where
  // nothing tells of changes.
  virtual Outcome<std::shared_ptr<Watch>> watch(std::string_view path, Wait wait);
  // As File's.
  [[nodiscard]] virtual std::optional<Origin> origin() const;

  // Of a file system's root: what a snapshot holds of it by itself. Null: nothing.
  [[nodiscard]] virtual std::unique_ptr<Kept> kept();
  // Of a file system's root that nobody can change: what tells it from all others with other
  // bytes, wherever they lie, without a NUL. May block, and takes long for a large one. Nothing: it
  // can be changed, or can't be read.
  [[nodiscard]] virtual std::optional<std::string> identity();

  // Equal for directories of one implementation that can rename and link between each other.
  [[nodiscard]] virtual const void* file_system() const { return this; }

  // Where each process sees something else: this directory as one process sees it, for the one call
  // that this process is about to make, with Wait::never, which always does. Null: all see the
  // same. On the process's thread.
  [[nodiscard]] virtual std::shared_ptr<Directory> seen_by(const Viewer&) { return nullptr; }
  // The type of mount that it belongs to; see mount.hpp.
  [[nodiscard]] virtual std::string_view type_name() const { return "other"; }
};

// A file system on its way into a snapshot or out of one: what is in memory, or the names of what
// is open in one that nobody can change. The machine that uses it is paused, or is not there yet.
// Threads: one.
class Kept {
 public:
  virtual ~Kept() = default;

  // What it is, and which pieces it has: one can only be read where one of the same kind is.
  // Of one by reference there are no pieces: neither write() nor read() is called.
  enum class Kind : u8 { by_reference = 0, memory = 1, overlay_in_memory = 2, overlay_on_host = 3 };
  [[nodiscard]] virtual Kind kind() const = 0;

  // By what an open file or directory is found again; nothing: it is of another file system, or
  // can't be. Before write(), which holds what was removed as well.
  virtual std::optional<std::string> describe(cap::Object& object) = 0;
  virtual void write(base::Writer& to) = 0;

  // Into a file system that is new, within its limits. All that comes is hostile. After an error it
  // holds anything, and must not be used.
  virtual void read(base::Reader& from, const base::Take& take) = 0;
  // An object of `kind`, after read(). Null: there is none, or this is no description. May block on
  // files of the host.
  virtual std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                               bool writable) = 0;
};

}  // namespace atollvm::vfs
