// What handles name in a snapshot, and that it never comes back as more than is granted then.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "atoll/embed/objects.hpp"
#include "stdlib/host/socket.hpp"
#include "stdlib/wasi/descriptor.hpp"

namespace atollvm {
namespace {

namespace fs = std::filesystem;

class Host {
 public:
  Host() {
    char name[] = "/tmp/atoll-objects-XXXXXX";
    path_ = fs::canonical(mkdtemp(name)).string();
    fs::create_directories(path_ + "/data/deep");
    std::ofstream(path_ + "/data/deep/file") << "0123456789";
    std::ofstream(path_ + "/secret") << "secret";
  }
  ~Host() { fs::remove_all(path_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] Grants grant(const std::string& guest, bool writable) const {
    const DirectoryGrant grants[] = {{path_ + "/data", guest, writable}};
    Streams streams{std::make_shared<host::Stream>(), std::make_shared<host::Stream>(),
                    std::make_shared<host::Stream>()};
    auto opened = open_grants(std::move(streams), grants, {}, {});
    REQUIRE(opened.ok());
    return *std::move(opened);
  }

 private:
  std::string path_;
};

std::shared_ptr<vfs::File> open_file(const Grants& grants, bool writes) {
  auto opened =
      grants.directories[0].object->open("deep/file", 0, {true, writes}, vfs::Wait::allowed);
  auto* const object = std::get_if<std::shared_ptr<cap::Object>>(&opened);
  REQUIRE(object != nullptr);
  return std::static_pointer_cast<vfs::File>(*object);
}

TEST_CASE("snapshot objects: a file comes back by its path, position and rights") {
  const Host host;
  const Grants before = host.grant("/data", true);
  const auto file = open_file(before, true);
  REQUIRE(std::get<u64>(file->seek(4, 0)) == 4);
  const auto text = GrantedObjects(before).describe(file);
  REQUIRE(text.has_value());
  CHECK(text->find(host.path()) == std::string::npos);

  const Grants same = host.grant("/data", true);
  GrantedObjects objects(same);
  cap::Rights rights = cap::right_read | cap::right_write;
  const auto again = objects.restore(cap::Kind::file, *text, rights);
  REQUIRE(again != nullptr);
  CHECK(rights == (cap::right_read | cap::right_write));
  auto& restored = static_cast<vfs::File&>(*again);
  CHECK(std::get<u64>(restored.seek(0, 1)) == 4);
  const u8 byte[] = {'x'};
  const auto more = restored.write(byte, std::nullopt, {}, vfs::Wait::allowed);
  CHECK(std::get_if<u32>(&more) != nullptr);

  // Where the directory may only be read, so may the file; and not even the object writes.
  const Grants less = host.grant("/data", false);
  GrantedObjects reading(less);
  rights = cap::rights_all;
  const auto read_only = reading.restore(cap::Kind::file, *text, rights);
  REQUIRE(read_only != nullptr);
  CHECK((rights & cap::right_write) == 0);
  const auto written =
      static_cast<vfs::File&>(*read_only).write(byte, std::nullopt, {}, vfs::Wait::allowed);
  CHECK(std::get_if<cap::Errno>(&written) != nullptr);

  const Grants other = host.grant("/other", true);
  rights = cap::rights_all;
  CHECK(GrantedObjects(other).restore(cap::Kind::file, *text, rights) == nullptr);
  CHECK(GrantedObjects(same).restore(cap::Kind::directory, *text, rights) == nullptr);
}

TEST_CASE("snapshot objects: where a file has been moved, and one that is gone") {
  const Host host;
  const Grants grants = host.grant("/data", true);
  const auto file = open_file(grants, false);
  fs::rename(host.path() + "/data/deep/file", host.path() + "/data/moved");
  CHECK(*GrantedObjects(grants).describe(file) == std::string("/data\0moved\0r\0"
                                                              "0",
                                                              15));
  fs::rename(host.path() + "/data/moved", host.path() + "/outside");
  CHECK_FALSE(GrantedObjects(grants).describe(file).has_value());
  fs::remove(host.path() + "/outside");
  CHECK_FALSE(GrantedObjects(grants).describe(file).has_value());
  CHECK_FALSE(GrantedObjects(grants).describe(std::make_shared<vfs::File>()).has_value());
}

TEST_CASE("snapshot objects: nothing leads out of what is granted") {
  const Host host;
  const Grants grants = host.grant("/data", true);
  fs::create_symlink(host.path() + "/secret", host.path() + "/data/link");
  const std::string zero(1, '\0');
  for (const std::string path :
       {"../secret", "/etc/passwd", "deep/../../secret", "link", "", "deep", "deep/none"}) {
    GrantedObjects objects(grants);
    cap::Rights rights = cap::rights_all;
    const std::string text = "/data" + zero + path + zero + "rw" + zero + "0";
    CHECK_MESSAGE(objects.restore(cap::Kind::file, text, rights) == nullptr, path);
  }
  for (const std::string& text :
       {std::string(), std::string("x"), "/data" + zero, "/data" + zero + "deep/file" + zero + "rw",
        "/data" + zero + "deep/file" + zero + zero + "0",
        "/data" + zero + "deep/file" + zero + "r" + zero + "-1",
        "/data" + zero + "deep/file" + zero + "r" + zero + "0" + zero}) {
    GrantedObjects objects(grants);
    cap::Rights rights = cap::rights_all;
    CHECK(objects.restore(cap::Kind::file, text, rights) == nullptr);
    CHECK(objects.restore(cap::Kind::stream, text, rights) == nullptr);
    CHECK(objects.restore(cap::Kind::name_space, text, rights) == nullptr);
    CHECK(objects.restore(cap::Kind::host, text, rights) == nullptr);
  }
}

TEST_CASE("snapshot objects: the network is what is granted then; sockets are lost") {
  const auto granted = [](const char* rules) {
    auto grants = open_grants({}, {}, {}, {rules, {}});
    REQUIRE(grants.ok());
    return *std::move(grants);
  };
  const Grants before = granted("connect:*:*");
  const auto text = GrantedObjects(before).describe(before.network);
  REQUIRE(text.has_value());
  for (const char* const rules : {"dns", ""}) {
    const Grants after = granted(rules);
    cap::Rights rights = cap::rights_all;
    CHECK(GrantedObjects(after).restore(cap::Kind::network, *text, rights) == after.network);
    CHECK(rights == net::network_rights);
    CHECK((after.network == nullptr) == (*rules == '\0'));
    CHECK(GrantedObjects(after).restore(cap::Kind::network, "x", rights) == nullptr);
    CHECK(!GrantedObjects(after).describe(before.network).has_value());
  }
  auto socket = net::open_datagrams(before.network, {});
  const auto shared = std::get<0>(std::move(socket));
  GrantedObjects objects(before);
  CHECK(!objects.describe(std::make_shared<host::Datagrams>(shared, true)).has_value());
  CHECK(!objects.describe(std::make_shared<host::Listener>(shared)).has_value());
  CHECK(!objects.describe(std::make_shared<host::Connection>(shared)).has_value());
}

TEST_CASE("snapshot objects: listeners that were given are lost") {
  const auto grants = open_grants({}, {}, {}, {{}, {}, {"127.0.0.1:0"}});
  REQUIRE(grants.ok());
  CHECK(!GrantedObjects(*grants).describe(grants->listeners[0]).has_value());
  const auto error = open_grants({}, {}, {}, {{}, {}, {"127.0.0.1"}});
  REQUIRE(!error.ok());
  CHECK(error.error().code == base::ErrorCode::usage);
}

TEST_CASE("snapshot objects: WASI's rights are cut to the grant") {
  const Host host;
  for (const bool writable : {false, true}) {
    const Grants grants = host.grant("/data", writable);
    GrantedObjects objects(grants);
    cap::Rights rights = cap::rights_all;
    const std::string text("/data\0.", 7);
    cap::Capability capability{objects.restore(cap::Kind::directory, text, rights), rights};
    REQUIRE(capability.object == grants.directories[0].object);
    REQUIRE(objects.restore("18446744073709551615 18446744073709551615 255 /data", capability));
    const wasi::Descriptor& facet = wasi::descriptor_of(capability);
    CHECK(facet.preopen == "/data");
    CHECK(((facet.base & wasi::right_path_unlink_file) != 0) == writable);
    CHECK(((facet.inheriting & wasi::right_fd_write) != 0) == writable);
    CHECK((facet.base & wasi::right_path_open) != 0);
    CHECK(facet.flags == wasi::flags_all);
    CHECK(((capability.rights & cap::right_write) != 0) == writable);
    CHECK(objects.describe(*capability.facet) ==
          fmt::format("{} {} {} /data", facet.base, facet.inheriting, facet.flags));
    for (const char* bad : {"x", "1", "1 2", "1 2 x", "1 2 3x", "1  2 3"}) {
      CHECK_MESSAGE(!objects.restore(bad, capability), bad);
    }
  }
}

}  // namespace
}  // namespace atollvm
