#include "stdlib/vfs/archive.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include "stdlib/vfs/archive_library.hpp"
#include "stdlib/vfs/fields.hpp"
#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {
namespace {

using Node = ArchiveTree::Node;
constexpr u64 most_offset = static_cast<u64>(INT64_MAX);

class ArchiveFile final : public File {
 public:
  // `bytes`: what the node's places are in.
  ArchiveFile(std::shared_ptr<const ArchiveTree> tree, Node node,
              std::shared_ptr<const ArchiveBytes> bytes, Access access)
      : tree_(std::move(tree)), node_(node), bytes_(std::move(bytes)), access_(access) {}

  Outcome<u32> read(std::span<u8> to, std::optional<u64> at, Wait wait) override;
  Outcome<u32> write(std::span<const u8>, std::optional<u64>, WriteMode, Wait) override {
    return Errno::badf;
  }
  Outcome<u64> seek(i64 offset, u32 whence) override;
  Outcome<Stat> stat(Wait) override { return tree_->stat(node_); }
  Errno truncate(u64, Wait) override { return Errno::badf; }
  Errno allocate(u64, u64, Wait) override { return Errno::badf; }
  Errno advise(u64 at, u64 size, Advice, Wait) override {
    return at > most_offset || size > most_offset - at ? Errno::inval : Errno::success;
  }
  Errno sync(Durability, Wait) override { return Errno::success; }
  Errno set_times(const Times&, Wait) override { return Errno::rofs; }

  [[nodiscard]] const ArchiveTree* tree() const { return tree_.get(); }
  [[nodiscard]] Node node() const { return node_; }
  [[nodiscard]] bool can_read() const { return access_.read; }
  [[nodiscard]] u64 position() const { return position_; }

 private:
  Outcome<u32> read_at(std::span<u8> to, u64 at, Wait wait) const;
  Outcome<u32> read_parts(std::span<u8> to, u64 at, Wait wait) const;

  std::shared_ptr<const ArchiveTree> tree_;
  const Node node_;
  std::shared_ptr<const ArchiveBytes> bytes_;
  const Access access_;
  std::mutex mutex_;  // of reading from the position, also while that waits for the host
  std::atomic<u64> position_ = 0;
};

Outcome<u32> ArchiveFile::read_at(std::span<u8> to, u64 at, Wait wait) const {
  const ArchiveNode& node = tree_->node(node_);
  if (at >= node.size) return u32{0};
  to = to.first(static_cast<usize>(std::min<u64>({to.size(), node.size - at, u64{1} << 30})));
  if (to.empty()) return u32{0};
  switch (node.body) {
    case ArchiveNode::Body::parts:
      return read_parts(to, at, wait);
    case ArchiveNode::Body::packed:
      return bytes_->read(to, at, wait);
    default:
      return bytes_->read(to, node.at + at, wait);
  }
}

// One part or hole, of which there is at least a byte.
Outcome<u32> ArchiveFile::read_parts(std::span<u8> to, u64 at, Wait wait) const {
  const std::vector<ArchivePart>& parts = tree_->parts(node_);
  const auto next = std::ranges::upper_bound(parts, at, {}, &ArchivePart::offset);
  if (next != parts.begin()) {
    const ArchivePart& part = *std::prev(next);
    if (const u64 in_part = at - part.offset; in_part < part.size) {
      const usize size = static_cast<usize>(std::min<u64>(to.size(), part.size - in_part));
      return bytes_->read(to.first(size), part.at + in_part, wait);
    }
  }
  const u64 hole = next == parts.end() ? to.size() : next->offset - at;
  const usize size = static_cast<usize>(std::min<u64>(to.size(), hole));
  std::fill_n(to.begin(), size, u8{0});
  return static_cast<u32>(size);
}

Outcome<u32> ArchiveFile::read(std::span<u8> to, std::optional<u64> at, Wait wait) {
  if (!access_.read) return Errno::badf;
  if (at) return *at > most_offset ? Outcome<u32>(Errno::inval) : read_at(to, *at, wait);
  std::unique_lock lock(mutex_, std::defer_lock);
  if (wait == Wait::allowed) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return Errno::again;
  }
  u64 start = position_;
  const Outcome<u32> size = read_at(to, start, wait);
  // A seek since then came after this read.
  if (const u32* const some = std::get_if<u32>(&size)) {
    position_.compare_exchange_strong(start, start + *some);
  }
  return size;
}

Outcome<u64> ArchiveFile::seek(i64 offset, u32 whence) {
  if (whence > 2) return Errno::inval;
  u64 position = 0;
  u64 old = position_;
  do {
    const u64 from = whence == 0 ? 0 : whence == 1 ? old : tree_->node(node_).size;
    position = from + static_cast<u64>(offset);
    if (position > most_offset) return Errno::inval;
  } while (!position_.compare_exchange_weak(old, position));
  return position;
}

class ArchiveDirectory final : public Directory {
 public:
  ArchiveDirectory(std::shared_ptr<const ArchiveTree> tree, Node node)
      : tree_(std::move(tree)), node_(node) {}

  Outcome<std::shared_ptr<cap::Object>> open(std::string_view path, u32 flags, Access access,
                                             Wait wait) override;
  Outcome<Stat> stat(std::string_view path, bool follow, Wait wait) override;
  Errno set_times(std::string_view path, bool follow, const Times&, Wait) override {
    const Outcome<Node> found = tree_->walk(node_, path, follow);
    const Errno* const error = std::get_if<Errno>(&found);
    return error == nullptr ? Errno::rofs : *error;
  }
  Outcome<std::vector<Entry>> list(u64 cookie, u32 bytes, Wait wait) override;
  Errno make_directory(std::string_view path, Wait) override { return refuse(path); }
  Errno remove_file(std::string_view path, Wait) override { return refuse(path); }
  Errno remove_directory(std::string_view path, Wait) override { return refuse(path); }
  Errno rename(std::string_view path, Directory& to, std::string_view to_path, Wait) override {
    return refuse_two(path, to, to_path);
  }
  Errno link(std::string_view path, Directory& to, std::string_view to_path, Wait) override {
    return refuse_two(path, to, to_path);
  }
  Errno make_link(std::string_view target, std::string_view path, Wait) override {
    const Errno error = check_path(target);
    return error == Errno::success ? refuse(path) : error;
  }
  Outcome<std::string> read_link(std::string_view path, Wait wait) override;
  Errno sync(Wait) override { return Errno::success; }
  [[nodiscard]] std::string_view type_name() const override { return "archive"; }
  [[nodiscard]] const void* file_system() const override { return tree_.get(); }
  [[nodiscard]] std::unique_ptr<Kept> kept() override;
  [[nodiscard]] std::optional<std::string> identity() override { return tree_->identity(); }

  [[nodiscard]] Node node() const { return node_; }

 private:
  static Errno refuse(std::string_view path) {
    const Errno error = check_path(path);
    return error == Errno::success ? Errno::rofs : error;
  }
  Errno refuse_two(std::string_view path, const Directory& to, std::string_view to_path) const {
    if (to.file_system() != file_system()) return Errno::xdev;
    const Errno error = check_path(path);
    return error == Errno::success ? refuse(to_path) : error;
  }

  std::shared_ptr<const ArchiveTree> tree_;
  const Node node_;
};

Outcome<std::shared_ptr<cap::Object>> ArchiveDirectory::open(std::string_view path, u32 flags,
                                                             Access access, Wait wait) {
  if (const Errno error = check_open(path, flags, access); error != Errno::success) return error;
  const bool create = (flags & open_create) != 0;
  const bool exclusive = (flags & open_exclusive) != 0;
  const bool truncate = (flags & open_truncate) != 0;
  const bool directory = (flags & open_directory) != 0;
  const bool follow = (flags & open_nofollow) == 0 && !exclusive;
  const Outcome<Node> found = tree_->walk(node_, path, follow);
  if (const Errno* const error = std::get_if<Errno>(&found)) {
    if (*error != Errno::noent || !create) return *error;
    const std::string_view folder = split_last(path).folder;
    const Outcome<Node> parent = folder.empty() ? node_ : tree_->walk(node_, folder, true);
    return std::holds_alternative<Node>(parent) ? Errno::rofs : std::get<Errno>(parent);
  }
  if (exclusive) return Errno::exist;
  const Node index = std::get<Node>(found);
  const ArchiveNode& node = tree_->node(index);
  if (node.type == FileType::link) return directory ? Errno::notdir : Errno::loop;
  if (node.type == FileType::directory) {
    if (create || truncate || access.write) return Errno::isdir;
    return std::make_shared<ArchiveDirectory>(tree_, index);
  }
  if (directory) return Errno::notdir;
  if (truncate || access.write) return Errno::rofs;
  if (node.body != ArchiveNode::Body::packed) {
    return std::make_shared<ArchiveFile>(tree_, index, tree_->bytes(), access);
  }
  auto unpacked = tree_->unpacked(index, wait);
  if (const Errno* const error = std::get_if<Errno>(&unpacked)) return *error;
  return std::make_shared<ArchiveFile>(
      tree_, index, std::get<std::shared_ptr<const ArchiveBytes>>(std::move(unpacked)), access);
}

Outcome<Stat> ArchiveDirectory::stat(std::string_view path, bool follow, Wait) {
  const Outcome<Node> found = tree_->walk(node_, path, follow);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  return tree_->stat(std::get<Node>(found));
}

// A cookie is the number of an entry in the directory.
Outcome<std::vector<Entry>> ArchiveDirectory::list(u64 cookie, u32 bytes, Wait) {
  const std::span<const ArchiveTree::Slot> slots = tree_->slots(node_);
  if (cookie > slots.size()) return Errno::inval;
  const usize most = std::clamp<u32>(bytes, 4096, 1 << 16);
  std::vector<Entry> entries;
  usize used = 0;
  for (u64 i = cookie; i < slots.size() && used < most; ++i) {
    const auto& [name, node] = slots[static_cast<usize>(i)];
    entries.push_back({i + 1, u64{node} + 1, tree_->node(node).type, name});
    used += 24 + name.size();
  }
  return entries;
}

Outcome<std::string> ArchiveDirectory::read_link(std::string_view path, Wait) {
  const Outcome<Node> found = tree_->walk(node_, path, false);
  if (const Errno* const error = std::get_if<Errno>(&found)) return *error;
  const Node link = std::get<Node>(found);
  if (tree_->node(link).type != FileType::link) return Errno::inval;
  return tree_->target(link);
}

// Names what is open below a directory by the archive's identity and the path, and finds it where
// the same bytes are mounted.
class ArchiveKept final : public Kept {
 public:
  ArchiveKept(std::shared_ptr<const ArchiveTree> tree, Node root)
      : tree_(std::move(tree)), root_(root) {}

  [[nodiscard]] Kind kind() const override { return Kind::by_reference; }
  std::optional<std::string> describe(cap::Object& object) override;
  void write(base::Writer&) override {}
  void read(base::Reader&, const base::Take&) override {}
  std::shared_ptr<cap::Object> restore(cap::Kind kind, std::string_view description,
                                       bool writable) override;

 private:
  std::optional<std::string> path_of(Node node);

  struct Place {
    Node folder = 0;
    const std::string* name = nullptr;  // null: it has not been found
  };
  std::shared_ptr<const ArchiveTree> tree_;
  const Node root_;
  std::vector<Place> places_;  // by node, when they have been looked for
};

std::optional<std::string> ArchiveKept::path_of(Node node) {
  if (node == root_) return ".";
  if (places_.empty()) {
    places_.resize(tree_->size());
    std::vector<Node> folders{root_};
    while (!folders.empty()) {
      const Node folder = folders.back();
      folders.pop_back();
      for (const ArchiveTree::Slot& slot : tree_->slots(folder)) {
        Place& place = places_[slot.node];
        if (place.name != nullptr) continue;
        place = {folder, &slot.name};
        if (tree_->node(slot.node).type == FileType::directory) folders.push_back(slot.node);
      }
    }
  }
  std::string path;
  for (; node != root_; node = places_[node].folder) {
    if (places_[node].name == nullptr) return std::nullopt;
    path.insert(0, (path.empty() ? "" : "/"));
    path.insert(0, *places_[node].name);
  }
  return path;
}

// "f", identity, path, "r" or nothing, position; or "d", identity, path.
std::optional<std::string> ArchiveKept::describe(cap::Object& object) {
  const auto* const file = dynamic_cast<ArchiveFile*>(&object);
  const auto* const directory = dynamic_cast<ArchiveDirectory*>(&object);
  if (file != nullptr ? file->tree() != tree_.get()
                      : directory == nullptr || directory->file_system() != tree_.get()) {
    return std::nullopt;
  }
  const auto path = path_of(file != nullptr ? file->node() : directory->node());
  const auto identity = path ? tree_->identity() : std::nullopt;
  if (!identity) return std::nullopt;
  if (file == nullptr) return fmt::format("d{0}{1}{0}{2}", field_separator, *identity, *path);
  return fmt::format("f{0}{1}{0}{2}{0}{3}{0}{4}", field_separator, *identity, *path,
                     file->can_read() ? "r" : "", file->position());
}

std::shared_ptr<cap::Object> ArchiveKept::restore(cap::Kind kind, std::string_view description,
                                                  bool) {
  ArchiveDirectory root(tree_, root_);
  const auto open = [&](std::string_view identity, std::string_view path, u32 flags,
                        Access access) -> std::shared_ptr<cap::Object> {
    if (identity != tree_->identity()) return nullptr;
    auto opened = root.open(path, flags | open_nofollow, access, Wait::allowed);
    auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
    return object == nullptr || (*object)->kind() != kind ? nullptr : std::move(*object);
  };
  if (kind == cap::Kind::directory) {
    std::array<std::string_view, 3> fields;
    if (!split_fields(description, fields) || fields[0] != "d") return nullptr;
    return open(fields[1], fields[2], open_directory, {});
  }
  std::array<std::string_view, 5> fields;
  if (!split_fields(description, fields) || fields[0] != "f") return nullptr;
  const auto position = number_in<i64>(fields[4]);
  if (!position || *position < 0) return nullptr;
  auto object = open(fields[1], fields[2], 0, {fields[3] == "r", false});
  if (object != nullptr) static_cast<void>(static_cast<File&>(*object).seek(*position, 0));
  return object;
}

std::unique_ptr<Kept> ArchiveDirectory::kept() {
  return std::make_unique<ArchiveKept>(tree_, node_);
}

}  // namespace

std::shared_ptr<Directory> make_archive(std::shared_ptr<const ArchiveTree> tree) {
  return std::make_shared<ArchiveDirectory>(std::move(tree), ArchiveTree::root);
}

base::Result<std::shared_ptr<Directory>> open_archive(const std::string& path,
                                                      const ArchiveLimits& limits) {
  const auto refuse = [&path](int error) {
    return base::Error{error == ENOENT ? base::ErrorCode::not_found : base::ErrorCode::io, path,
                       strerror(error)};
  };
  if (path.find('\0') != std::string::npos) return refuse(ENOENT);
  // O_NONBLOCK: a pipe without a writer is not waited for.
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) return refuse(errno);
  if (!S_ISREG(status.st_mode)) {
    return base::Error{base::ErrorCode::io, path, "it is no regular file: an archive must be one"};
  }
  auto bytes = std::make_shared<HostBytes>(std::move(file), static_cast<u64>(status.st_size));
  auto tree = read_archive(std::move(bytes), path, limits);
  if (!tree) return std::move(tree).error();
  return make_archive(*std::move(tree));
}

}  // namespace atollvm::vfs
