// An overlay in a snapshot: its upper layer, if that is in memory, and what it notes by itself. Its
// lower layer, and an upper one of the host, are found again by paths. Internal to the folder.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "stdlib/vfs/memory_kept.hpp"
#include "stdlib/vfs/overlay_objects.hpp"

namespace atollvm::vfs {

class OverlayKept final : public Kept {
 public:
  explicit OverlayKept(std::shared_ptr<Overlay> overlay);

  [[nodiscard]] Kind kind() const override {
    return memory_ == nullptr ? Kind::overlay_on_host : Kind::overlay_in_memory;
  }
  std::optional<std::string> describe(cap::Object& object) override;
  void write(base::Writer& to) override;
  void read(base::Reader& from, const base::Take& take) override;
  std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                       bool writable) override;

 private:
  std::unique_lock<std::mutex> lock();
  std::optional<std::string> describe_upper(cap::Object& object, std::optional<u64> position = {});
  std::shared_ptr<cap::Object> restore_upper(cap::Kind kind, std::string_view description,
                                             bool writable);
  std::shared_ptr<cap::Object> restore_directory(std::string_view text);
  std::shared_ptr<cap::Object> restore_lower_file(std::string_view text);

  std::shared_ptr<Overlay> overlay_;
  std::unique_ptr<MemoryKept> memory_;  // of the upper layer; null: it is of the host
  bool is_stuck_ = false;               // a call that takes long has its lock
};

}  // namespace atollvm::vfs
