// The tree of a file system in memory. Internal to the folder.
//
// Locks: one for the tree (which names there are, and all that directories and links hold), one for
// each file's bytes and times. A file's is taken while the tree's is held, never the other way.
// None is held for longer than a path or max_transfer of bytes takes.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/memory_pages.hpp"
#include "stdlib/vfs/watch.hpp"

namespace atollvm::vfs {

class MemoryStore;

inline constexpr u64 most_links = 65'000;  // names of one file

// Which file system it is, for those that are not of the host: its own devices are smaller.
u64 next_device();

struct MemoryNode : std::enable_shared_from_this<MemoryNode> {
  MemoryNode(MemoryStore& owner, FileType kind);
  virtual ~MemoryNode();
  MemoryNode(const MemoryNode&) = delete;
  MemoryNode& operator=(const MemoryNode&) = delete;

  [[nodiscard]] Watches::Id id() const { return {0, inode}; }
  void touch_accessed();
  void touch_changed();
  void touch_modified();

  MemoryStore& store;
  u64 inode;  // as long as it is in use always the same
  const FileType type;
  u64 links = 0;  // of a directory: 2 and one for each directory in it; 0: it was removed
  i64 accessed_ns = 0;
  i64 modified_ns = 0;
  i64 changed_ns = 0;
};

struct MemoryBytes final : MemoryNode {
  explicit MemoryBytes(MemoryStore& owner);

  std::mutex mutex;  // of the pages, and of what MemoryNode has
  Pages pages;
};

struct MemoryLink final : MemoryNode {
  MemoryLink(MemoryStore& owner, std::string_view text);
  ~MemoryLink() override;

  const std::string target;
};

struct MemoryFolder final : MemoryNode {
  explicit MemoryFolder(MemoryStore& owner);

  struct Slot {
    std::string name;
    std::shared_ptr<MemoryNode> node;
  };

  // Null: no such name.
  Slot* find(std::string_view name);
  // The name is not there.
  void add(std::string_view name, std::shared_ptr<MemoryNode> node);
  void add(u64 cookie, std::string_view name, std::shared_ptr<MemoryNode> node);
  // Gives the cookie that the name had, which is there.
  u64 remove(std::string_view name);

  MemoryFolder* parent = nullptr;  // null: the root, or removed
  // By cookie: a number that no other entry of the directory ever had. So a stream goes on behind
  // an entry although it has gone, and meets each of those that stay once.
  std::map<u64, Slot> slots;
  u64 next_cookie = 1;

 private:
  std::map<std::string_view, u64> by_name_;
};

// All of a file system. Handles hold it.
class MemoryStore {
 public:
  explicit MemoryStore(const MemoryLimits& limits);
  ~MemoryStore();
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  // A new node, paid for. Null: there is no room.
  template <class Node, class... Arguments>
  std::shared_ptr<Node> make(u64 extra, Arguments&&... arguments) {
    if (!inodes.take(1)) return nullptr;
    if (!bytes.take(node_cost + extra)) {
      inodes.give(1);
      return nullptr;
    }
    return std::make_shared<Node>(*this, std::forward<Arguments>(arguments)...);
  }

  static constexpr u64 node_cost = 256;
  static u64 name_cost(std::string_view name) { return 128 + name.size(); }

  Budget bytes;
  Budget inodes;
  const u64 device;
  const std::shared_ptr<Watches> watches = std::make_shared<Watches>();
  std::atomic<u64> next_inode{1};
  std::mutex mutex;  // of the tree
  std::shared_ptr<MemoryFolder> root;
};

// A place in the tree, under its lock.
struct MemoryPlace {
  MemoryFolder* folder = nullptr;  // that has the name; null: the path ended with "." or ".."
  std::string name;
  std::shared_ptr<MemoryNode> node;  // null: there is nothing of that name
  bool must_be_directory = false;
};

// Finds what a path names, and follows a link at its end if that is asked for or a slash is behind
// it. `start` is where no ".." leads out of. Errors: those of a path; never noent for the last
// name.
Outcome<MemoryPlace> find_in_memory(MemoryFolder& start, std::string_view path, bool follow);

// An open file.
std::shared_ptr<File> make_memory_file(std::shared_ptr<MemoryStore> store,
                                       std::shared_ptr<MemoryBytes> bytes, Access access,
                                       bool append,
                                       std::shared_ptr<Watches::Opened> place = nullptr);
// Under the tree's lock, but for files.
Stat stat_of(MemoryNode& node);
void set_times_of(MemoryNode& node, const Times& times);

}  // namespace atollvm::vfs
