#include "stdlib/vfs/proc.hpp"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "stdlib/vfs/fixed.hpp"

namespace atollvm::vfs {
namespace {

constexpr u32 self_node = 1;
constexpr u32 machine_node = 2;
constexpr FixedNode proc_nodes[] = {
    {"", FileType::directory},
    {"self", FileType::directory},
    {"machine", FileType::directory},
    {"status", FileType::regular, self_node},
    {"limits", FileType::regular, self_node},
    {"mounts", FileType::regular, self_node},
    {"children", FileType::regular, self_node},
    {"handles", FileType::regular, self_node},
    {"status", FileType::regular, machine_node},
    {"limits", FileType::regular, machine_node},
};
constexpr u64 most_proc_offset = static_cast<u64>(INT64_MAX);

// A text as it was when it was opened.
class ProcFile final : public FixedFile {
 public:
  ProcFile(std::string text, const Stat& stat, Access access)
      : FixedFile(stat, access), text_(std::move(text)) {}

  Outcome<u32> read(std::span<u8> bytes, std::optional<u64> at, Wait) override {
    if (!access().read) return Errno::badf;
    const u64 start = at ? *at : position_.load();
    const u64 left = text_.size() - std::min<u64>(start, text_.size());
    const u32 size = static_cast<u32>(std::min<u64>(left, bytes.size()));
    if (size == 0) return 0u;
    memcpy(bytes.data(), text_.data() + start, size);
    if (!at) position_ = start + size;
    return size;
  }
  Outcome<u32> write(std::span<const u8>, std::optional<u64>, WriteMode, Wait) override {
    return Errno::badf;
  }
  Outcome<u64> seek(i64 offset, u32 whence) override {
    if (whence > 2) return Errno::inval;
    const u64 from = whence == 0 ? 0 : whence == 1 ? position_.load() : text_.size();
    const u64 position = from + static_cast<u64>(offset);
    if (position > most_proc_offset) return Errno::inval;
    return position_ = position;
  }
  Errno sync(Durability, Wait) override { return Errno::success; }

 private:
  const std::string text_;
  std::atomic<u64> position_{0};
};

class ProcDirectory final : public FixedDirectory {
 public:
  ProcDirectory(u32 node, std::optional<Viewer> viewer)
      : FixedDirectory(proc_nodes, node, Device::processes), viewer_(viewer) {}

  [[nodiscard]] std::string_view type_name() const override { return "proc"; }
  [[nodiscard]] std::shared_ptr<Directory> seen_by(const Viewer& viewer) override {
    return std::make_shared<ProcDirectory>(node(), viewer);
  }

 protected:
  [[nodiscard]] std::shared_ptr<Directory> directory_at(u32 node) const override {
    return std::make_shared<ProcDirectory>(node, std::nullopt);
  }
  [[nodiscard]] Outcome<std::shared_ptr<cap::Object>> file_at(u32 node, u32 flags,
                                                              Access access) override {
    if (access.write || (flags & open_truncate) != 0) return Errno::rofs;
    std::string text = text_of(node);
    Stat stat = stat_of(node);
    stat.size = text.size();
    return std::make_shared<ProcFile>(std::move(text), stat, access);
  }

 private:
  [[nodiscard]] std::string text_of(u32 node) const {
    if (!viewer_ || viewer_->describe == nullptr) return {};
    return viewer_->describe(viewer_->process, proc_nodes[proc_nodes[node].parent].name,
                             proc_nodes[node].name);
  }
  const std::optional<Viewer> viewer_;  // nothing: nobody
};

}  // namespace

std::shared_ptr<Directory> make_proc() { return std::make_shared<ProcDirectory>(0, std::nullopt); }

}  // namespace atollvm::vfs
