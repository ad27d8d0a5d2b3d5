// A file that is there as a whole or not at all, whenever the program or the power ends.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "vm/base/result.hpp"

namespace atollvm::snapshot {

// Threads: one at a time. The bytes go to a file of another name in the same folder, which commit()
// puts in the place of an older file of the name. Errors: io, and those named.
class AtomicFile {
 public:
  // Makes the other file, for its owner alone (mode 0600). Errors: usage (what is there is neither
  // a regular file nor nothing), not_found (no such folder).
  static base::Result<std::unique_ptr<AtomicFile>> create(const std::string& path);
  // Removes the other file unless commit() has been called with success.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  base::Status write(std::span<const u8> bytes);
  // When it comes back, the file survives a power cut under its name. After an error the older file
  // is as it was; except where the folder alone could not be written to the disk, then it is not
  // known which of the two a power cut would leave.
  base::Status commit();

 private:
  AtomicFile() = default;
  [[nodiscard]] base::Error failed(int error) const;

  std::string path_;
  std::string name_;   // in the folder
  std::string other_;  // the same; empty: there is none
  int folder_ = -1;
  int file_ = -1;
};

// How the files are called that a killed program leaves behind: they can be removed.
bool is_left_over(std::string_view name);

}  // namespace atollvm::snapshot
