// Volumes: a file system in one file of the host, which is a database of SQLite's. What is done to
// it is done whole or not at all, also when the program or the computer ends at any moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

// Limits of what the file of the host may come to, in bytes.
inline constexpr u64 least_volume_size = u64{1} << 20;
inline constexpr u64 most_volume_size = u64{1} << 44;
// The longest file of a volume; more is fbig.
inline constexpr u64 most_volume_file = u64{1} << 44;

struct VolumeOptions {
  // Which of SQLite's layers above the operating system is used, by its name; null: the usual one.
  const char* system = nullptr;
};

struct VolumeInfo {
  u64 size = 0;    // bytes that the volume may come to
  u64 used = 0;    // bytes of it that are in use
  u64 inodes = 0;  // files, directories and links
};

// What is wrong in a volume.
struct VolumeFault {
  std::string place;  // "database", "file 17", "entry `name` of directory 3"
  std::string text;
};

// Makes an empty volume, where there is no file. Errors: io (also: there is something), usage (a
// size outside the limits).
base::Status create_volume(const std::string& path, u64 size);

// A volume's root. All who open one file of the host in this program share it; another program
// can't open it meanwhile. The last handle to any of it closes it. Errors: not_found, io (also: in
// use by another program), malformed (no volume, or one that was damaged or made up), unsupported
// (of another version).
//
// What is written is collected, and committed when there are 8 MiB of it, at the latest a second
// after the first of it, and by `sync`, which also waits for the disk. Whenever the program or the
// computer ends, the volume is as it was after one of the calls, all before it included and none
// after it; sync says which one that is at least. A program's end loses what was not committed,
// the computer's also what the host had not written.
//
// Each call is done whole or not at all: also a write that does not fit is nospc without an effect.
// All but seeking, and reading what was read lately or is about to be, gives `again` with
// Wait::never. Where the host's disk fails or is full, the call
// gives io, and if that undid calls before it, all later ones do until the volume is opened again.
base::Result<std::shared_ptr<Directory>> open_volume(const std::string& path,
                                                     const VolumeOptions& options = {});

// Whether a file of the host says that it is a volume.
bool is_volume(const std::string& path);
// Whether this program has it open.
bool is_open_volume(const std::string& path);

// The following are for an open volume's root; they block. Errors: usage (no volume's), io.
base::Result<VolumeInfo> volume_info(Directory& root);
// Allows more bytes. Errors: also usage (less than now, or too many).
base::Status grow_volume(Directory& root, u64 size);
// Looks at all of it; nothing: it is sound. At most about 100 faults are told.
base::Result<std::vector<VolumeFault>> check_volume(Directory& root);

}  // namespace atollvm::vfs
