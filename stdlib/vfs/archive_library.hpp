// What reads archives' formats: libarchive, loaded when it is first needed. Internal to the folder;
// only archive_library.cpp sees its headers.
#pragma once

#include "stdlib/vfs/archive_tree.hpp"

namespace atollvm::vfs {

// What `bytes` has, unpacked if it is packed as a whole, up to the limit; `place` is its name in
// messages. See open_archive.
base::Result<std::shared_ptr<ArchiveTree>> read_archive(std::shared_ptr<const ArchiveBytes> bytes,
                                                        const std::string& place,
                                                        const ArchiveLimits& limits);

// A file of a zip archive that is packed: its bytes begin at `at`, and it must have `size`
// unpacked. Null: it is damaged, or has another size.
std::shared_ptr<const ArchiveBytes> unpack_zip_entry(
    const std::shared_ptr<const ArchiveBytes>& bytes, u64 at, u64 size);

}  // namespace atollvm::vfs
