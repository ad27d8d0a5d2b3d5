// Volumes from an attacker: a sound one with bytes changed as the input says. Whatever they are,
// there is a volume or a message, and all of it can be walked, read, changed and checked.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "stdlib/vfs/volume.hpp"

using namespace atollvm;

namespace {

constexpr vfs::Wait wait = vfs::Wait::allowed;

std::string scratch_path() {
  // In memory where there is such a folder: each volume is synced when it is closed.
  std::string folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  return folder + "/volume-fuzz-" + std::to_string(getpid());
}

void make_files(vfs::Directory& root) {
  std::vector<u8> bytes(150'000, 'x');
  for (int i = 0; i < 60; ++i) {
    const std::string name = (i % 3 == 0 ? "d/file" : "file") + std::to_string(i);
    static_cast<void>(root.make_directory("d", wait));
    auto opened = root.open(name, vfs::open_create, {true, true}, wait);
    auto& file = static_cast<vfs::File&>(*std::get<0>(opened));
    static_cast<void>(file.write(std::span(bytes).first(i == 7 ? 150'000 : 40), 0, {}, wait));
  }
  static_cast<void>(root.make_link("d/file3", "link", wait));
  static_cast<void>(root.link("file1", root, "hard", wait));
}

const std::string& sound_volume() {
  static const std::string bytes = [] {
    const std::string path = scratch_path();
    std::remove(path.c_str());
    if (!vfs::create_volume(path, u64{4} << 20).ok()) abort();
    make_files(*vfs::open_volume(path).value());
    std::ifstream in(path, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  }();
  return bytes;
}

void use(vfs::Directory& root, vfs::Directory& folder, u32 depth) {
  std::vector<u8> bytes(1 << 16);
  u32 calls = 0;
  for (u64 cookie = 0; calls < 20; ++calls) {
    const auto some = folder.list(cookie, 4096, wait);
    const auto* const entries = std::get_if<0>(&some);
    if (entries == nullptr || entries->empty()) break;
    for (const vfs::Entry& each : *entries) {
      if (each.name.empty() || each.name == "." || each.name == ".." ||
          each.name.find('/') != std::string::npos) {
        abort();
      }
      static_cast<void>(folder.stat(each.name, true, wait));
      auto opened = folder.open(each.name, 0, {true, false}, wait);
      const auto* const object = std::get_if<0>(&opened);
      if (object == nullptr) continue;
      if ((*object)->kind() == cap::Kind::directory) {
        if (depth < 3) use(root, static_cast<vfs::Directory&>(**object), depth + 1);
        continue;
      }
      auto& file = static_cast<vfs::File&>(**object);
      for (u64 at : {u64{0}, u64{65'536}, u64{1} << 43}) {
        static_cast<void>(file.read(bytes, at, wait));
      }
    }
    cookie = entries->back().next;
  }
  static_cast<void>(folder.rename("file1", root, "d/new", wait));
  static_cast<void>(folder.rename("d", root, "e", wait));
  static_cast<void>(folder.remove_file("file7", wait));
  static_cast<void>(folder.remove_file("hard", wait));
  static_cast<void>(folder.make_directory("made", wait));
  static_cast<void>(folder.remove_directory("made", wait));
  auto opened = folder.open("file8", vfs::open_create, {true, true}, wait);
  if (const auto* const object = std::get_if<0>(&opened)) {
    if ((*object)->kind() != cap::Kind::file) return;
    auto& file = static_cast<vfs::File&>(**object);
    static_cast<void>(file.write(bytes, 30, {}, wait));
    static_cast<void>(file.truncate(70, wait));
    static_cast<void>(file.allocate(0, 100'000, wait));
  }
}

}  // namespace

// Each 5 bytes: where, as three bytes with the lowest first, how often, and the byte to put there.
extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string bytes = sound_volume();
  for (usize i = 0; i + 5 <= size && i < 500; i += 5) {
    const usize at = (data[i] | usize{data[i + 1]} << 8 | usize{data[i + 2]} << 16) % bytes.size();
    for (usize n = 0; n <= data[i + 3] % 16u && at + n < bytes.size(); ++n) {
      bytes[at + n] = static_cast<char>(data[i + 4]);
    }
  }
  static const std::string path = scratch_path();
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  std::remove((path + "-wal").c_str());
  auto root = vfs::open_volume(path);
  if (!root.ok()) {
    if (root.error().message.empty()) abort();
    return 0;
  }
  use(**root, **root, 0);
  static_cast<void>(vfs::check_volume(**root));
  return 0;
}
