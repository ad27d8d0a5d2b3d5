// What an archive holds, as a tree. Internal to the folder.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/archive_bytes.hpp"
#include "stdlib/vfs/memory_pages.hpp"

namespace atollvm::vfs {

// Part of a file that is not a hole.
struct ArchivePart {
  u64 offset = 0;  // in the file
  u64 size = 0;
  u64 at = 0;  // in the archive's bytes
};

struct ArchiveNode {
  enum class Body : u8 {
    whole,   // at `at`
    parts,   // with holes: index in `parts`
    packed,  // has to be unpacked: what is packed begins at `at`
    text,    // of a link: index in `targets`
  };

  FileType type = FileType::regular;
  Body body = Body::whole;
  u64 links = 0;
  u64 size = 0;
  i64 modified_ns = 0;
  u64 at = 0;
  u64 index = 0;
  u32 first = 0;  // of a directory: its slots
  u32 count = 0;
};

// An entry as the archive has it.
struct ArchiveEntry {
  std::string path;
  std::string target;  // of links, symbolic and hard
  bool is_hard_link = false;
  ArchiveNode node{};
  std::vector<ArchivePart> parts{};
};

// Threads: filled by one; then any, at once, and nothing in it changes but what was unpacked.
class ArchiveTree {
 public:
  using Node = u32;  // an index
  struct Slot {
    std::string name;
    Node node;
  };

  ArchiveTree(std::shared_ptr<const ArchiveBytes> bytes, std::string place,
              const ArchiveLimits& limits);
  ~ArchiveTree() = default;
  ArchiveTree(const ArchiveTree&) = delete;
  ArchiveTree& operator=(const ArchiveTree&) = delete;

  // --- Filling ---

  // Puts an entry in; what had its name before is replaced. Nothing: done; else what is wrong.
  std::optional<base::Error> add(ArchiveEntry entry);
  // Counts an entry that is not put in.
  std::optional<base::Error> leave_out() { return count_one(); }
  // After the last one.
  void finish();

  // --- Reading ---

  static constexpr Node root = 0;
  [[nodiscard]] const ArchiveNode& node(Node index) const { return nodes_[index]; }
  [[nodiscard]] const Slot* find(Node folder, std::string_view name) const;
  [[nodiscard]] std::span<const Slot> slots(Node folder) const;
  [[nodiscard]] const std::string& target(Node link) const;
  [[nodiscard]] const std::vector<ArchivePart>& parts(Node file) const;
  [[nodiscard]] Stat stat(Node index) const;
  [[nodiscard]] usize size() const { return nodes_.size(); }
  // Its bytes' size and hash. Reads them all, once. Nothing: they can't be read.
  [[nodiscard]] std::optional<std::string> identity() const;
  // What names a path walks, and where to; a link at its end is followed if that is asked for or a
  // slash is behind it. No ".." leads out of `start`. Errors: those of a path.
  Outcome<Node> walk(Node start, std::string_view path, bool follow) const;
  [[nodiscard]] const std::shared_ptr<const ArchiveBytes>& bytes() const { return bytes_; }
  // A packed file's bytes; unpacked by the first who asks. Errors: again, nospc, io.
  Outcome<std::shared_ptr<const ArchiveBytes>> unpacked(Node file, Wait wait) const;

 private:
  struct Unpacked {
    std::shared_ptr<const ArchiveBytes> bytes;
    bool is_damaged = false;
  };
  using Key = std::pair<Node, std::string>;

  [[nodiscard]] base::Error refuse(std::string_view path, std::string_view why) const;
  std::optional<base::Error> count_one();
  std::optional<base::Error> put(const ArchiveEntry& entry, Node folder, std::string_view name,
                                 Node node);

  const std::shared_ptr<const ArchiveBytes> bytes_;
  const std::string place_;
  ArchiveLimits limits_;
  const u64 device_;
  u64 counted_ = 0;
  std::vector<ArchiveNode> nodes_;
  std::vector<std::string> targets_;
  std::vector<std::vector<ArchivePart>> parts_;
  std::map<Key, Node> names_;  // while it is filled; a folder's `count` is how many it has
  std::vector<Slot> slots_;    // afterwards: a folder's lie together, in their order

  mutable Budget left_;              // of what is unpacked later
  mutable std::mutex unpack_mutex_;  // held while something is unpacked; taken before the next
  mutable std::mutex mutex_;         // of this map
  mutable std::map<Node, Unpacked> unpacked_;
  mutable std::mutex identity_mutex_;  // held while it is found
  mutable std::optional<std::string> identity_;
};

// Its root, of a tree that is finished.
std::shared_ptr<Directory> make_archive(std::shared_ptr<const ArchiveTree> tree);

}  // namespace atollvm::vfs
