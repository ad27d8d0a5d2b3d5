// A file system in memory in a snapshot; docs/snapshots.md has the format. Internal to the folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stdlib/vfs/memory_objects.hpp"

namespace atollvm::vfs {

class MemoryKept final : public Kept {
 public:
  // `root`: as it was made; streams of it go on, too.
  MemoryKept(std::shared_ptr<MemoryStore> store, MemoryDirectory& root)
      : store_(std::move(store)), root_(root) {}

  [[nodiscard]] Kind kind() const override { return Kind::memory; }
  std::optional<std::string> describe(cap::Object& object) override {
    return describe(object, std::nullopt);
  }
  // With another position than the file itself has.
  std::optional<std::string> describe(cap::Object& object, std::optional<u64> position);
  void write(base::Writer& to) override;
  void read(base::Reader& from, const base::Take& take) override;
  std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                       bool writable) override;

 private:
  using Nodes = std::vector<std::shared_ptr<MemoryNode>>;

  [[nodiscard]] Nodes find_nodes() const;
  static void write_file(base::Writer& to, MemoryBytes& file);
  std::shared_ptr<MemoryNode> read_node(base::Reader& from, const base::Take& take, bool is_root);
  static void read_file(base::Reader& from, const base::Take& take, MemoryBytes& file);
  void read_slots(base::Reader& from, const base::Take& take, const Nodes& nodes, usize index);

  std::shared_ptr<MemoryStore> store_;
  MemoryDirectory& root_;
  std::vector<std::shared_ptr<MemoryNode>> held_;  // by handles, perhaps without a name
  std::unordered_map<u64, std::shared_ptr<MemoryNode>> by_inode_;  // of what was read
};

}  // namespace atollvm::vfs
