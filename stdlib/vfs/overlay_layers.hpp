// What an overlay's two layers are together. Internal to the folder.
//
// A whiteout, once made, stays: what is made anew in its place is in the upper layer alone. So the
// lower part of a directory never comes back, and never moves, and its path says which it is.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/path.hpp"
#include "stdlib/vfs/watch.hpp"

namespace atollvm::vfs {

class LowerFile;

// A directory: at least one of the two.
struct Layered {
  std::shared_ptr<Directory> upper;
  std::shared_ptr<Directory> lower;
  std::string path{};  // of the lower one, from the root; empty: the root
};

// What a name in a directory stands for.
struct OverlayName {
  bool exists = false;
  bool in_upper = false;  // else only in the lower one
  Stat stat{};            // of the layer that counts

  [[nodiscard]] bool is_folder() const { return exists && stat.type == FileType::directory; }
};

struct OverlayPlace {
  Layered folder;
  std::string name;  // empty: the folder itself, which the path named by "." or ".."
  OverlayName found;
  bool must_be_directory = false;
};

// All functions are called with `mutex` held, those without a Wait in the pool. Errors: those of
// the layers. One that gives `again` has had no effect.
class Overlay {
 public:
  Overlay(std::shared_ptr<Directory> lower, std::shared_ptr<Directory> upper)
      : lower_(std::move(lower)), upper_(std::move(upper)) {}

  [[nodiscard]] Layered root() const { return {upper_, lower_}; }
  // Brings up to date what others may have changed since: an upper part that there was none of, or
  // that the directory was removed.
  Errno refresh(Layered& folder, Wait wait);
  // As find_in_memory. Errors: also nametoolong, for a way of more than max_walk_depth directories.
  Outcome<OverlayPlace> find(const Layered& start, std::string_view path, bool follow, Wait wait);
  Outcome<OverlayName> look(const Layered& folder, std::string_view name, Wait wait);
  // The directory of a place that is one.
  Outcome<Layered> enter(const OverlayPlace& place, Wait wait);
  Outcome<Stat> stat(const Layered& folder, Wait wait);
  // Whether the lower layer has a name and no whiteout hides it.
  Outcome<bool> shows_lower(const Layered& folder, std::string_view name, Wait wait);
  // See Directory::list. Lower entries come first, then, with the highest bit of the cookie set,
  // those that only the upper one has. So a name that is copied up meanwhile is met once.
  Outcome<std::vector<Entry>> list(Layered& folder, u64 cookie, u32 bytes, Wait wait);

  Errno copy_up(Layered& folder);
  // What is below, with its name's folder; then it is in the upper layer. A file's bytes stay out
  // where they are to be cut off.
  Errno copy_up(OverlayPlace& place, bool with_bytes = true);
  // The folder's upper part, for a name that is to be made there.
  Errno make_room(OverlayPlace& place);
  // Hides what the lower layer has of this name, if it shows.
  Errno hide(OverlayPlace& place);
  // notempty, or success.
  Errno check_empty(Layered& folder);
  // Takes what only the overlay sees out of an empty directory, so that its upper part can go, and
  // notes that its lower part is no more.
  Errno clear(const Layered& folder);

  // A lower file that is open for reading gets its copy when there is one.
  void note_reader(std::string path, const std::shared_ptr<LowerFile>& reader);
  static std::string path_of(const Layered& folder, std::string_view name);

  [[nodiscard]] const std::shared_ptr<Directory>& lower() const { return lower_; }
  [[nodiscard]] const std::shared_ptr<Directory>& upper() const { return upper_; }
  // Paths of directories that were removed: they are no more although the lower layer has them.
  [[nodiscard]] const std::set<std::string>& removed() const { return removed_; }
  bool add_removed(std::string path) { return removed_.insert(std::move(path)).second; }

  // Who watches directories, by their numbers, and files of the upper layer, by theirs.
  [[nodiscard]] Watches& watches() { return *watches_; }
  Watches::Id id(const Layered& folder);

  std::mutex mutex;

 private:
  Errno copy_file(OverlayPlace& place, bool with_bytes);

  std::shared_ptr<Directory> lower_;
  std::shared_ptr<Directory> upper_;
  std::set<std::string> removed_;  // paths of lower directories
  std::multimap<std::string, std::weak_ptr<LowerFile>> readers_;
  const std::shared_ptr<Watches> watches_ = std::make_shared<Watches>();
  usize purge_at_ = 64;
};

// A lower file that is open for reading, and what it is replaced with when it is copied up.
class LowerFile final : public File {
 public:
  // `path` is from the overlay's root.
  LowerFile(std::shared_ptr<Overlay> overlay, std::string path, std::shared_ptr<File> file)
      : overlay_(std::move(overlay)), path_(std::move(path)), file_(std::move(file)) {}

  Outcome<u32> read(std::span<u8> bytes, std::optional<u64> at, Wait wait) override;
  Outcome<u32> write(std::span<const u8>, std::optional<u64>, WriteMode, Wait) override {
    return Errno::badf;
  }
  Outcome<u64> seek(i64 offset, u32 whence) override;
  Outcome<Stat> stat(Wait wait) override { return file()->stat(wait); }
  Errno truncate(u64, Wait) override { return Errno::badf; }
  Errno allocate(u64, u64, Wait) override { return Errno::badf; }
  Errno advise(u64 at, u64 size, Advice advice, Wait wait) override {
    return file()->advise(at, size, advice, wait);
  }
  Errno sync(Durability durability, Wait wait) override { return file()->sync(durability, wait); }
  Errno set_times(const Times& times, Wait wait) override;

  struct State {
    std::string path;
    std::shared_ptr<File> file;
    bool is_copied = false;  // `file` is in the upper layer
    u64 position = 0;
  };
  State state();
  [[nodiscard]] const Overlay* overlay() const { return overlay_.get(); }

  // With the overlay's lock held.
  void replace(std::shared_ptr<File> file);

 private:
  std::shared_ptr<File> file();

  std::shared_ptr<Overlay> overlay_;
  const std::string path_;
  std::mutex mutex_;  // of these two; held for no call of a file that may block
  std::shared_ptr<File> file_;
  u64 position_ = 0;
  bool is_copied_ = false;
};

}  // namespace atollvm::vfs
