// WASI calls made on a process without any code: what a guest would do, one call at a time.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stdlib/vfs/copy_tree.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "stdlib/vfs/overlay.hpp"
#include "stdlib/vfs/volume.hpp"
#include "stdlib/wasi/descriptor.hpp"
#include "tests/support/files.hpp"
#include "tests/support/guest.hpp"

namespace atollvm::test {

using cap::Errno;

// Open files and so on of one guest, with a memory of 128 KiB.
struct WasiGuest : Guest {
  wasi::Edition edition;

  explicit WasiGuest(u32 handle_limit = 64, wasi::Edition which = wasi::Edition::snapshot_preview1)
      : Guest(handle_limit), edition(which) {
    functions = wasi::functions(environment, edition);
  }

  // Makes a call and waits for it: the errno.
  Errno operator()(std::string_view name, const std::vector<i64>& arguments = {}) {
    return static_cast<Errno>(Guest::operator()(name, arguments));
  }

  // Where things are in memory; results go to result_at.
  static constexpr u32 result_at = 64;
  static constexpr u32 vectors_at = 128;
  static constexpr u32 path_at = 1024;
  static constexpr u32 path2_at = 8192;
  static constexpr u32 data_at = 32768;
  static constexpr i64 end = memory_size;

  [[nodiscard]] u32 value() const { return number<u32>(result_at); }
  [[nodiscard]] u64 wide_value() const { return number<u64>(result_at); }
  template <class T>
  void set(u32 address, T number) const {
    memcpy(memory(address), &number, sizeof number);
  }
  // An array of iovecs or ciovecs at vectors_at.
  void vectors(std::initializer_list<std::pair<u32, u32>> buffers) const {
    u32 at = vectors_at;
    for (const auto& [address, size] : buffers) {
      set<u32>(at, address);
      set<u32>(at + 4, size);
      at += 8;
    }
  }

  i64 grant_directory(const std::shared_ptr<vfs::Directory>& granted_one, std::string name,
                      bool writable) {
    return insert(wasi::preopen(granted_one, std::move(name),
                                writable ? vfs::rights_read_write : vfs::rights_read_only));
  }
  i64 insert(cap::Capability capability) {
    const auto made = process->handles().insert(std::move(capability));
    REQUIRE(std::holds_alternative<cap::Handle>(made));
    return std::get<cap::Handle>(made);
  }

  struct Open {
    u32 oflags = 0;
    u64 base = 0;
    u64 inheriting = 0;
    u32 fdflags = 0;
    u32 dirflags = 0;
  };
  static constexpr u32 creat = 1;
  static constexpr u32 directory = 2;
  static constexpr u32 excl = 4;
  static constexpr u32 trunc = 8;
  static constexpr u32 follow = 1;

  Errno path_open(i64 dir, std::string_view path, Open how) {
    put(path_at, path);
    return (*this)("path_open", {dir, how.dirflags, path_at, static_cast<i64>(path.size()),
                                 how.oflags, static_cast<i64>(how.base),
                                 static_cast<i64>(how.inheriting), how.fdflags, result_at});
  }
  // The descriptor, or -errno.
  i64 open(i64 dir, std::string_view path, Open how) {
    const Errno error = path_open(dir, path, how);
    return error == Errno::success ? i64{value()} : -error;
  }
  // Calls with (fd, path).
  Errno path_call(std::string_view name, i64 dir, std::string_view path) {
    put(path_at, path);
    return (*this)(name, {dir, path_at, static_cast<i64>(path.size())});
  }
  Errno rename(i64 dir, std::string_view path, i64 to_dir, std::string_view to) {
    put(path_at, path);
    put(path2_at, to);
    return (*this)("path_rename", {dir, path_at, static_cast<i64>(path.size()), to_dir, path2_at,
                                   static_cast<i64>(to.size())});
  }
  Errno link(i64 dir, std::string_view path, i64 to_dir, std::string_view to, u32 flags = 0) {
    put(path_at, path);
    put(path2_at, to);
    return (*this)("path_link", {dir, flags, path_at, static_cast<i64>(path.size()), to_dir,
                                 path2_at, static_cast<i64>(to.size())});
  }
  Errno symlink(std::string_view target, i64 dir, std::string_view path) {
    put(path_at, target);
    put(path2_at, path);
    return (*this)("path_symlink", {path_at, static_cast<i64>(target.size()), dir, path2_at,
                                    static_cast<i64>(path.size())});
  }
  Errno stat(i64 dir, std::string_view path, u32 flags = 0) {
    put(path_at, path);
    return (*this)("path_filestat_get",
                   {dir, flags, path_at, static_cast<i64>(path.size()), data_at});
  }
  Errno set_times(i64 dir, std::string_view path, u64 accessed, u64 modified, u32 fstflags,
                  u32 flags = 0) {
    put(path_at, path);
    return (*this)("path_filestat_set_times",
                   {dir, flags, path_at, static_cast<i64>(path.size()), static_cast<i64>(accessed),
                    static_cast<i64>(modified), fstflags});
  }
  Errno readlink(i64 dir, std::string_view path, u32 size) {
    put(path_at, path);
    return (*this)("path_readlink",
                   {dir, path_at, static_cast<i64>(path.size()), data_at, size, result_at});
  }

  // Writes or reads by one buffer at data_at.
  Errno write(i64 fd, std::string_view bytes) {
    put(data_at, bytes);
    vectors({{data_at, static_cast<u32>(bytes.size())}});
    return (*this)("fd_write", {fd, vectors_at, 1, result_at});
  }
  Errno read(i64 fd, u32 size) {
    vectors({{data_at, size}});
    return (*this)("fd_read", {fd, vectors_at, 1, result_at});
  }
  // What the last read gave.
  [[nodiscard]] std::string read_text() const { return text(data_at, value()); }

  struct Stat {
    u8 type = 0;
    u32 flags = 0;
    u64 base = 0;
    u64 inheriting = 0;
  };
  Stat fdstat(i64 fd) {
    REQUIRE((*this)("fd_fdstat_get", {fd, data_at}) == Errno::success);
    return {number<u8>(data_at), number<u16>(data_at + 2), number<u64>(data_at + 8),
            number<u64>(data_at + 16)};
  }
};

// One with a directory to read and write at 3, and one only to read at 4, after three streams that
// give and take nothing.
struct WasiFiles : WasiGuest {
  ScratchDirectory scratch;
  i64 dir = 0;
  i64 readonly = 0;

  // The first is also the upper layer of an overlay of nothing, so that it is the overlay which
  // finds everything in it; or copied into a volume.
  enum class Kind : u8 { directory, overlay, volume };
  explicit WasiFiles(vfs::Resolver resolver = vfs::best_resolver(),
                     wasi::Edition which = wasi::Edition::snapshot_preview1,
                     Kind kind = Kind::directory)
      : WasiGuest(64, which) {
    std::filesystem::create_directories(scratch / "data/d/e");
    std::filesystem::create_directories(scratch / "readonly/d");
    put_text(scratch / "data/a", "hello");
    put_text(scratch / "data/d/e/f", "deep");
    put_text(scratch / "readonly/b", "fixed");
    put_text(scratch / "readonly/d/c", "fixed");
    put_text(scratch / "outside", "outside");
    for (int i = 0; i < 3; ++i) insert(wasi::stream(std::make_shared<host::Stream>(), i != 0));
    auto data = granted(scratch / "data", resolver);
    if (kind == Kind::overlay) data = vfs::make_overlay(vfs::make_memory({}), std::move(data));
    if (kind == Kind::volume) {
      REQUIRE(vfs::create_volume(scratch / "volume", u64{16} << 20).ok());
      const auto volume = vfs::open_volume(scratch / "volume");
      REQUIRE(volume.ok());
      REQUIRE(vfs::copy_tree(*data, ".", **volume, ".").ok());
      data = *volume;
    }
    dir = grant_directory(std::move(data), "/", true);
    readonly = grant_directory(granted(scratch / "readonly", resolver), "/ro", false);
  }

  // Nothing outside of `data` has changed.
  void check_unchanged() const {
    CHECK(text_of(scratch / "outside") == "outside");
    CHECK(text_of(scratch / "readonly/b") == "fixed");
    CHECK(text_of(scratch / "readonly/d/c") == "fixed");
    usize count = 0;
    for ([[maybe_unused]] const auto& each :
         std::filesystem::recursive_directory_iterator(scratch / "readonly")) {
      ++count;
    }
    CHECK(count == 3);
  }
};

}  // namespace atollvm::test
