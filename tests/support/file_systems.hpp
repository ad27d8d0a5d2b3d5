// The file systems that there are, for tests of what each of them promises.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/volume.hpp"
#include "tests/support/files.hpp"

namespace atollvm::test {

using vfs::Directory;
using vfs::Wait;
using Opened = vfs::Outcome<std::shared_ptr<cap::Object>>;

inline constexpr vfs::Access reading{true, false};
inline constexpr vfs::Access writing{false, true};
inline constexpr vfs::Access both{true, true};

// Makes a call as host calls do: without waiting, and again when that does not do.
template <class Call>
auto attempt(const Call& call) {
  auto outcome = call(Wait::never);
  const auto is_again = [](const auto& each) {
    if constexpr (std::is_same_v<decltype(outcome), cap::Errno>) {
      return each == cap::Errno::again;
    } else {
      return error_of(each) == cap::Errno::again;
    }
  };
  if (is_again(outcome)) outcome = call(Wait::allowed);
  CHECK(!is_again(outcome));
  return outcome;
}

// A directory, called in that way.
class Root {
 public:
  explicit Root(std::shared_ptr<Directory> directory) : directory_(std::move(directory)) {}

  [[nodiscard]] Opened open(std::string_view path, u32 flags, vfs::Access access) const {
    return attempt([&](Wait wait) { return directory_->open(path, flags, access, wait); });
  }
  [[nodiscard]] vfs::Outcome<vfs::Stat> stat(std::string_view path, bool follow = true) const {
    return attempt([&](Wait wait) { return directory_->stat(path, follow, wait); });
  }
  [[nodiscard]] cap::Errno times(std::string_view path, bool follow, const vfs::Times& to) const {
    return attempt([&](Wait wait) { return directory_->set_times(path, follow, to, wait); });
  }
  [[nodiscard]] vfs::Outcome<std::vector<vfs::Entry>> list(u64 cookie, u32 bytes = 4096) const {
    return attempt([&](Wait wait) { return directory_->list(cookie, bytes, wait); });
  }
  [[nodiscard]] cap::Errno mkdir(std::string_view path) const {
    return attempt([&](Wait wait) { return directory_->make_directory(path, wait); });
  }
  [[nodiscard]] cap::Errno remove(std::string_view path) const {
    return attempt([&](Wait wait) { return directory_->remove_file(path, wait); });
  }
  [[nodiscard]] cap::Errno rmdir(std::string_view path) const {
    return attempt([&](Wait wait) { return directory_->remove_directory(path, wait); });
  }
  [[nodiscard]] cap::Errno rename(std::string_view path, const Root& to,
                                  std::string_view to_path) const {
    return attempt(
        [&](Wait wait) { return directory_->rename(path, *to.directory_, to_path, wait); });
  }
  [[nodiscard]] cap::Errno rename(std::string_view path, std::string_view to_path) const {
    return rename(path, *this, to_path);
  }
  [[nodiscard]] cap::Errno link(std::string_view path, const Root& to,
                                std::string_view to_path) const {
    return attempt(
        [&](Wait wait) { return directory_->link(path, *to.directory_, to_path, wait); });
  }
  [[nodiscard]] cap::Errno link(std::string_view path, std::string_view to_path) const {
    return link(path, *this, to_path);
  }
  [[nodiscard]] cap::Errno make_link(std::string_view target, std::string_view path) const {
    return attempt([&](Wait wait) { return directory_->make_link(target, path, wait); });
  }
  [[nodiscard]] vfs::Outcome<std::string> read_link(std::string_view path) const {
    return attempt([&](Wait wait) { return directory_->read_link(path, wait); });
  }
  [[nodiscard]] cap::Errno sync() const {
    return attempt([&](Wait wait) { return directory_->sync(wait); });
  }

  [[nodiscard]] std::shared_ptr<vfs::File> file(std::string_view path, u32 flags,
                                                vfs::Access access) const {
    const Opened opened = open(path, flags, access);
    REQUIRE(error_of(opened) == cap::Errno::success);
    auto object = std::get<std::shared_ptr<cap::Object>>(opened);
    REQUIRE(object->kind() == cap::Kind::file);
    return std::static_pointer_cast<vfs::File>(object);
  }
  [[nodiscard]] Root directory(std::string_view path) const {
    const Opened opened = open(path, vfs::open_directory, {});
    REQUIRE(error_of(opened) == cap::Errno::success);
    auto object = std::get<std::shared_ptr<cap::Object>>(opened);
    REQUIRE(object->kind() == cap::Kind::directory);
    return Root(std::static_pointer_cast<Directory>(object));
  }
  void put(std::string_view path, std::string_view text) const;
  // What a file holds; "error N" when it can't be opened.
  [[nodiscard]] std::string text(std::string_view path) const;
  // The names, in their order, with so many bytes a call.
  [[nodiscard]] std::vector<std::string> names(u32 bytes = 4096) const;
  [[nodiscard]] vfs::Stat status(std::string_view path, bool follow = true) const {
    const auto found = stat(path, follow);
    REQUIRE(error_of(found) == cap::Errno::success);
    return std::get<vfs::Stat>(found);
  }
  [[nodiscard]] Directory& operator*() const { return *directory_; }
  [[nodiscard]] const std::shared_ptr<Directory>& object() const { return directory_; }

 private:
  std::shared_ptr<Directory> directory_;
};

inline u32 write_at(vfs::File& file, std::string_view text, std::optional<u64> at,
                    vfs::WriteMode mode = {}) {
  const std::span bytes(reinterpret_cast<const u8*>(text.data()), text.size());
  const auto size = attempt([&](Wait wait) { return file.write(bytes, at, mode, wait); });
  REQUIRE(error_of(size) == cap::Errno::success);
  return std::get<u32>(size);
}
inline cap::Errno write_error(vfs::File& file, std::string_view text, std::optional<u64> at) {
  const std::span bytes(reinterpret_cast<const u8*>(text.data()), text.size());
  return error_of(attempt([&](Wait wait) { return file.write(bytes, at, {}, wait); }));
}
inline vfs::Outcome<u32> read_into(vfs::File& file, std::span<u8> to, std::optional<u64> at) {
  return attempt([&](Wait wait) { return file.read(to, at, wait); });
}
inline std::string read_text(vfs::File& file, std::optional<u64> at, usize most = 100) {
  std::vector<u8> bytes(most);
  const auto size = read_into(file, bytes, at);
  REQUIRE(error_of(size) == cap::Errno::success);
  return {bytes.begin(), bytes.begin() + std::get<u32>(size)};
}

inline void Root::put(std::string_view path, std::string_view text) const {
  const auto made = file(path, vfs::open_create | vfs::open_truncate, writing);
  REQUIRE(write_at(*made, text, std::nullopt) == text.size());
}
inline std::string Root::text(std::string_view path) const {
  const Opened opened = open(path, 0, reading);
  if (const auto error = error_of(opened); error != cap::Errno::success) {
    return "error " + std::to_string(static_cast<int>(error));
  }
  auto object = std::get<std::shared_ptr<cap::Object>>(opened);
  if (object->kind() != cap::Kind::file) return "a directory";
  return read_text(static_cast<vfs::File&>(*object), 0, 4096);
}
inline std::vector<std::string> Root::names(u32 bytes) const {
  std::vector<std::string> names;
  for (u64 cookie = 0;;) {
    const auto some = list(cookie, bytes);
    REQUIRE(error_of(some) == cap::Errno::success);
    const auto& entries = std::get<std::vector<vfs::Entry>>(some);
    if (entries.empty()) return names;
    for (const vfs::Entry& each : entries) names.push_back(each.name);
    cookie = entries.back().next;
  }
}
inline std::vector<std::string> sorted_names(const Root& root, u32 bytes = 4096) {
  std::vector<std::string> names = root.names(bytes);
  std::sort(names.begin(), names.end());
  return names;
}

// Whether and how a test's first files come to be below what it then works on.
using Setup = std::function<void(const Root&)>;
struct FileSystem {
  const char* name;
  // An empty one; `scratch` is a folder of the host for whatever it needs.
  std::shared_ptr<Directory> (*make)(const ScratchDirectory& scratch);
  // Where setup is made, if not in what make() gives; it is called before that.
  std::shared_ptr<Directory> (*lower)(const ScratchDirectory& scratch) = nullptr;
};

inline std::shared_ptr<Directory> in_folder(const ScratchDirectory& scratch, const char* name,
                                            vfs::Resolver resolver = vfs::best_resolver()) {
  std::filesystem::create_directories(scratch / name);
  return granted(scratch / name, resolver);
}

// A tar archive of what is in a folder, as `options` of tar say.
inline void make_tar(const std::string& folder, const std::string& archive,
                     const std::string& options = "--format=pax") {
  const std::string command = "tar " + options + " -C " + folder + " -cf " + archive + " .";
  REQUIRE(std::system(command.c_str()) == 0);
}
// What is in the folder "lower", from a new archive of it.
inline std::shared_ptr<Directory> in_archive(const ScratchDirectory& scratch,
                                             const std::string& options) {
  in_folder(scratch, "lower");
  make_tar(scratch / "lower", scratch / "archive", options);
  auto opened = vfs::open_archive(scratch / "archive", {});
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text()));
  return *opened;
}

inline std::shared_ptr<Directory> in_volume(const ScratchDirectory& scratch,
                                            const char* name = "volume") {
  const std::string path = scratch / name;
  if (!std::filesystem::exists(path)) REQUIRE(vfs::create_volume(path, u64{256} << 20).ok());
  auto opened = vfs::open_volume(path);
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text()));
  return *opened;
}

inline const FileSystem file_systems[] = {
    {"host directory", [](const ScratchDirectory& at) { return in_folder(at, "data"); }},
    {"host directory, by walking",
     [](const ScratchDirectory& at) { return in_folder(at, "data", vfs::Resolver::walk); }},
    {"memory", [](const ScratchDirectory&) { return vfs::make_memory({}); }},
    {"overlay of an empty directory",
     [](const ScratchDirectory& at) {
       return vfs::make_overlay(in_folder(at, "lower"), vfs::make_memory({}));
     }},
    {"overlay of the first files in a host directory",
     [](const ScratchDirectory& at) {
       return vfs::make_overlay(in_folder(at, "lower"), vfs::make_memory({}));
     },
     [](const ScratchDirectory& at) { return in_folder(at, "lower"); }},
    {"overlay that keeps its changes in a host directory",
     [](const ScratchDirectory& at) {
       return vfs::make_overlay(in_folder(at, "lower"), in_folder(at, "upper"));
     },
     [](const ScratchDirectory& at) { return in_folder(at, "lower"); }},
    {"volume", [](const ScratchDirectory& at) { return in_volume(at); }},
    {"overlay of the first files in a volume",
     [](const ScratchDirectory& at) {
       return vfs::make_overlay(in_volume(at), vfs::make_memory({}));
     },
     [](const ScratchDirectory& at) { return in_volume(at); }},
};

// Where there is a libarchive.
inline const FileSystem file_systems_of_archives[] = {
    {"overlay of the first files in an archive",
     [](const ScratchDirectory& at) {
       return vfs::make_overlay(in_archive(at, "--format=pax"), vfs::make_memory({}));
     },
     [](const ScratchDirectory& at) { return in_folder(at, "lower"); }},
};
inline const FileSystem file_systems_to_read[] = {
    {"archive", [](const ScratchDirectory& at) { return in_archive(at, "--format=pax"); },
     [](const ScratchDirectory& at) { return in_folder(at, "lower"); }},
    {"packed archive", [](const ScratchDirectory& at) { return in_archive(at, "--format=gnu -z"); },
     [](const ScratchDirectory& at) { return in_folder(at, "lower"); }},
};

inline void on_all(std::span<const FileSystem> all, const Setup& setup,
                   const std::function<void(const Root&)>& test) {
  for (const FileSystem& each : all) {
    CAPTURE(std::string(each.name));
    const ScratchDirectory scratch;
    if (each.lower != nullptr) {
      setup(Root(each.lower(scratch)));
      test(Root(each.make(scratch)));
    } else {
      const Root root(each.make(scratch));
      setup(root);
      test(root);
    }
  }
}
// Runs a test on each that can be written to.
inline void on_each(const Setup& setup, const std::function<void(const Root&)>& test) {
  on_all(file_systems, setup, test);
  if (vfs::load_archives().ok()) on_all(file_systems_of_archives, setup, test);
}
// A test that only reads: on all.
inline void on_each_to_read(const Setup& setup, const std::function<void(const Root&)>& test) {
  on_each(setup, test);
  if (vfs::load_archives().ok()) on_all(file_systems_to_read, setup, test);
}
inline void on_each(const std::function<void(const Root&)>& test) {
  on_each([](const Root&) {}, test);
}

}  // namespace atollvm::test
