#include "stdlib/host/constants.hpp"

#include <string.h>

#include "scheduler/core/task.hpp"
#include "stdlib/host/support.hpp"
#include "stdlib/host/tasks.hpp"
#include "stdlib/net/socket.hpp"
#include "stdlib/vfs/watch.hpp"
#include "vm/runtime/mappings.hpp"

namespace atollvm::host {
namespace {

using vfs::FileType;

constexpr i64 number(FileType type) { return static_cast<i64>(type); }
constexpr i64 number(vfs::LockKind kind) { return static_cast<i64>(kind); }
constexpr i64 number(StandardHandle handle) { return static_cast<i64>(handle); }
constexpr i64 number(Clock clock) { return static_cast<i64>(clock); }

constexpr Constant handles[] = {
    {"STDIN", number(StandardHandle::input), "standard input"},
    {"STDOUT", number(StandardHandle::output), "standard output"},
    {"STDERR", number(StandardHandle::error), "standard error output"},
    {"ROOT", number(StandardHandle::root), "the name space, to open paths"},
    {"NETWORK", number(StandardHandle::network), "the network, where the process has one"},
};
constexpr Constant errors[] = {
#define ERRNO(name, value, text) {#name, value, text},
#include "vm/cap/errnos.def"
#undef ERRNO
};
constexpr Constant rights[] = {
#define RIGHT(name, bit, text) {#name, i64{1} << (bit), text},
#include "vm/cap/rights.def"
#undef RIGHT
};
constexpr Constant open_flags[] = {
    {"OPEN_CREATE", vfs::open_create, "make an empty file when there is none"},
    {"OPEN_EXCLUSIVE", vfs::open_exclusive, "with OPEN_CREATE: fail when there is something"},
    {"OPEN_TRUNCATE", vfs::open_truncate, "set the size to 0; dir must have RIGHT_TRUNCATE"},
    {"OPEN_APPEND", vfs::open_append, "write goes to the end"},
    {"OPEN_DIRECTORY", vfs::open_directory, "fail when it is not a directory"},
    {"OPEN_NOFOLLOW", vfs::open_nofollow, "fail when it is a symbolic link"},
};
constexpr Constant locks[] = {
    {"LOCK_NONE", number(vfs::LockKind::none), "give locks up"},
    {"LOCK_SHARED", number(vfs::LockKind::shared), "beside others that are shared"},
    {"LOCK_EXCLUSIVE", number(vfs::LockKind::exclusive), "alone"},
};
constexpr Constant maps[] = {
    {"MAP_ALIGNMENT", runtime::map_granule, "of where map_file begins, in memory and in the file"},
};
constexpr Constant kinds[] = {
    {"KIND_UNKNOWN", number(FileType::unknown), "something else, such as a pipe"},
    {"KIND_BLOCK", number(FileType::block), "block device"},
    {"KIND_CHARACTER", number(FileType::character), "character device, such as a terminal"},
    {"KIND_DIRECTORY", number(FileType::directory), "directory"},
    {"KIND_FILE", number(FileType::regular), "regular file"},
    {"KIND_SOCKET", number(FileType::socket), "socket"},
    {"KIND_LINK", number(FileType::link), "symbolic link"},
};
constexpr i64 number(vfs::WatchEvent event) { return static_cast<i64>(event); }
constexpr Constant watches[] = {
    {"WATCH_CREATED", number(vfs::WatchEvent::created),
     "made, linked or moved in; it may have replaced what had the name"},
    {"WATCH_REMOVED", number(vfs::WatchEvent::removed), "or moved out"},
    {"WATCH_RENAMED", number(vfs::WatchEvent::renamed),
     "within the directory; it may have replaced what had the new name"},
    {"WATCH_CHANGED", number(vfs::WatchEvent::changed), "a file's bytes, size or times"},
    {"WATCH_OVERFLOW", number(vfs::WatchEvent::overflow), "too much at once: events are missing"},
    {"WATCH_GONE", number(vfs::WatchEvent::gone), "the directory was removed; the last event"},
};
constexpr i64 number(sched::ExitKind kind) { return static_cast<i64>(kind); }
constexpr i64 number(sched::Overflow rule) { return static_cast<i64>(rule); }
constexpr i64 number(sched::Task::Phase phase) { return static_cast<i64>(phase); }
constexpr Constant processes[] = {
    {"TAG_ANY", sched::tag_any, "receive: whatever comes"},
    {"TAG_EXIT", sched::tag_exit, "a linked process ended; the message is an ExitInfo"},
    {"TAG_DOWN", sched::tag_down, "a monitored process ended; the message is an ExitInfo"},
    {"EXIT_NORMAL", number(sched::ExitKind::normal), "returned, or exit code 0"},
    {"EXIT_CODE", number(sched::ExitKind::code), "another exit code"},
    {"EXIT_TRAP", number(sched::ExitKind::trap), "trapped; code is the trap's number"},
    {"EXIT_KILLED", number(sched::ExitKind::killed), "ended by process_kill"},
    {"EXIT_FUEL", number(sched::ExitKind::fuel), "used up its fuel"},
    {"EXIT_TIME", number(sched::ExitKind::time), "used up its CPU time"},
    {"EXIT_MEMORY", number(sched::ExitKind::memory), "beyond a memory limit"},
    {"EXIT_MAILBOX", number(sched::ExitKind::mailbox), "its mailbox was full: OVERFLOW_KILL"},
    {"EXIT_NOPROC", number(sched::ExitKind::noproc), "there was no such process"},
    {"EXIT_STOPPED", number(sched::ExitKind::stopped), "its machine was destroyed"},
    {"SPAWN_LINK", spawn_link, "link the new process with this one"},
    {"SPAWN_MONITOR", spawn_monitor, "monitor it; the references of a process count 1, 2, 3"},
    {"SPAWN_STDIO", spawn_stdio, "it shares handles 0 to 3; those that are passed come after"},
    {"SPAWN_MORE", spawn_more, "io_bytes and io_operations of SpawnOptions count"},
    {"SPAWN_MODULE", spawn_module,
     "entry is a function of the module whose handle SpawnOptions has"},
    {"SPAWN_RATES", spawn_rates, "io_bytes_rate and io_operations_rate of SpawnOptions count"},
    {"OVERFLOW_REFUSE", number(sched::Overflow::refuse), "the sender gets -E_AGAIN"},
    {"OVERFLOW_NEWEST", number(sched::Overflow::newest), "what has no room is dropped"},
    {"OVERFLOW_OLDEST", number(sched::Overflow::oldest), "the oldest messages are dropped"},
    {"OVERFLOW_KILL", number(sched::Overflow::kill), "the receiver ends"},
    {"OVERFLOW_WAIT", number(sched::Overflow::wait), "the sender waits until there is room"},
    {"STATE_READY", number(sched::Task::Phase::ready), "could run"},
    {"STATE_RUNNING", number(sched::Task::Phase::running), "runs"},
    {"STATE_WAITING", number(sched::Task::Phase::waiting), "waits in a host call"},
};
constexpr Constant networks[] = {
    {"ADDRESS_IPV4", static_cast<i64>(net::Family::v4), "SocketAddress: the first 4 bytes count"},
    {"ADDRESS_IPV6", static_cast<i64>(net::Family::v6), "SocketAddress: all 16 bytes count"},
    {"SHUTDOWN_READ", net::shutdown_read, "socket_shutdown: nothing more is read"},
    {"SHUTDOWN_WRITE", net::shutdown_write, "socket_shutdown: nothing more is written"},
    {"SOCKET_STREAM", static_cast<i64>(net::Type::stream), "socket_open: for a connection"},
    {"SOCKET_DATAGRAMS", static_cast<i64>(net::Type::datagrams), "socket_open: for datagrams"},
    {"OPTION_NODELAY", static_cast<i64>(net::Option::nodelay),
     "1: what is written is sent at once, however little; 0: it is collected"},
    {"OPTION_KEEPALIVE", static_cast<i64>(net::Option::keepalive),
     "after so many seconds without a word the other end is asked; 0: never"},
    {"OPTION_RECEIVE_TIMEOUT", static_cast<i64>(net::Option::receive_timeout),
     "so many milliseconds WASI's calls wait to read; 0: for ever"},
    {"OPTION_SEND_TIMEOUT", static_cast<i64>(net::Option::send_timeout),
     "so many milliseconds WASI's calls wait to write; 0: for ever"},
    {"OPTION_RECEIVE_BUFFER", static_cast<i64>(net::Option::receive_buffer),
     "bytes that the host keeps until they are read, about"},
    {"OPTION_SEND_BUFFER", static_cast<i64>(net::Option::send_buffer),
     "bytes that the host keeps until they are sent, about"},
    {"OPTION_ERROR", static_cast<i64>(net::Option::error),
     "to get alone: the number of what has failed meanwhile, or 0; it is forgotten then"},
    {"OPTION_LISTENS", static_cast<i64>(net::Option::listens),
     "to get alone: 1 where connections are taken, else 0"},
};
constexpr Constant others[] = {
    {"SEEK_START", 0, "seek from the start"},
    {"SEEK_CURRENT", 1, "seek from the position"},
    {"SEEK_END", 2, "seek from the end"},
    {"CLOCK_REAL", number(Clock::real), "time since 1970 (UTC), may be set"},
    {"CLOCK_MONOTONIC", number(Clock::monotonic), "never goes back"},
    {"TIME_KEEP", time_keep, "leaves a time as it is"},
};
constexpr ConstantGroup groups[] = {
    {"Handles at the start", "", handles},
    {"Errors", "E_", errors},
    {"Rights", "RIGHT_", rights},
    {"Flags of open", "", open_flags},
    {"Kinds of locks", "", locks},
    {"Mapped files", "", maps},
    {"Kinds of files", "", kinds},
    {"What watch_at tells", "", watches},
    {"Networks", "", networks},
    {"Processes", "", processes},
    {"Other numbers", "", others},
};

constexpr Field stat_fields[] = {
    {"device", "u64", "with inode: which file it is"},
    {"inode", "u64", ""},
    {"kind", "u8", "KIND_"},
    {"links", "u64", "names that it has"},
    {"size", "u64", "bytes"},
    {"accessed", "i64", "nanoseconds since 1970 (UTC)"},
    {"modified", "i64", "nanoseconds since 1970 (UTC)"},
    {"changed", "i64", "nanoseconds since 1970 (UTC); of the file or its description"},
};
constexpr Field entry_fields[] = {
    {"next", "u64", "cookie of the entry after this one"},
    {"inode", "u64", ""},
    {"name_length", "u32", "bytes; the name follows the structure, then the next entry"},
    {"kind", "u8", "KIND_"},
};
constexpr Field watch_fields[] = {
    {"event", "u32", "WATCH_"},
    {"name_length", "u32", "bytes; the name follows the structure; 0: of the directory"},
    {"old_length", "u32", "WATCH_RENAMED: of the old name, which follows the new one"},
};
constexpr Field address_fields[] = {
    {"family", "u32", "ADDRESS_"},
    {"port", "u32", ""},
    {"bytes", "u64", "the first 8 bytes of the address, in the order of its text"},
    {"bytes8", "u64", "the last 8 bytes; of IPv4 0"},
};
constexpr Field spawn_fields[] = {
    {"flags", "u32", "SPAWN_"},
    {"weight", "i32", "its share beside others of the machine; 0: 100"},
    {"priority", "i32", "1 to 31, the most urgent; 0 or -1: as the parent"},
    {"overflow", "u32", "OVERFLOW_"},
    {"handles", "u32", "address of numbers of handles to pass, an i32 each"},
    {"handle_count", "u32", ""},
    {"handle_limit", "u32", "0: as the parent"},
    {"mailbox_messages", "u32", "limit, at most the parent's; 0: as that"},
    {"mailbox_bytes", "u64", "limit, at most the parent's; 0: as that"},
    {"memory", "u64", "limit in bytes; 0: as the parent, which also is the most"},
    {"stack", "u64", "limit in bytes; 0: as the parent, which also is the most"},
    {"fuel", "u64", "0: not counted, or half of the parent's where the parent's is"},
    {"time", "u64", "CPU time in nanoseconds; 0: as the parent"},
    {"io_bytes", "u64", "limit of what it reads and writes; 0: as the parent"},
    {"io_operations", "u64", "limit of its calls on streams, files, directories; 0: likewise"},
    {"module", "u32", "SPAWN_MODULE: a handle, which stays"},
    {"unused", "u32", ""},
    {"io_bytes_rate", "u64", "limit of what it reads and writes in a second; 0: as the parent"},
    {"io_operations_rate", "u64", "limit of such calls in a second; 0: likewise"},
};
constexpr Field message_fields[] = {
    {"sender", "i64", "pid; of a timer's message the receiver's own; of an ExitInfo 0"},
    {"tag", "i32", ""},
    {"size", "u32", "bytes"},
    {"handle_count", "u32", ""},
    {"handle0", "u32", "the numbers of the handles that came with it"},
    {"handle1", "u32", ""},
    {"handle2", "u32", ""},
    {"handle3", "u32", ""},
    {"handle4", "u32", ""},
    {"handle5", "u32", ""},
    {"handle6", "u32", ""},
    {"handle7", "u32", ""},
};
constexpr Field exit_fields[] = {
    {"pid", "i64", "which process"},
    {"reference", "i64", "what monitoring gave; 0: a link"},
    {"reason", "i32", "EXIT_"},
    {"code", "i32", "exit code or trap"},
};
constexpr Field info_fields[] = {
    {"pid", "i64", ""},
    {"parent", "i64", "0: none"},
    {"state", "u32", "STATE_"},
    {"priority", "u32", ""},
    {"weight", "u32", ""},
    {"links", "u32", "linked processes"},
    {"messages", "u32", "in its mailbox"},
    {"handles", "u32", ""},
    {"mailbox_bytes", "u64", ""},
    {"memory", "u64", "bytes of its linear memories"},
    {"stack", "u64", "bytes"},
    {"cpu", "u64", "nanoseconds that it ran"},
    {"traps_exits", "u32", "1 or 0"},
};
constexpr Structure structs[] = {
    {"Stat", "What stat tells, 64 bytes.", stat_fields},
    {"DirEntry", "An entry that read_dir gives, 24 bytes, followed by its name; not aligned.",
     entry_fields},
    {"WatchEvent",
     "An event that is read of watch_at's handle, 12 bytes, followed by its names; not aligned.",
     watch_fields},
    {"SocketAddress", "An address and a port, 24 bytes.", address_fields},
    {"SpawnOptions",
     "How to start a process, 96 bytes (72 without SPAWN_MORE or SPAWN_MODULE); all 0: as usual.",
     spawn_fields},
    {"MessageInfo", "What receive tells of a message, 56 bytes.", message_fields},
    {"ExitInfo", "How a process ended, 24 bytes.", exit_fields},
    {"ProcessInfo", "What process_info tells, 80 bytes.", info_fields},
};

constexpr u32 stat_size = 64;

}  // namespace

std::span<const ConstantGroup> constant_groups() { return groups; }
std::span<const Structure> structures() { return structs; }

bool has_stat_room(const HostContext& context, u32 address) {
  return context.memory(address, stat_size).has_value();
}

HostResult put_stat(HostContext& context, u32 address, const vfs::Outcome<vfs::Stat>& outcome) {
  if (const Errno* error = error_of(outcome)) return context.error32(*error);
  const auto to = context.memory(address, stat_size);
  if (!to) return context.error32(Errno::fault);
  const vfs::Stat& stat = std::get<vfs::Stat>(outcome);
  // The structure as the fields above lay it out.
  const u64 words[8] = {stat.device,
                        stat.inode,
                        static_cast<u64>(stat.type),
                        stat.links,
                        stat.size,
                        static_cast<u64>(stat.accessed_ns),
                        static_cast<u64>(stat.modified_ns),
                        static_cast<u64>(stat.changed_ns)};
  static_assert(sizeof words == stat_size);
  memcpy(to->data(), words, stat_size);
  return context.result_i32(0);
}

vfs::Times times_from(i64 accessed, i64 modified) {
  vfs::Times times;
  if (accessed != time_keep) times.accessed_ns = accessed;
  if (modified != time_keep) times.modified_ns = modified;
  return times;
}

}  // namespace atollvm::host
