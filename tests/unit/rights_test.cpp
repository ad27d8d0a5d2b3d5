// Which right each host call needs: all calls with all sets of rights that lack one.
#include <sys/stat.h>

#include "stdlib/host/socket.hpp"
#include "stdlib/vfs/memory.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "tests/support/files.hpp"
#include "tests/support/guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using cap::Rights;

namespace {

constexpr i64 path_at = 1024;
constexpr i64 to_at = 2048;
constexpr i64 data_at = 32768;

enum class On : u8 {
  name_space,
  directory,
  file,
  revoker,
  network,
  listener,
  connection,
  datagrams
};

// A call on a handle, and the rights that this one must have: each of `all`, and one of `any`.
struct Row {
  const char* call;
  On on;
  Rights all;
  std::vector<i64> more;  // arguments behind the handle
  Rights any = 0;
};

std::vector<Row> rows() {
  using namespace cap;
  std::vector<Row> all = {
      {"read", On::file, right_read, {data_at, 1}},
      {"write", On::file, 0, {data_at, 1}, right_write | right_append},
      {"pread", On::file, right_read, {data_at, 1, 0}},
      {"map_file", On::file, right_read, {65536, 1, 0}},
      {"pwrite", On::file, right_write, {data_at, 1, 0}},
      {"seek", On::file, 0, {0, 0}},
      {"truncate", On::file, right_truncate, {10}},
      {"sync", On::file, right_sync, {}},
      {"sync", On::directory, right_sync, {}},
      {"stat", On::file, right_stat, {data_at}},
      {"stat", On::directory, right_stat, {data_at}},
      {"set_times", On::file, right_times, {0, 0}},
      {"set_times", On::directory, right_times, {0, 0}},
      {"read_dir", On::directory, right_list, {0, data_at, 1000}},
      {"revoke", On::revoker, right_revoke, {}},
      {"name_space_hide", On::name_space, 0, {path_at, 4}},
      {"name_space_attenuate", On::name_space, 0, {path_at, 4, 0}},
      {"module_open", On::file, right_load, {data_at, 10}},
      {"lock", On::file, right_lock, {1, 0, 0, 0}},
      {"tcp_connect", On::network, right_connect, {path_at, 4, 1, 0}},
      {"tcp_listen", On::network, right_listen, {path_at, 4, 1, 0}},
      {"udp_open", On::network, right_datagrams, {path_at, 4, 1}},
      {"host_lookup", On::network, right_resolve, {path_at, 4, data_at, 1, 0}},
      {"tcp_accept", On::listener, right_accept, {0, 0}},
      {"socket_address", On::listener, right_stat, {0, data_at}},
      {"socket_address", On::datagrams, right_stat, {0, data_at}},
      {"socket_address", On::connection, right_stat, {0, data_at}},
      {"socket_shutdown", On::connection, right_read, {1}},
      {"socket_shutdown", On::connection, right_write, {2}},
      {"socket_shutdown", On::connection, right_read | right_write, {3}},
      {"socket_option", On::connection, right_option, {1, 1}},
      {"socket_option", On::datagrams, right_option, {3, 1}},
      {"socket_option_get", On::connection, right_stat, {1}},
      {"socket_option_get", On::listener, right_stat, {1}},
      {"socket_option_get", On::datagrams, right_stat, {3}},
      {"socket_open", On::network, right_datagrams, {5, 2}},
      {"socket_open", On::network, 0, {5, 1}, right_connect | right_listen},
      {"socket_bind", On::connection, right_listen, {to_at}},
      {"socket_bind", On::datagrams, right_datagrams, {to_at}},
      {"socket_listen", On::connection, right_listen, {1}},
      {"socket_connect", On::connection, right_connect, {to_at, path_at, 0, 0}},
      {"socket_connect", On::datagrams, right_write, {to_at, path_at, 0, 0}},
      {"tcp_accept", On::connection, right_accept, {0, 0}},
      {"read_within", On::connection, right_read, {data_at, 1, 0}},
      {"write_within", On::connection, right_write, {data_at, 1, 0}},
      {"udp_send", On::datagrams, right_write, {data_at, 1, to_at}},
      {"udp_receive", On::datagrams, right_read, {data_at, 1, 0, 0}},
  };
  for (const On on : {On::name_space, On::directory}) {
    const auto add = [&](const char* call, Rights needed, std::vector<i64> more) {
      more.insert(more.begin(), {path_at, 4});
      all.push_back({call, on, needed, std::move(more)});
    };
    for (const Rights right : {right_read, right_write, right_append, right_stat, right_truncate,
                               right_times, right_sync, right_list, right_link, right_remove,
                               right_create, right_open, right_load, right_lock}) {
      add("open", right_open | right, {0, right});
    }
    add("open", right_open | right_create, {vfs::open_create, 0});
    add("open", right_open | right_truncate, {vfs::open_truncate, 0});
    add("stat_at", right_stat, {0, data_at});
    add("set_times_at", right_times, {0, 0, 0});
    add("watch_at", right_list | right_open, {});
    add("mkdir_at", right_create, {});
    add("remove_at", right_remove, {});
    add("rmdir_at", right_remove, {});
    add("symlink_at", right_create | right_link, {to_at, 2});
    add("read_link_at", right_stat, {data_at, 100});
  }
  return all;
}

struct RightsGuest : Guest {
  std::shared_ptr<vfs::NameSpace> names = std::make_shared<vfs::NameSpace>();
  std::shared_ptr<vfs::Directory> directory = vfs::make_memory({});
  std::shared_ptr<net::Network> network =
      std::make_shared<net::Network>(*net::Rules::parse("connections=4"));

  RightsGuest() {
    REQUIRE(names->mount("/", directory, cap::rights_all).ok());
    put(path_at, "file");
    put(to_at, "to");
  }
  std::shared_ptr<cap::Object> object(On on) {
    switch (on) {
      case On::name_space:
        return names;
      case On::directory:
        return directory;
      case On::revoker:
        return std::make_shared<cap::Revoker>();
      case On::network:
        return network;
      case On::listener:
        return std::make_shared<host::Listener>(
            std::get<0>(net::listen(network, {net::Address{}, 0}, 1)));
      case On::connection:  // to nobody
        return std::make_shared<host::Connection>(
            std::get<0>(net::listen(network, {net::Address{}, 0}, 1)));
      case On::datagrams:
        return std::make_shared<host::Datagrams>(
            std::get<0>(net::open_datagrams(network, {net::Address{}, 0})), false);
      default:
        break;
    }
    auto opened = directory->open("file", vfs::open_create, {true, true}, vfs::Wait::never);
    return std::get<std::shared_ptr<cap::Object>>(opened);
  }
  // What the call gives on a new handle with these rights. The file is there.
  i64 made(const Row& row, Rights rights) {
    const auto file = object(On::file);
    const i64 handle = grant(object(row.on), rights);
    std::vector<i64> arguments = {handle};
    arguments.insert(arguments.end(), row.more.begin(), row.more.end());
    const i64 result = (*this)(row.call, arguments);
    if (std::string_view(row.call) == "open" && result >= 0) {
      CHECK((*this)("handle_rights", {result}) == row.more.back());
      CHECK((*this)("close", {result}) == 0);
    }
    if (std::string_view(row.call).starts_with("name_space_") && result >= 0) {
      CHECK((*this)("handle_rights", {result}) == static_cast<i32>(rights));
      CHECK((*this)("close", {result}) == 0);
    }
    CHECK((*this)("close", {handle}) == 0);
    static_cast<void>(directory->remove_file("to", vfs::Wait::never));
    return result;
  }
};

// Whether a set of rights is enough.
bool allows(const Row& row, Rights rights) {
  return (rights & row.all) == row.all && (row.any == 0 || (rights & row.any) != 0);
}

}  // namespace

TEST_CASE("rights: each call on a handle needs what it names, and no more") {
  RightsGuest guest;
  for (const Row& row : rows()) {
    CAPTURE(std::string(row.call));
    CAPTURE(static_cast<int>(row.on));
    CAPTURE(row.all);
    std::vector<Rights> sets = {cap::rights_all, cap::rights_none, row.all, row.all | row.any};
    for (u32 bit = 0; bit < 32; ++bit) {
      const Rights one = Rights{1} << bit;
      sets.push_back(one);
      sets.push_back(row.all | one);
      sets.push_back((row.all | row.any) & ~one);
      sets.push_back(cap::rights_all & ~one);
    }
    for (const Rights rights : sets) {
      CAPTURE(rights);
      const i64 result = guest.made(row, rights);
      CHECK((result == -Errno::notcapable) == !allows(row, rights));
    }
  }
}

TEST_CASE("rights: the table of calls is the one that was tested") {
  for (const host::CallInfo& call : host::calls()) {
    if (call.kind == cap::Kind{} || call.kind == cap::Kind::module) continue;
    if (call.name == "rename_at" || call.name == "link_at") continue;  // below
    CAPTURE(std::string(call.name));
    const std::vector<Row> all = rows();
    const bool is_there =
        std::any_of(all.begin(), all.end(), [&](const Row& row) { return row.call == call.name; });
    CHECK(is_there);
  }
}

TEST_CASE("rights: calls on two directories need theirs of each") {
  using namespace cap;
  struct Pair {
    const char* call;
    Rights from;
    Rights to;
  };
  const Pair pairs[] = {{"rename_at", right_remove, right_create | right_remove},
                        {"link_at", right_link, right_create | right_link}};
  RightsGuest guest;
  for (const Pair& pair : pairs) {
    CAPTURE(std::string(pair.call));
    const auto call = [&](Rights from_rights, Rights to_rights) {
      const auto file = guest.object(On::file);
      const i64 from = guest.grant(guest.directory, from_rights);
      const i64 to = guest.grant(guest.names, to_rights);
      const i64 result = guest(pair.call, {from, path_at, 4, to, to_at, 2});
      CHECK(guest("close", {from}) == 0);
      CHECK(guest("close", {to}) == 0);
      static_cast<void>(guest.directory->remove_file("to", vfs::Wait::never));
      return result;
    };
    CHECK(call(rights_all, rights_all) == 0);
    CHECK(call(pair.from | pair.to, pair.to) == 0);
    for (u32 bit = 0; bit < 32; ++bit) {
      const Rights one = Rights{1} << bit;
      CAPTURE(bit);
      const bool is_known = (one & rights_all) != 0;
      // What the target gives and the source does not must not be gained.
      CHECK(call(rights_all & ~one, rights_all) == (is_known ? -Errno::notcapable : 0));
      CHECK(call(rights_all, rights_all & ~one) == ((one & pair.to) != 0 ? -Errno::notcapable : 0));
      CHECK(call(rights_all & ~one, rights_all & ~one) ==
            ((one & (pair.from | pair.to)) != 0 ? -Errno::notcapable : 0));
    }
  }
}

TEST_CASE("rights: links") {
  RightsGuest guest;
  const i64 root = guest.grant(guest.names, cap::rights_all);
  guest.object(On::file);
  CHECK(guest("link_at", {root, path_at, 4, root, to_at, 2}) == 0);
  CHECK(guest("link_at", {root, path_at, 4, root, to_at, 2}) == -Errno::exist);
  CHECK(guest("stat_at", {root, to_at, 2, 0, data_at}) == 0);
  CHECK(guest.number<u64>(data_at + 24) == 2);
  guest.put(to_at, "ln");
  CHECK(guest("symlink_at", {root, to_at, 2, path_at, 4}) == 0);
  CHECK(guest("read_link_at", {root, to_at, 2, data_at, 100}) == 4);
  CHECK(guest.text(data_at, 4) == "file");
  CHECK(guest("read_link_at", {root, to_at, 2, data_at, 3}) == -Errno::range);
  CHECK(guest("read_link_at", {root, path_at, 4, data_at, 100}) == -Errno::inval);
  guest.put(data_at, "/etc");
  CHECK(guest("symlink_at", {root, path_at, 4, path_at, 4}) == -Errno::exist);
  guest.put(path_at, "new");
  CHECK(guest("symlink_at", {root, path_at, 3, data_at, 4}) == -Errno::notcapable);
  CHECK(guest("symlink_at", {root, path_at, 3, data_at, 0}) == -Errno::noent);
  constexpr i64 end = Guest::memory_size;
  for (const auto& [p, n] : {std::pair<i64, i64>{end, 1}, {0xffffffff, 1}, {1, end}}) {
    CHECK(guest("symlink_at", {root, p, n, 0, 1}) == -Errno::fault);
    CHECK(guest("symlink_at", {root, path_at, 3, p, n}) == -Errno::fault);
    CHECK(guest("link_at", {root, p, n, root, 0, 1}) == -Errno::fault);
    CHECK(guest("link_at", {root, path_at, 3, root, p, n}) == -Errno::fault);
    CHECK(guest("read_link_at", {root, p, n, 0, 1}) == -Errno::fault);
    CHECK(guest("read_link_at", {root, to_at, 2, p, n}) == -Errno::fault);
  }
}

TEST_CASE("rights: revokers") {
  RightsGuest guest;
  const i64 root = guest.grant(guest.names, cap::rights_all);
  guest.object(On::file);
  const i64 one = guest("revoker_make");
  const i64 two = guest("revoker_make");
  CHECK(guest("handle_rights", {one}) == cap::right_revoke);
  const i64 copy = guest("handle_revocable", {root, one, cap::rights_all & ~cap::right_write});
  REQUIRE(copy >= 0);
  CHECK(guest("handle_revocable", {copy, one, cap::right_write}) == -Errno::notcapable);
  CHECK(guest("handle_revocable", {99, one, 0}) == -Errno::badf);
  CHECK(guest("handle_revocable", {root, root, 0}) == -Errno::badf);
  CHECK(guest("handle_revocable", {root, 99, 0}) == -Errno::badf);
  CHECK(guest("revoke", {root}) == -Errno::badf);

  // What was opened through a copy, copies of copies, and copies of those by another revoker.
  const i64 file = guest("open", {copy, path_at, 4, 0, cap::right_read | cap::right_stat});
  const i64 plain = guest("handle_attenuate", {file, cap::right_read});
  const i64 both = guest("handle_revocable", {file, two, cap::right_read});
  const i64 other = guest("handle_revocable", {root, two, cap::right_open | cap::right_read});
  const i64 other_file = guest("open", {other, path_at, 4, 0, cap::right_read});
  for (const i64 each : {file, plain, both, other_file}) {
    CHECK(guest("pread", {each, data_at, 1, 0}) == 0);
  }
  CHECK(guest("revoke", {one}) == 0);
  CHECK(guest("revoke", {one}) == 0);
  for (const i64 each : {file, plain, both}) {
    CHECK(guest("pread", {each, data_at, 1, 0}) == -Errno::notcapable);
    CHECK(guest("handle_rights", {each}) == -Errno::notcapable);
    CHECK(guest("handle_attenuate", {each, 0}) == -Errno::notcapable);
    CHECK(guest("handle_revocable", {each, two, 0}) == -Errno::notcapable);
    CHECK(guest("close", {each}) == 0);
  }
  CHECK(guest("open", {copy, path_at, 4, 0, 0}) == -Errno::notcapable);
  CHECK(guest("pread", {other_file, data_at, 1, 0}) == 0);
  CHECK(guest("stat_at", {root, path_at, 4, 0, data_at}) == 0);
  // What is made with one that was used is revoked at once.
  const i64 late = guest("handle_revocable", {root, one, cap::right_stat});
  CHECK(guest("stat_at", {late, path_at, 4, 0, data_at}) == -Errno::notcapable);
  // Closing a revoker takes nothing away.
  CHECK(guest("close", {two}) == 0);
  CHECK(guest("pread", {other_file, data_at, 1, 0}) == 0);

  // A revoker that was taken away itself revokes nothing.
  const i64 third = guest("revoker_make");
  const i64 fourth = guest("revoker_make");
  const i64 weak = guest("handle_attenuate", {third, 0});
  CHECK(guest("revoke", {weak}) == -Errno::notcapable);
  const i64 lent = guest("handle_revocable", {third, fourth, cap::right_revoke});
  CHECK(guest("revoke", {fourth}) == 0);
  CHECK(guest("revoke", {lent}) == -Errno::notcapable);
  CHECK(guest("revoke", {third}) == 0);

  // A handle depends on so many at most; the same one counts once.
  i64 chain = guest("handle_attenuate", {root, cap::right_stat});
  for (int i = 0; i < 16; ++i) {
    const i64 by = guest("revoker_make");
    const i64 next = guest("handle_revocable", {chain, by, cap::right_stat});
    REQUIRE(next >= 0);
    CHECK(guest("handle_revocable", {next, by, cap::right_stat}) >= 0);
    CHECK(guest("close", {chain}) == 0);
    chain = next;
  }
  const i64 last = guest("revoker_make");
  CHECK(guest("handle_revocable", {chain, last, cap::right_stat}) == -Errno::mlink);
  CHECK(guest("stat_at", {chain, path_at, 4, 0, data_at}) == 0);
}

TEST_CASE("rights: a name space with less in it") {
  Guest guest;
  const auto names = std::make_shared<vfs::NameSpace>();
  const auto root = vfs::make_memory({});
  REQUIRE(root->make_directory("d", vfs::Wait::never) == Errno::success);
  REQUIRE(root->make_directory("d/x", vfs::Wait::never) == Errno::success);
  REQUIRE(names->mount("/", root, cap::rights_all).ok());
  REQUIRE(names->mount("/tmp", vfs::make_memory({}), cap::rights_all).ok());
  REQUIRE(names->mount("/tmp/a/b", vfs::make_memory({}), cap::rights_all).ok());
  REQUIRE(names->mount("data", vfs::make_memory({}), cap::rights_all).ok());
  const i64 whole = guest.grant(names, cap::right_stat | cap::right_open);
  const auto call = [&](const char* name, i64 handle, std::string_view path) {
    guest.put(path_at, path);
    std::vector<i64> arguments = {handle, path_at, static_cast<i64>(path.size())};
    if (std::string_view(name) == "stat_at") arguments.insert(arguments.end(), {0, data_at});
    return guest(name, arguments);
  };
  const auto hide = [&](i64 handle, std::string_view path) {
    return call("name_space_hide", handle, path);
  };
  const auto sees = [&](i64 handle, std::string_view path) {
    const i64 result = call("stat_at", handle, path);
    CHECK((result == 0 || result == -Errno::noent));
    return result == 0;
  };
  const i64 less = hide(whole, "/tmp");
  REQUIRE(less >= 0);
  CHECK(guest("handle_rights", {less}) == (cap::right_stat | cap::right_open));
  CHECK(sees(whole, "/tmp"));
  CHECK(sees(whole, "/tmp/a/b"));
  CHECK(!sees(less, "/tmp"));
  CHECK(!sees(less, "/tmp/"));
  CHECK(!sees(less, "/d/../tmp/a/b"));
  CHECK(sees(less, "/d/x"));
  CHECK(sees(less, "data"));
  const i64 none = hide(less, "/");
  for (const char* const path : {"/", "/d", "/tmp", "/tmp/a/b"}) CHECK(!sees(none, path));
  CHECK(sees(none, "data/."));
  const i64 only_root = hide(less, "./data/");
  CHECK(!sees(only_root, "data"));
  CHECK(!sees(only_root, "."));
  CHECK(sees(only_root, "/d"));
  const i64 part = hide(whole, "/d/x");
  CHECK(sees(part, "/d"));
  CHECK(!sees(part, "/d/x"));
  CHECK(!sees(part, "/d/x/y"));
  CHECK(sees(part, "/tmp/a/b"));

  // It can only get less: hiding what is hidden brings nothing back, and there is an end to it.
  const i64 again = hide(hide(whole, "/tmp/a"), "/tmp/a/b");
  CHECK(!sees(again, "/tmp/a"));
  CHECK(!sees(again, "/tmp/a/b"));
  CHECK(sees(again, "/tmp"));
  CHECK(hide(whole, "") == -Errno::noent);
  CHECK(hide(whole, "..") == -Errno::notcapable);
  CHECK(hide(whole, std::string(5000, 'x')) == -Errno::nametoolong);
  CHECK(hide(whole, std::string_view("a\0b", 3)) == -Errno::inval);
  CHECK(guest("name_space_hide", {whole, Guest::memory_size, 1}) == -Errno::fault);
  i64 chain = guest("handle_attenuate", {whole, cap::right_stat});
  for (int i = 0; i < 64; ++i) {
    const i64 next = hide(chain, "/n" + std::to_string(i));
    REQUIRE(next >= 0);
    CHECK(guest("close", {chain}) == 0);
    chain = next;
  }
  CHECK(hide(chain, "/more") == -Errno::mlink);
  CHECK(hide(chain, "/") >= 0);
  // And it is revoked with what it was made from.
  const i64 by = guest("revoker_make");
  const i64 lent = guest("handle_revocable", {whole, by, cap::right_stat});
  const i64 lent_less = hide(lent, "/tmp");
  CHECK(sees(lent_less, "/d"));
  CHECK(guest("revoke", {by}) == 0);
  CHECK(call("stat_at", lent_less, "/d") == -Errno::notcapable);
}
