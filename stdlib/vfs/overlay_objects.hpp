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

  std::shared_ptr<Overlay> overlay_;
  Layered folder_;  // with the overlay's lock
};

}  // namespace atollvm::vfs
