// Which right each WASI call needs: all calls, with each right taken away.
#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using namespace atollvm::wasi;

namespace {

enum class On : u8 { directory, file };

// A call on a descriptor, which is its first parameter unless `handle` says where: what the
// descriptor must have, all of it, and one of `any`.
struct Row {
  const char* call;
  On on;
  Rights all;
  std::vector<i64> arguments;  // with 0 in place of the descriptor
  Rights any = 0;
  usize handle = 0;
};

constexpr i64 file_path = WasiGuest::path_at;  // "file"
constexpr i64 new_path = WasiGuest::path2_at;  // "new"
constexpr i64 vectors = WasiGuest::vectors_at;
constexpr i64 to = WasiGuest::data_at;
constexpr i64 result = WasiGuest::result_at;

const Row rows[] = {
    {"fd_read", On::file, right_fd_read, {0, vectors, 1, result}},
    {"fd_write", On::file, right_fd_write, {0, vectors, 1, result}},
    {"fd_pread", On::file, right_fd_read | right_fd_seek, {0, vectors, 1, 0, result}},
    {"fd_pwrite", On::file, right_fd_write | right_fd_seek, {0, vectors, 1, 0, result}},
    {"fd_seek", On::file, right_fd_seek, {0, 1, 0, result}},
    {"fd_seek", On::file, 0, {0, 0, 1, result}, right_fd_seek | right_fd_tell},
    {"fd_tell", On::file, 0, {0, result}, right_fd_seek | right_fd_tell},
    {"fd_fdstat_set_flags", On::file, right_fd_fdstat_set_flags, {0, 0}},
    {"fd_filestat_get", On::file, right_fd_filestat_get, {0, to}},
    {"fd_filestat_get", On::directory, right_fd_filestat_get, {0, to}},
    {"fd_filestat_set_size", On::file, right_fd_filestat_set_size, {0, 10}},
    {"fd_filestat_set_times", On::file, right_fd_filestat_set_times, {0, 0, 0, 0}},
    {"fd_filestat_set_times", On::directory, right_fd_filestat_set_times, {0, 0, 0, 0}},
    {"fd_advise", On::file, right_fd_advise, {0, 0, 0, 0}},
    {"fd_allocate", On::file, right_fd_allocate, {0, 0, 1}},
    {"fd_datasync", On::file, right_fd_datasync, {0}},
    {"fd_sync", On::file, right_fd_sync, {0}},
    {"fd_sync", On::directory, right_fd_sync, {0}},
    {"fd_readdir", On::directory, right_fd_readdir, {0, to, 1000, 0, result}},
    {"path_open", On::directory, right_path_open, {0, 0, file_path, 4, 0, 0, 0, 0, result}},
    {"path_open",
     On::directory,
     right_path_open | right_path_create_file,
     {0, 0, new_path, 3, WasiGuest::creat, 0, 0, 0, result}},
    {"path_open",
     On::directory,
     right_path_open | right_path_filestat_set_size,
     {0, 0, file_path, 4, WasiGuest::trunc, 0, 0, 0, result}},
    {"path_create_directory", On::directory, right_path_create_directory, {0, new_path, 3}},
    {"path_filestat_get", On::directory, right_path_filestat_get, {0, 0, file_path, 4, to}},
    {"path_filestat_set_times",
     On::directory,
     right_path_filestat_set_times,
     {0, 0, file_path, 4, 0, 0, 0}},
    {"path_readlink", On::directory, right_path_readlink, {0, file_path, 4, to, 10, result}},
    {"path_remove_directory", On::directory, right_path_remove_directory, {0, file_path, 4}},
    {"path_unlink_file", On::directory, right_path_unlink_file, {0, file_path, 4}},
    {"path_symlink", On::directory, right_path_symlink, {file_path, 4, 0, new_path, 3}, 0, 2},
};

struct RightsGuest : WasiGuest {
  i64 root = grant_directory(vfs::make_memory({}), "/", true);

  // What the call gives on a new descriptor with these base rights, set as a guest does.
  Errno made(const Row& row, Rights base) {
    put(path_at, "file");
    put(path2_at, "new");
    const i64 file = open(root, "file", {creat, rights_inheritable(), 0});
    REQUIRE(file >= 0);
    const i64 folder =
        open(root, ".", {directory, rights_on(cap::Kind::directory), rights_inheritable()});
    REQUIRE(folder >= 0);
    const i64 handle = row.on == On::file ? file : folder;
    const i64 inheriting = row.on == On::file ? 0 : static_cast<i64>(rights_inheritable());
    base &= rights_on(row.on == On::file ? cap::Kind::file : cap::Kind::directory);
    REQUIRE((*this)("fd_fdstat_set_rights", {handle, static_cast<i64>(base), inheriting}) ==
            Errno::success);
    // None comes back.
    CHECK((*this)("fd_fdstat_set_rights", {handle, static_cast<i64>(base | right_sock_accept),
                                           inheriting}) == Errno::notcapable);
    vectors({{data_at, 1}});
    put(path_at, "file");
    put(path2_at, "new");
    std::vector<i64> arguments = row.arguments;
    arguments[row.handle] = handle;
    const Errno error = (*this)(row.call, arguments);
    if (error == Errno::success && std::string_view(row.call) == "path_open") {
      CHECK((*this)("fd_close", {value()}) == Errno::success);
    }
    CHECK((*this)("fd_close", {file}) == Errno::success);
    CHECK((*this)("fd_close", {folder}) == Errno::success);
    static_cast<void>(path_call("path_unlink_file", root, "new"));
    static_cast<void>(path_call("path_remove_directory", root, "new"));
    return error;
  }
};

}  // namespace

TEST_CASE("wasi: each call needs its rights and no others") {
  RightsGuest guest;
  for (const Row& row : rows) {
    CAPTURE(std::string(row.call));
    CAPTURE(row.all);
    const auto allows = [&row](Rights base) {
      return (base & row.all) == row.all && (row.any == 0 || (base & row.any) != 0);
    };
    std::vector<Rights> sets = {~Rights{0}, 0, row.all, row.all | row.any};
    for (u32 bit = 0; bit < 30; ++bit) {
      const Rights one = Rights{1} << bit;
      sets.push_back(~one);
      sets.push_back(one);
      sets.push_back(row.all | one);
      sets.push_back((row.all | row.any) & ~one);
    }
    for (const Rights base : sets) {
      CAPTURE(base);
      CHECK((guest.made(row, base) == Errno::notcapable) == !allows(base));
    }
  }
}
