// Directories whose names never change: what the file systems of devices and of processes share.
// Nothing in them can be made, removed, renamed or linked. Internal to the folder.
#pragma once

#include <span>
#include <string_view>

#include "stdlib/vfs/vfs.hpp"

namespace atollvm::vfs {

// One of a table whose first row is the root; a directory's row comes before those of its entries.
struct FixedNode {
  std::string_view name;
  FileType type = FileType::regular;
  u32 parent = 0;
};

// A directory of such a table: the root, or one below.
class FixedDirectory : public Directory {
 public:
  // Which of these file systems it is, as every Stat::device of it says.
  enum class Device : u64 { devices = 0xde, processes = 0x9c };

  // The nodes must outlive it.
  FixedDirectory(std::span<const FixedNode> nodes, u32 node, Device device)
      : nodes_(nodes), node_(node), device_(device) {}

  Outcome<std::shared_ptr<cap::Object>> open(std::string_view path, u32 flags, Access access,
                                             Wait wait) override;
  Outcome<Stat> stat(std::string_view path, bool follow, Wait wait) override;
  Errno set_times(std::string_view path, bool follow, const Times& times, Wait wait) override;
  Outcome<std::vector<Entry>> list(u64 cookie, u32 bytes, Wait wait) override;
  Errno make_directory(std::string_view path, Wait) override { return refuse_new(path); }
  Errno remove_file(std::string_view path, Wait wait) override;
  Errno remove_directory(std::string_view path, Wait wait) override;
  Errno rename(std::string_view path, Directory& to, std::string_view to_path, Wait) override {
    return refuse_two(path, to, to_path);
  }
  Errno link(std::string_view path, Directory& to, std::string_view to_path, Wait) override {
    return refuse_two(path, to, to_path);
  }
  Errno make_link(std::string_view target, std::string_view path, Wait) override;
  Outcome<std::string> read_link(std::string_view path, Wait wait) override;
  Errno sync(Wait) override { return Errno::success; }
  [[nodiscard]] const void* file_system() const override { return nodes_.data(); }

 protected:
  [[nodiscard]] u32 node() const { return node_; }
  // Of a node, as every Stat of it says.
  [[nodiscard]] Stat stat_of(u32 node) const;

  // The directory of a node, for a handle.
  [[nodiscard]] virtual std::shared_ptr<Directory> directory_at(u32 node) const = 0;
  // What is no directory. The flags have been checked.
  [[nodiscard]] virtual Outcome<std::shared_ptr<cap::Object>> file_at(u32 node, u32 flags,
                                                                      Access access) = 0;
  // Whether it is there now.
  [[nodiscard]] virtual bool exists(u32) const { return true; }
  // Bytes.
  [[nodiscard]] virtual u64 size_of(u32) const { return 0; }

 private:
  [[nodiscard]] Outcome<u32> walk(std::string_view path) const;
  // Where something new can't be made. Errors: exist, those of paths, rofs.
  [[nodiscard]] Errno refuse_new(std::string_view path) const;
  [[nodiscard]] Errno refuse_two(std::string_view path, const Directory& to,
                                 std::string_view to_path) const;

  const std::span<const FixedNode> nodes_;
  const u32 node_;
  const Device device_;
};

// A file that says itself what its position means: bytes without an end, or of a fixed text.
// Nothing of it ever blocks.
class FixedFile : public File {
 public:
  explicit FixedFile(const Stat& stat, Access access) : stat_(stat), access_(access) {}

  Outcome<Stat> stat(Wait) override { return stat_; }
  Errno truncate(u64, Wait) override { return Errno::inval; }
  Errno allocate(u64, u64, Wait) override { return Errno::inval; }
  Errno sync(Durability, Wait) override { return Errno::inval; }
  Errno set_times(const Times&, Wait) override { return Errno::rofs; }
  [[nodiscard]] FileType type() const override { return stat_.type; }

 protected:
  [[nodiscard]] Access access() const { return access_; }

 private:
  const Stat stat_;
  const Access access_;
};

}  // namespace atollvm::vfs
