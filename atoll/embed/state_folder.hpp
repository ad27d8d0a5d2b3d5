// The folder in which a server keeps what it needs to go on after its sudden end: of each machine a
// record, and its newest snapshots. docs/snapshots.md describes it.
//
//   lock                   locked while a server uses the folder
//   machines/NAME/record   what the machine is
//   machines/NAME/7.snap   snapshots; the greatest number is the newest
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vm/base/result.hpp"

namespace atollvm {

// Threads: any, but only one for each machine at a time. Errors: io.
class StateFolder {
 public:
  // Makes the folder, if need be, for its owner alone. Removes what a killed server has left half
  // done. Errors: usage (another server uses it, or others than its owner may write there), io.
  static base::Result<std::unique_ptr<StateFolder>> open(const std::string& path);
  ~StateFolder();
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;

  // The names of the machines that have a record.
  [[nodiscard]] base::Result<std::vector<std::string>> machines() const;
  [[nodiscard]] base::Result<std::string> read(const std::string& name) const;
  // When it comes back, the record survives a power cut.
  [[nodiscard]] base::Status write(const std::string& name, std::string_view record) const;
  // First the record, so that half a machine is none.
  [[nodiscard]] base::Status remove(const std::string& name) const;

  // Paths, the newest first.
  [[nodiscard]] std::vector<std::string> snapshots(const std::string& name) const;
  // Where the next one goes. Its machine must have a record.
  [[nodiscard]] std::string next_snapshot(const std::string& name) const;
  // Keeps this many of the newest.
  void prune(const std::string& name, usize kept) const;

 private:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] std::string machine(const std::string& name) const;
  [[nodiscard]] std::vector<u64> numbers(const std::string& name) const;

  std::string path_;
  int lock_ = -1;
};

}  // namespace atollvm
