// Archives from an attacker: whatever they say, there is a tree or a message, in bounded memory,
// and all of the tree can be walked and read.
#include <cstdlib>
#include <string>
#include <vector>

#include "stdlib/vfs/archive_library.hpp"

using namespace atollvm;

namespace {

constexpr u32 most_reads = 100;  // of a file: holes can be large

void read_all(vfs::Directory& folder, const std::string& name) {
  auto opened = folder.open(name, vfs::open_nofollow, {true, false}, vfs::Wait::allowed);
  const auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
  if (object == nullptr || (*object)->kind() != cap::Kind::file) return;
  auto& file = static_cast<vfs::File&>(**object);
  std::vector<u8> bytes(1 << 16);
  u64 done = 0;
  for (u32 i = 0; i < most_reads; ++i) {
    const auto size = file.read(bytes, std::nullopt, vfs::Wait::allowed);
    const u32* const some = std::get_if<u32>(&size);
    if (some == nullptr) return;
    done += *some;
    if (*some == 0) {
      // The end is where the file's size says.
      const auto stat = file.stat(vfs::Wait::allowed);
      if (std::get<vfs::Stat>(stat).size != done) abort();
      return;
    }
  }
}

void walk_all(const std::shared_ptr<vfs::Directory>& root) {
  std::vector<std::shared_ptr<vfs::Directory>> left{root};
  while (!left.empty()) {
    const auto folder = std::move(left.back());
    left.pop_back();
    for (u64 cookie = 0;;) {
      const auto some = folder->list(cookie, 1 << 16, vfs::Wait::allowed);
      const auto& entries = std::get<std::vector<vfs::Entry>>(some);
      if (entries.empty()) break;
      for (const vfs::Entry& each : entries) {
        if (each.name.empty() || each.name == "." || each.name == ".." ||
            each.name.find('/') != std::string::npos) {
          abort();
        }
        static_cast<void>(folder->stat(each.name, true, vfs::Wait::allowed));
        read_all(*folder, each.name);
        if (each.type != vfs::FileType::directory) continue;
        auto inner = folder->open(each.name, vfs::open_directory, {}, vfs::Wait::allowed);
        left.push_back(std::static_pointer_cast<vfs::Directory>(
            std::get<std::shared_ptr<cap::Object>>(inner)));
      }
      cookie = entries.back().next;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (!vfs::load_archives().ok()) return 0;
  auto bytes = std::make_shared<vfs::UnpackedBytes>();
  bytes->append({data, size});
  auto tree = vfs::read_archive(std::move(bytes), "fuzz", {u64{1} << 22, 2000});
  if (!tree.ok()) {
    if (tree.error().place != "fuzz" || tree.error().message.empty()) abort();
    return 0;
  }
  walk_all(vfs::make_archive(*std::move(tree)));
  return 0;
}
