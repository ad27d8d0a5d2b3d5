// Open files and directories in memory. Internal to the folder.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "stdlib/vfs/memory_tree.hpp"

namespace atollvm::vfs {

class MemoryDirectory final : public Directory {
 public:
  MemoryDirectory(std::shared_ptr<MemoryStore> store, std::shared_ptr<MemoryFolder> folder)
      : store_(std::move(store)), folder_(std::move(folder)) {}

  Outcome<std::shared_ptr<cap::Object>> open(std::string_view path, u32 flags, Access access,
                                             Wait wait) override;
  Outcome<Stat> stat(std::string_view path, bool follow, Wait wait) override;
  Errno set_times(std::string_view path, bool follow, const Times& times, Wait wait) override;
  Outcome<std::vector<Entry>> list(u64 cookie, u32 bytes, Wait wait) override;
  Errno make_directory(std::string_view path, Wait wait) override;
  Errno remove_file(std::string_view path, Wait wait) override;
  Errno remove_directory(std::string_view path, Wait wait) override;
  Errno rename(std::string_view path, Directory& to, std::string_view to_path, Wait wait) override;
  Errno link(std::string_view path, Directory& to, std::string_view to_path, Wait wait) override;
  Errno make_link(std::string_view target, std::string_view path, Wait wait) override;
  Outcome<std::string> read_link(std::string_view path, Wait wait) override;
  Errno sync(Wait) override { return Errno::success; }
  Outcome<std::shared_ptr<Watch>> watch(std::string_view path, Wait wait) override;
  [[nodiscard]] std::string_view type_name() const override { return "memory"; }
  [[nodiscard]] const void* file_system() const override { return store_.get(); }
  [[nodiscard]] std::unique_ptr<Kept> kept() override;

  [[nodiscard]] const std::shared_ptr<MemoryFolder>& folder() const { return folder_; }
  // Where the stream that began last ends.
  [[nodiscard]] u64 stream_end() const { return end_; }
  void set_stream_end(u64 cookie) { end_ = cookie; }

 private:
  using Doomed = std::shared_ptr<MemoryNode>;  // freed after the lock: it may have many pages

  Outcome<MemoryPlace> find_name(std::string_view path, Errno dots);
  Errno put(MemoryPlace& place, std::shared_ptr<MemoryNode> node);
  Errno add_link(const MemoryPlace& source, MemoryPlace& place);
  Errno move(MemoryPlace& source, MemoryPlace& place, Doomed& doomed);

  std::shared_ptr<MemoryStore> store_;  // outlives the folder
  std::shared_ptr<MemoryFolder> folder_;
  // Entries that were made since the stream began are not in it: who makes one for each that he
  // reads comes to an end.
  std::atomic<u64> end_{~u64{0}};
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<MemoryStore> store, std::shared_ptr<MemoryBytes> bytes, Access access,
             bool append, std::shared_ptr<Watches::Opened> place)
      : store_(std::move(store)),
        bytes_(std::move(bytes)),
        place_(std::move(place)),
        access_(access),
        append_(append) {}

  Outcome<u32> read(std::span<u8> to, std::optional<u64> at, Wait wait) override;
  Outcome<u32> write(std::span<const u8> from, std::optional<u64> at, WriteMode mode,
                     Wait wait) override;
  Outcome<u64> seek(i64 offset, u32 whence) override;
  Outcome<Stat> stat(Wait) override { return stat_of(*bytes_); }
  Errno truncate(u64 size, Wait wait) override;
  Errno allocate(u64 at, u64 size, Wait wait) override;
  Errno advise(u64 at, u64 size, Advice advice, Wait wait) override;
  Errno sync(Durability, Wait) override { return Errno::success; }
  Errno set_times(const Times& times, Wait) override {
    set_times_of(*bytes_, times);
    store_->watches->changed(place_);
    return Errno::success;
  }

  [[nodiscard]] const MemoryStore* store() const { return store_.get(); }
  struct State {
    std::shared_ptr<MemoryBytes> bytes;
    Access access;
    bool append = false;
    u64 position = 0;
  };
  State state();

 private:
  u32 read_at(std::span<u8> to, u64 at);

  std::shared_ptr<MemoryStore> store_;  // outlives the bytes
  std::shared_ptr<MemoryBytes> bytes_;
  std::shared_ptr<Watches::Opened> place_;  // null: it is open to read only
  Access access_;
  bool append_;
  std::mutex position_mutex_;  // taken before that of the bytes
  u64 position_ = 0;
};

}  // namespace atollvm::vfs
