// WASI's functions with whatever arguments, one after the other, as a guest that was written by
// nobody would make them: nothing crashes or hangs, and nothing outside is touched.
#include <algorithm>
#include <map>
#include <string>

#include "tests/support/entropy.hpp"
#include "tests/support/wasi_guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using Status = runtime::HostResult::Status;

namespace {

constexpr i64 end = WasiGuest::end;

// Numbers that mean something, and their neighbours.
i64 argument(Entropy& entropy) {
  static constexpr i64 numbers[] = {0,           1,          2,          3,          4,
                                    5,           6,          7,          8,          12,
                                    16,          24,         31,         32,         48,
                                    63,          64,         100,        128,        1024,
                                    1025,        4095,       4096,       8192,       8193,
                                    32768,       65535,      65536,      end - 64,   end - 8,
                                    end - 1,     end,        end + 1,    0x0fffffff, 0x1fffffff,
                                    0x7fffffff,  0x80000000, 0xfffffff8, 0xffffffff, INT64_MAX,
                                    INT64_MIN,   -1,         -2,         0x3fffffff, i64{1} << 40,
                                    i64{1} << 62};
  if (entropy.once_in(8)) return static_cast<i64>(entropy.bits());
  // Mostly the small ones: descriptors, flags, addresses of paths.
  const u32 among = entropy.once_in(3) ? std::size(numbers) : 12;
  return numbers[entropy.below(static_cast<u32>(among))];
}

// Paths and numbers all over the memory.
void scatter(WasiGuest& guest, Entropy& entropy) {
  static constexpr std::string_view paths[] = {
      "a",    "d",        "d/e/f",     "..",  "../outside", "../readonly/b",
      "/",    "/outside", "x",         "x/",  "x/../..",    "x/outside",
      "d/..", "d/../..",  "./a",       "y",   "y/a",        "d/e/../../../outside",
      "b",    "d/c",      "../data/a", "x/y", "../x",       "."};
  for (u32 at = 0; at < 16; ++at) {
    const std::string_view path = paths[entropy.below(std::size(paths))];
    memset(guest.memory(at * 64), 0, 32);
    guest.put(at * 64, path);
    guest.set<u32>(at * 64 + 32, static_cast<u32>(argument(entropy)));
    guest.set<u32>(at * 64 + 36, static_cast<u32>(argument(entropy)));
  }
}

// What the parameters of some functions are: d a descriptor, p a path (two of them), f lookupflags,
// o oflags and the like, g fdflags, v rights or times, a an address, s a size.
std::string_view roles_of(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> roles[] = {
      {"path_open", "dfpovvga"},
      {"path_create_directory", "dp"},
      {"path_remove_directory", "dp"},
      {"path_unlink_file", "dp"},
      {"path_filestat_get", "dfpa"},
      {"path_filestat_set_times", "dfpvvo"},
      {"path_link", "dfpdp"},
      {"path_readlink", "dpasa"},
      {"path_rename", "dpdp"},
      {"path_symlink", "pdp"},
      {"fd_readdir", "dasva"},
      {"fd_renumber", "dd"},
      {"fd_read", "daoa"},
      {"fd_write", "daoa"},
      {"fd_seek", "dvoa"},
      {"fd_filestat_get", "da"},
      {"fd_filestat_set_size", "ds"}};
  for (const auto& [function, text] : roles) {
    if (function == name) return text;
  }
  return {};
}

void fill_window(WasiGuest& guest, const runtime::HostFunction& function, Entropy& entropy) {
  const usize count = function.type.params.size();
  for (usize i = 0; i < count; ++i) guest.window[i] = static_cast<u64>(argument(entropy));
  if (entropy.once_in(4)) return;
  usize at = 0;
  for (const char role : roles_of(function.name)) {
    const bool leave = entropy.once_in(16);
    const u32 address = 64 * entropy.below(16);
    const usize length = guest.text(address, 32).find('\0');
    const u64 rights[] = {~u64{0}, 0, 2, 64, 66, ~u64{66}};
    u64 value = 0;
    switch (role) {
      case 'd':
        value = entropy.below(2) == 0 ? 3 : entropy.below(8);
        break;
      case 'p':
        value = address;
        break;
      case 'a':
        value = 8192 + address;  // not over the paths
        break;
      case 'f':
        value = entropy.below(2);
        break;
      case 'o':
        value = entropy.below(4) == 0 ? entropy.below(16) : entropy.below(2);
        break;
      case 'g':
        value = entropy.below(2) * 4;
        break;
      case 'v':
        value = rights[entropy.below(std::size(rights))];
        break;
      default:
        value = entropy.below(1000);
    }
    if (!leave) guest.window[at] = value;
    ++at;
    if (role == 'p' && !leave) guest.window[at] = std::min<usize>(length, 32);
    if (role == 'p') ++at;
  }
}

// True when the call succeeded.
bool make_call(WasiGuest& guest, const runtime::HostFunction& function, Entropy& entropy) {
  fill_window(guest, function, entropy);
  runtime::HostResult ended =
      guest.process->call_host({&function, &guest.process->instance(), 0}, guest.window);
  for (int turn = 0; ended.status == Status::pending; ++turn) {
    // Work in the pool ends; clocks may be years away.
    if (function.name == "poll_oneoff" && !guest.process->ready()) {
      guest.process->stop(runtime::Trap::interrupted);
      return false;
    }
    while (!guest.process->ready()) guest.loop.run_once(true);
    ended = guest.process->complete(guest.window);
    REQUIRE(turn < 10'000);
  }
  const bool known = ended.status == Status::value || ended.status == Status::exit;
  REQUIRE(known);
  if (ended.status == Status::exit) return true;
  REQUIRE(guest.window[0] <= 76);
  return guest.window[0] == 0;
}

// The directory to read and write. Not to fill the disk, no room in it can be taken in advance.
cap::Capability without_allocation(const WasiFiles& guest) {
  cap::Capability capability =
      wasi::preopen(granted(guest.scratch / "data"), "/", vfs::rights_read_write);
  wasi::descriptor_of(capability).inheriting &= ~wasi::right_fd_allocate;
  return capability;
}

}  // namespace

TEST_CASE("wasi: any arguments whatever") {
  std::map<std::string, u32> successes;
  for (const wasi::Edition edition : {wasi::Edition::snapshot_preview1, wasi::Edition::unstable}) {
    for (u64 seed = 0; seed < 20; ++seed) {
      CAPTURE(seed);
      WasiFiles guest(resolvers()[seed % resolvers().size()], edition);
      guest("fd_close", {guest.dir});
      REQUIRE(guest.insert(without_allocation(guest)) == guest.dir);
      const std::vector<u8> bytes = random_bytes(seed, 100'000);
      Entropy entropy(bytes);
      scatter(guest, entropy);
      while (!entropy.used_up()) {
        const u32 which = entropy.below(static_cast<u32>(guest.functions.size()));
        // Else there would soon be no descriptor left, or none with rights.
        const runtime::HostFunction& function = guest.functions[which];
        const bool takes_away = function.name == "fd_close" || function.name == "fd_renumber" ||
                                function.name == "fd_fdstat_set_rights";
        if (takes_away && !entropy.once_in(8)) continue;
        // Paths are what this is about.
        if (!function.name.starts_with("path_") && entropy.below(3) != 0) continue;
        if (make_call(guest, function, entropy)) ++successes[function.name];
        if (entropy.once_in(20)) scatter(guest, entropy);
        // Programs like these soon have nothing left: they get it back.
        if (entropy.once_in(20)) {
          guest.process->handles().insert(without_allocation(guest));
        }
      }
      guest.check_unchanged();
      // The directory itself, and what lies beside it.
      usize count = 0;
      for ([[maybe_unused]] const auto& each :
           std::filesystem::directory_iterator(guest.scratch.path())) {
        ++count;
      }
      CHECK(count == 3);
    }
  }
  // The functions were reached, not only their gates.
  for (const char* name : {"path_open", "path_rename", "path_symlink", "path_link", "fd_readdir",
                           "fd_renumber", "path_create_directory", "path_unlink_file"}) {
    CAPTURE(std::string(name));
    CHECK(successes[name] > 0);
  }
}
