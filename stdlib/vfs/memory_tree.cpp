#include "stdlib/vfs/memory_tree.hpp"

#include <time.h>

#include <utility>
#include <vector>

#include "stdlib/vfs/path.hpp"

namespace atollvm::vfs {
namespace {

// The kernel's own file systems take this clock for their times, too.
i64 coarse_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return i64{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// What the node itself cost, without its name and pages.
void give_back(MemoryNode& node, u64 amount) { node.store.bytes.give(amount); }

}  // namespace

u64 next_device() {
  static std::atomic<u64> next{u64{1} << 63};
  return next.fetch_add(1, std::memory_order_relaxed);
}

MemoryNode::MemoryNode(MemoryStore& owner, FileType kind)
    : store(owner),
      inode(owner.next_inode.fetch_add(1, std::memory_order_relaxed)),
      type(kind),
      accessed_ns(coarse_now()),
      modified_ns(accessed_ns),
      changed_ns(accessed_ns) {}

MemoryNode::~MemoryNode() {
  give_back(*this, MemoryStore::node_cost);
  store.inodes.give(1);
}

void MemoryNode::touch_accessed() { accessed_ns = coarse_now(); }
void MemoryNode::touch_changed() { changed_ns = coarse_now(); }
void MemoryNode::touch_modified() { modified_ns = changed_ns = coarse_now(); }

MemoryBytes::MemoryBytes(MemoryStore& owner)
    : MemoryNode(owner, FileType::regular), pages(owner.bytes) {}

MemoryLink::MemoryLink(MemoryStore& owner, std::string_view text)
    : MemoryNode(owner, FileType::link), target(text) {}
MemoryLink::~MemoryLink() { give_back(*this, target.size()); }

MemoryFolder::MemoryFolder(MemoryStore& owner) : MemoryNode(owner, FileType::directory) {
  links = 2;
}

MemoryFolder::Slot* MemoryFolder::find(std::string_view name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &slots.find(found->second)->second;
}

void MemoryFolder::add(std::string_view name, std::shared_ptr<MemoryNode> node) {
  add(next_cookie++, name, std::move(node));
}

void MemoryFolder::add(u64 cookie, std::string_view name, std::shared_ptr<MemoryNode> node) {
  if (node->type == FileType::directory) {
    static_cast<MemoryFolder&>(*node).parent = this;
    ++links;
  }
  const Slot& slot = slots.emplace(cookie, Slot{std::string(name), std::move(node)}).first->second;
  by_name_.emplace(slot.name, cookie);
  touch_modified();
}

u64 MemoryFolder::remove(std::string_view name) {
  const auto found = by_name_.find(name);
  const u64 cookie = found->second;
  by_name_.erase(found);
  const auto slot = slots.find(cookie);
  if (slot->second.node->type == FileType::directory) --links;
  slots.erase(slot);
  touch_modified();
  return cookie;
}

MemoryStore::MemoryStore(const MemoryLimits& limits)
    : bytes(limits.bytes), inodes(limits.inodes), device(next_device()) {}

// Trees can be deep: no destructor goes down in them.
MemoryStore::~MemoryStore() {
  std::vector<std::shared_ptr<MemoryNode>> left{std::move(root)};
  while (!left.empty()) {
    const std::shared_ptr<MemoryNode> node = std::move(left.back());
    left.pop_back();
    if (node == nullptr || node->type != FileType::directory) continue;
    auto& folder = static_cast<MemoryFolder&>(*node);
    for (auto& [cookie, slot] : folder.slots) left.push_back(std::move(slot.node));
  }
}

Outcome<MemoryPlace> find_in_memory(MemoryFolder& start, std::string_view path, bool follow) {
  if (const Errno error = check_path(path); error != Errno::success) return error;
  Names names(path);
  std::vector<MemoryFolder*> way{&start};  // from the start to here
  while (true) {
    Outcome<std::string> next = names.next();
    if (const Errno* error = std::get_if<Errno>(&next)) return *error;
    std::string& name = std::get<std::string>(next);
    const bool last = names.empty();
    MemoryFolder& here = *way.back();
    MemoryPlace place;
    place.must_be_directory = names.must_be_directory();
    if (name == "..") way.pop_back();
    if (way.empty()) return Errno::notcapable;
    if (name == "." || name == "..") {
      if (!last) continue;
      place.node = way.back()->shared_from_this();
      return place;
    }
    if (here.links == 0) return Errno::noent;
    MemoryFolder::Slot* const slot = here.find(name);
    const std::shared_ptr<MemoryNode> node = slot == nullptr ? nullptr : slot->node;
    if (node == nullptr && !last) return Errno::noent;
    if (node != nullptr && node->type == FileType::link &&
        (!last || follow || place.must_be_directory)) {
      const Errno error = names.follow(static_cast<MemoryLink&>(*node).target);
      if (error != Errno::success) return error;
      continue;
    }
    if (last) {
      if (node != nullptr && place.must_be_directory && node->type != FileType::directory) {
        return Errno::notdir;
      }
      place.folder = &here;
      place.name = std::move(name);
      place.node = node;
      return place;
    }
    if (node->type != FileType::directory) return Errno::notdir;
    way.push_back(static_cast<MemoryFolder*>(node.get()));
  }
}

Stat stat_of(MemoryNode& node) {
  std::unique_lock<std::mutex> lock;
  Stat stat;
  if (node.type == FileType::regular) {
    auto& bytes = static_cast<MemoryBytes&>(node);
    lock = std::unique_lock(bytes.mutex);
    stat.size = bytes.pages.size();
  } else if (node.type == FileType::link) {
    stat.size = static_cast<MemoryLink&>(node).target.size();
  }
  stat.device = node.store.device;
  stat.inode = node.inode;
  stat.type = node.type;
  stat.links = node.links;
  stat.accessed_ns = node.accessed_ns;
  stat.modified_ns = node.modified_ns;
  stat.changed_ns = node.changed_ns;
  return stat;
}

void set_times_of(MemoryNode& node, const Times& times) {
  std::unique_lock<std::mutex> lock;
  if (node.type == FileType::regular) {
    lock = std::unique_lock(static_cast<MemoryBytes&>(node).mutex);
  }
  const i64 now = coarse_now();
  if (times.accessed_ns) node.accessed_ns = *times.accessed_ns;
  if (times.modified_ns) node.modified_ns = *times.modified_ns;
  if (times.accessed_now) node.accessed_ns = now;
  if (times.modified_now) node.modified_ns = now;
  node.changed_ns = now;
}

}  // namespace atollvm::vfs
