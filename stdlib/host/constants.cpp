#include "stdlib/host/constants.hpp"

#include <string.h>

#include "stdlib/host/support.hpp"

namespace atollvm::host {
namespace {

using vfs::FileType;

constexpr i64 number(FileType type) { return static_cast<i64>(type); }
constexpr i64 number(StandardHandle handle) { return static_cast<i64>(handle); }
constexpr i64 number(Clock clock) { return static_cast<i64>(clock); }

constexpr Constant handles[] = {
    {"STDIN", number(StandardHandle::input), "standard input"},
    {"STDOUT", number(StandardHandle::output), "standard output"},
    {"STDERR", number(StandardHandle::error), "standard error output"},
    {"ROOT", number(StandardHandle::root), "the name space, to open paths"},
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
constexpr Constant kinds[] = {
    {"KIND_UNKNOWN", number(FileType::unknown), "something else, such as a pipe"},
    {"KIND_BLOCK", number(FileType::block), "block device"},
    {"KIND_CHARACTER", number(FileType::character), "character device, such as a terminal"},
    {"KIND_DIRECTORY", number(FileType::directory), "directory"},
    {"KIND_FILE", number(FileType::regular), "regular file"},
    {"KIND_SOCKET", number(FileType::socket), "socket"},
    {"KIND_LINK", number(FileType::link), "symbolic link"},
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
    {"Handles at the start", "", handles}, {"Errors", "E_", errors},
    {"Rights", "RIGHT_", rights},          {"Flags of open", "", open_flags},
    {"Kinds of files", "", kinds},         {"Other numbers", "", others},
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
constexpr Structure structs[] = {
    {"Stat", "What stat tells, 64 bytes.", stat_fields},
    {"DirEntry", "An entry that read_dir gives, 24 bytes, followed by its name; not aligned.",
     entry_fields},
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
