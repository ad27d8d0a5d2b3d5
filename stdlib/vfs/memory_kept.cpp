#include "stdlib/vfs/memory_kept.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "stdlib/vfs/fields.hpp"
#include "stdlib/vfs/path.hpp"
#include "vm/base/zero.hpp"

namespace atollvm::vfs {
namespace {

constexpr u64 most_number = static_cast<u64>(INT64_MAX);  // of what counts up
constexpr u64 page_size = Pages::page_size;
// Of the host, besides pages and names.
constexpr u64 node_bytes = 512;
constexpr u64 slot_bytes = 256;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

void refuse_size(base::Reader& from) {
  from.fail(base::ErrorCode::limit,
            "it holds more than the mount may: give it a greater `size` or `inodes`");
}

}  // namespace

// --- Writing ------------------------------------------------------------------------------------

// "f", inode, access, position; or "d", inode, end of the stream.
std::optional<std::string> MemoryKept::describe(cap::Object& object, std::optional<u64> position) {
  if (auto* const file = dynamic_cast<MemoryFile*>(&object)) {
    if (file->store() != store_.get()) return std::nullopt;
    const MemoryFile::State state = file->state();
    held_.push_back(state.bytes);
    return fmt::format("f{0}{1}{0}{2}{3}{4}{0}{5}", field_separator, state.bytes->inode,
                       state.access.read ? "r" : "", state.access.write ? "w" : "",
                       state.append ? "a" : "", position.value_or(state.position));
  }
  auto* const directory = dynamic_cast<MemoryDirectory*>(&object);
  if (directory == nullptr || directory->file_system() != store_.get()) return std::nullopt;
  held_.push_back(directory->folder());
  return fmt::format("d{0}{1}{0}{2}", field_separator, directory->folder()->inode,
                     directory->stream_end());
}

// The root first; each directory before those in it; then what has no name.
MemoryKept::Nodes MemoryKept::find_nodes() const {
  Nodes nodes{store_->root};
  std::unordered_set<const MemoryNode*> found{store_->root.get()};
  for (usize i = 0; i < nodes.size(); ++i) {
    if (nodes[i]->type != FileType::directory) continue;
    // Held by itself: the list of nodes grows.
    const auto folder = std::static_pointer_cast<MemoryFolder>(nodes[i]);
    for (const auto& [cookie, slot] : folder->slots) {
      if (found.insert(slot.node.get()).second) nodes.push_back(slot.node);
    }
  }
  for (const auto& each : held_) {
    if (found.insert(each.get()).second) nodes.push_back(each);
  }
  return nodes;
}

// Runs of {pages passed over, pages, whether their bytes follow}; one without pages is the end.
void MemoryKept::write_file(base::Writer& to, MemoryBytes& file) {
  to.number(file.pages.size());
  u64 next = 0;  // behind the last run
  u64 first = 0;
  u32 count = 0;
  std::vector<const Pages::Page*> stored;  // of the run; none: its pages are zero
  const auto flush = [&] {
    if (count == 0) return;
    to.number(first - next);
    to.number(count);
    to.number(static_cast<u8>(!stored.empty()));
    for (const Pages::Page* const page : stored) to.bytes(*page);
    next = first + count;
    count = 0;
    stored.clear();
  };
  file.pages.for_each_page([&](u64 number, const Pages::Page* page) {
    if (page != nullptr && base::is_zero(page->data(), page->size())) page = nullptr;
    const bool goes_on = count != 0 && count != ~u32{0} && number == first + count &&
                         (page != nullptr) == !stored.empty();
    if (!goes_on) {
      flush();
      first = number;
    }
    ++count;
    if (page != nullptr) stored.push_back(page);
  });
  flush();
  to.number(u64{0});
  to.number(u32{0});
  to.number(u8{0});
}

void MemoryKept::write(base::Writer& to) {
  const std::lock_guard lock(store_->mutex);
  const Nodes nodes = find_nodes();
  std::unordered_map<const MemoryNode*, u32> numbers;
  for (const auto& each : nodes) numbers.emplace(each.get(), static_cast<u32>(numbers.size()));
  to.number(store_->next_inode.load());
  to.number(root_.stream_end());
  to.number(static_cast<u32>(nodes.size()));
  for (const auto& each : nodes) {
    to.number(static_cast<u8>(each->type));
    to.number(each->inode);
    std::unique_lock<std::mutex> file_lock;
    if (each->type == FileType::regular) {
      file_lock = std::unique_lock(static_cast<MemoryBytes&>(*each).mutex);
    }
    to.number(each->accessed_ns);
    to.number(each->modified_ns);
    to.number(each->changed_ns);
    if (each->type == FileType::regular) {
      write_file(to, static_cast<MemoryBytes&>(*each));
    } else if (each->type == FileType::link) {
      to.string(static_cast<const MemoryLink&>(*each).target);
    } else {
      to.number(static_cast<const MemoryFolder&>(*each).next_cookie);
    }
  }
  for (const auto& each : nodes) {
    if (each->type != FileType::directory) continue;
    const auto& folder = static_cast<const MemoryFolder&>(*each);
    to.number(static_cast<u32>(folder.slots.size()));
    for (const auto& [cookie, slot] : folder.slots) {
      to.number(cookie);
      to.string(slot.name);
      to.number(numbers.at(slot.node.get()));
    }
  }
}

// --- Reading ------------------------------------------------------------------------------------

void MemoryKept::read_file(base::Reader& from, const base::Take& take, MemoryBytes& file) {
  constexpr u64 piece_pages = 16;
  const u64 size = from.number<u64>();
  if (!from.check(size <= most_number, "a file larger than can be")) return;
  const u64 pages = (size + page_size - 1) / page_size;
  std::vector<u8> piece;
  u64 next = 0;
  while (from.ok()) {
    const u64 gap = from.number<u64>();
    const u64 count = from.number<u32>();
    const u8 stored = from.number<u8>();
    if (!from.check(stored <= 1, "no such state of a page") || count == 0) break;
    if (!from.check(gap <= pages - next && count <= pages - next - gap,
                    "a page behind the end of its file")) {
      return;
    }
    const u64 first = next + gap;
    next = first + count;
    if (!take(Pages::cost_of_reserving(count))) return;
    const u64 end = std::min(next * page_size, size);
    const Errno error = file.pages.reserve(first * page_size, end - first * page_size);
    if (error == Errno::nomem) throw std::bad_alloc();
    if (error != Errno::success) return refuse_size(from);
    for (u64 at = first; stored == 1 && at < next && from.ok();) {
      const u64 some = std::min(piece_pages, next - at);
      piece.resize(some * page_size);
      if (!from.bytes(piece)) return;
      // What is behind the end of the file does not count.
      const u64 bytes = std::min(piece.size(), size - at * page_size);
      const auto put = file.pages.write(std::span(piece).first(bytes), at * page_size);
      const u32* const done = std::get_if<u32>(&put);
      if (done == nullptr || *done != bytes) throw std::bad_alloc();
      at += some;
    }
  }
  static_cast<void>(file.pages.resize(size));
}

std::shared_ptr<MemoryNode> MemoryKept::read_node(base::Reader& from, const base::Take& take,
                                                  bool is_root) {
  const auto type = static_cast<FileType>(from.number<u8>());
  const u64 inode = from.number<u64>();
  const i64 accessed = from.number<i64>();
  const i64 modified = from.number<i64>();
  const i64 changed = from.number<i64>();
  if (!take(node_bytes)) return nullptr;
  std::shared_ptr<MemoryNode> node;
  if (type == FileType::regular) {
    const auto file = store_->make<MemoryBytes>(0);
    if (file != nullptr) read_file(from, take, *file);
    node = file;
  } else if (type == FileType::link) {
    const std::string target = from.string(max_path);
    if (from.ok() && check_path(target) != Errno::success) from.invalid("a link that can't be");
    node = store_->make<MemoryLink>(target.size(), target);
  } else if (from.check(type == FileType::directory, "no such type of file")) {
    const u64 next_cookie = from.number<u64>();
    from.check(next_cookie - 1 < most_number, "a number that would wrap");
    const auto folder = is_root ? store_->root : store_->make<MemoryFolder>(0);
    if (folder != nullptr) folder->next_cookie = next_cookie;
    node = folder;
  }
  if (!from.ok()) return nullptr;
  if (node == nullptr) {
    refuse_size(from);
    return nullptr;
  }
  from.check(!is_root || node == store_->root, "a root that is no directory");
  node->inode = inode;
  node->accessed_ns = accessed;
  node->modified_ns = modified;
  node->changed_ns = changed;
  return node;
}

// A directory lies in one that comes before it, which is in the tree: so there are no circles.
void MemoryKept::read_slots(base::Reader& from, const base::Take& take, const Nodes& nodes,
                            usize index) {
  auto& folder = static_cast<MemoryFolder&>(*nodes[index]);
  const u32 count = from.number<u32>();
  from.check(count == 0 || index == 0 || folder.parent != nullptr, "names in a removed directory");
  const u64 next_cookie = folder.next_cookie;
  u64 last = 0;
  for (u32 i = 0; from.ok() && i < count; ++i) {
    const u64 cookie = from.number<u64>();
    const std::string name = from.string(max_name);
    const u32 number = from.number<u32>();
    if (!from.check(cookie > last && cookie < next_cookie, "names in another order") ||
        !from.check(is_name(name), "a name that can't be") ||
        !from.check(folder.find(name) == nullptr, "a name twice") ||
        !from.check(number < nodes.size() && number != 0, "a name of nothing")) {
      return;
    }
    last = cookie;
    const std::shared_ptr<MemoryNode>& node = nodes[number];
    if (node->type == FileType::directory) {
      from.check(number > index && static_cast<MemoryFolder&>(*node).parent == nullptr,
                 "a directory that lies in several, or in itself");
    } else {
      from.check(node->links < most_links, "a file with more names than can be");
    }
    if (!from.ok() || !take(slot_bytes + name.size())) return;
    if (!store_->bytes.take(MemoryStore::name_cost(name))) return refuse_size(from);
    folder.add(cookie, name, node);
    if (node->type != FileType::directory) ++node->links;
  }
}

void MemoryKept::read(base::Reader& from, const base::Take& take) {
  const u64 next_inode = from.number<u64>();
  const u64 stream_end = from.number<u64>();
  const u32 count = from.number<u32>();
  from.check(next_inode - 1 < most_number, "a number that would wrap");
  from.check(count != 0, "no root");
  Nodes nodes;
  for (u32 i = 0; from.ok() && i < count; ++i) {
    std::shared_ptr<MemoryNode> node = read_node(from, take, i == 0);
    if (node == nullptr) return;
    from.check(node->inode - 1 < next_inode - 1, "a file's number that was never given");
    from.check(by_inode_.emplace(node->inode, node).second, "two files of one number");
    nodes.push_back(std::move(node));
  }
  struct Times {
    i64 modified_ns;
    i64 changed_ns;
  };
  for (usize i = 0; from.ok() && i < nodes.size(); ++i) {
    if (nodes[i]->type != FileType::directory) continue;
    auto& folder = static_cast<MemoryFolder&>(*nodes[i]);
    const Times times{folder.modified_ns, folder.changed_ns};
    read_slots(from, take, nodes, i);
    folder.modified_ns = times.modified_ns;
    folder.changed_ns = times.changed_ns;
    if (i != 0 && folder.parent == nullptr) folder.links = 0;
  }
  if (!from.ok()) return;
  store_->next_inode = next_inode;
  root_.set_stream_end(stream_end);
}

std::shared_ptr<cap::Object> MemoryKept::restore(cap::Kind kind, std::string_view description,
                                                 bool writable) {
  const bool is_file = kind == cap::Kind::file;
  std::array<std::string_view, 4> fields;
  if (is_file) {
    if (!split_fields(description, fields)) return nullptr;
  } else {
    std::array<std::string_view, 3> three;
    if (kind != cap::Kind::directory || !split_fields(description, three)) return nullptr;
    fields = {three[0], three[1], "", three[2]};
  }
  const auto inode = number_in<u64>(fields[1]);
  const auto number = number_in<u64>(fields[3]);
  if (!inode || !number || fields[0] != (is_file ? "f" : "d")) return nullptr;
  const auto found = by_inode_.find(*inode);
  const FileType type = is_file ? FileType::regular : FileType::directory;
  if (found == by_inode_.end() || found->second->type != type) return nullptr;
  if (!is_file) {
    auto folder = std::static_pointer_cast<MemoryFolder>(found->second);
    auto directory = std::make_shared<MemoryDirectory>(store_, std::move(folder));
    directory->set_stream_end(*number);
    return directory;
  }
  if (*number > most_number) return nullptr;
  const Access access{fields[2].find('r') != std::string_view::npos,
                      writable && fields[2].find('w') != std::string_view::npos};
  if (!access.read && !access.write) return nullptr;
  auto file = make_memory_file(store_, std::static_pointer_cast<MemoryBytes>(found->second), access,
                               fields[2].find('a') != std::string_view::npos);
  static_cast<void>(file->seek(static_cast<i64>(*number), 0));
  return file;
}

std::unique_ptr<Kept> MemoryDirectory::kept() {
  return std::make_unique<MemoryKept>(store_, *this);
}

}  // namespace atollvm::vfs
