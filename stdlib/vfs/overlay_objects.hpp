// Open directories of an overlay. Internal to the folder.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "stdlib/vfs/overlay_layers.hpp"

namespace atollvm::vfs {

class OverlayDirectory final : public Directory {
 public:
  OverlayDirectory(std::shared_ptr<Overlay> overlay, Layered folder)
      : overlay_(std::move(overlay)), folder_(std::move(folder)) {}

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
  Errno sync(Wait wait) override;
  Outcome<std::shared_ptr<Watch>> watch(std::string_view path, Wait wait) override;
  [[nodiscard]] std::string_view type_name() const override { return "overlay"; }
  [[nodiscard]] const void* file_system() const override { return overlay_.get(); }
  [[nodiscard]] std::unique_ptr<Kept> kept() override;

  // With the overlay's lock.
  [[nodiscard]] const Layered& folder() const { return folder_; }

 private:
  using Opened = Outcome<std::shared_ptr<cap::Object>>;

  // Not owned: somebody else works, and this call may not wait for him.
  [[nodiscard]] std::unique_lock<std::mutex> lock(Wait wait) const {
    if (wait == Wait::allowed) return std::unique_lock(overlay_->mutex);
    return std::unique_lock(overlay_->mutex, std::try_to_lock);
  }
  Outcome<OverlayPlace> find(std::string_view path, bool follow, Wait wait);
  Outcome<OverlayPlace> find_name(std::string_view path, Errno dots);
  Opened open_found(OverlayPlace& place, u32 flags, Access access, Wait wait);
  Errno rename_folder(OverlayPlace& source, OverlayPlace& place);
  Errno rename_file(OverlayPlace& source, OverlayPlace& place);
  Outcome<Layered> empty_folder(OverlayPlace& place);
  // What was opened to write, by the numbers of it and of its directory.
  Opened note_opened(const OverlayPlace& place, const Watches::Id& folder, const Watches::Id& file,
                     Opened opened);
  void note_created(const OverlayPlace& place);
  void note_renamed(const OverlayPlace& source, const OverlayPlace& place, Watches::Id replaced);

  std::shared_ptr<Overlay> overlay_;
  Layered folder_;  // with the overlay's lock
};

// A file of the upper layer that is open to write: who watches is told of its changes.
class OverlayFile final : public File {
 public:
  OverlayFile(std::shared_ptr<Overlay> overlay, std::shared_ptr<File> file,
              std::shared_ptr<Watches::Opened> place)
      : overlay_(std::move(overlay)), file_(std::move(file)), place_(std::move(place)) {}

  Outcome<u32> read(std::span<u8> bytes, std::optional<u64> at, Wait wait) override {
    return file_->read(bytes, at, wait);
  }
  Outcome<u32> write(std::span<const u8> bytes, std::optional<u64> at, WriteMode mode,
                     Wait wait) override {
    const Outcome<u32> written = file_->write(bytes, at, mode, wait);
    const u32* const size = std::get_if<u32>(&written);
    if (size != nullptr && *size != 0) overlay_->watches().changed(place_);
    return written;
  }
  Outcome<u64> seek(i64 offset, u32 whence) override { return file_->seek(offset, whence); }
  Outcome<Stat> stat(Wait wait) override { return file_->stat(wait); }
  Errno truncate(u64 size, Wait wait) override { return note(file_->truncate(size, wait)); }
  Errno allocate(u64 at, u64 size, Wait wait) override {
    return note(file_->allocate(at, size, wait));
  }
  Errno advise(u64 at, u64 size, Advice advice, Wait wait) override {
    return file_->advise(at, size, advice, wait);
  }
  Errno sync(Durability durability, Wait wait) override { return file_->sync(durability, wait); }
  Errno set_times(const Times& times, Wait wait) override {
    return note(file_->set_times(times, wait));
  }
  [[nodiscard]] std::optional<Origin> origin() const override { return file_->origin(); }
  [[nodiscard]] FileType type() const override { return file_->type(); }

  [[nodiscard]] File& file() const { return *file_; }

 private:
  Errno note(Errno error) {
    if (error == Errno::success) overlay_->watches().changed(place_);
    return error;
  }

  const std::shared_ptr<Overlay> overlay_;
  const std::shared_ptr<File> file_;
  const std::shared_ptr<Watches::Opened> place_;
};

}  // namespace atollvm::vfs
