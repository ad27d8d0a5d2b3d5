// Advisory locks: one call at a time, on every file system.
#include "tests/support/file_systems.hpp"
#include "tests/support/guest.hpp"

using namespace atollvm;
using namespace atollvm::test;
using cap::Errno;
using runtime::HostResult;

namespace {

constexpr i64 none = 0;
constexpr i64 shared = 1;
constexpr i64 exclusive = 2;
constexpr i64 path_at = 1024;
constexpr i64 to_at = 2048;

// A process that opens files below one directory.
struct LockGuest : Guest {
  i64 root = 0;
  explicit LockGuest(const Root& from) : root(grant(from.object(), cap::rights_all)) {}

  i64 open(std::string_view path, cap::Rights rights = cap::rights_all & ~cap::right_list) {
    put(path_at, path);
    const i64 file = (*this)("open", {root, path_at, static_cast<i64>(path.size()),
                                      vfs::open_create, static_cast<i64>(rights)});
    REQUIRE(file >= 0);
    return file;
  }
  i64 lock(i64 file, i64 kind, i64 from = 0, i64 size = 0, i64 timeout = 0) {
    return (*this)("lock", {file, kind, from, size, timeout});
  }
  // Whether the call waits.
  bool waits(i64 file, i64 kind, i64 from = 0, i64 size = 0, i64 timeout = -1) {
    return start("lock", {file, kind, from, size, timeout}).status == HostResult::Status::pending;
  }
  // What the call gives that waits.
  i64 end() {
    HostResult ended{HostResult::Status::pending};
    while (ended.status == HostResult::Status::pending) {
      while (!process->ready()) loop.run_once(true);
      ended = process->complete(window);
    }
    return result("lock");
  }
};

constexpr i64 timedout = -static_cast<i64>(Errno::timedout);

}  // namespace

TEST_CASE("locks: shared and exclusive, whole files and ranges") {
  on_each([](const Root& root) {
    LockGuest guest(root);
    const i64 a = guest.open("file");
    const i64 b = guest.open("file");
    const i64 c = guest.open("other");
    CHECK(guest.lock(a, shared) == 0);
    CHECK(guest.lock(b, shared) == 0);
    CHECK(guest.lock(c, exclusive) == 0);
    CHECK(guest.lock(a, exclusive) == timedout);
    CHECK(guest.lock(b, none) == 0);
    CHECK(guest.lock(a, exclusive) == 0);
    CHECK(guest.lock(b, shared) == timedout);
    CHECK(guest.lock(b, shared, 1000, 1) == timedout);
    // A part of it given up, or made shared.
    CHECK(guest.lock(a, none, 10, 10) == 0);
    CHECK(guest.lock(b, exclusive, 10, 10) == 0);
    CHECK(guest.lock(b, exclusive, 9, 1) == timedout);
    CHECK(guest.lock(b, exclusive, 20, 1) == timedout);
    CHECK(guest.lock(a, shared, 30, 10) == 0);
    CHECK(guest.lock(b, shared, 30, 10) == 0);
    CHECK(guest.lock(b, shared, 29, 10) == timedout);
    CHECK(guest.lock(a, exclusive) == timedout);
    CHECK(guest.lock(b, none) == 0);
    CHECK(guest.lock(a, exclusive) == 0);
    CHECK(guest.lock(b, shared, INT64_MAX, INT64_MAX) == timedout);
    // What reads and writes is not kept out.
    guest.put(to_at, "text");
    CHECK(guest("write", {b, to_at, 4}) == 4);
    // Another handle to the same opening is as good; the lock goes with the last.
    const i64 copy = guest("handle_attenuate", {a, cap::right_lock | cap::right_read});
    REQUIRE(copy >= 0);
    CHECK(guest("close", {a}) == 0);
    CHECK(guest.lock(b, exclusive) == timedout);
    CHECK(guest("close", {copy}) == 0);
    CHECK(guest.lock(b, exclusive) == 0);
  });
}

TEST_CASE("locks: over rename, link and unlink") {
  on_each([](const Root& root) {
    LockGuest guest(root);
    const i64 a = guest.open("file");
    CHECK(guest.lock(a, exclusive) == 0);
    REQUIRE(root.rename("file", "new") == Errno::success);
    const i64 moved = guest.open("new");
    CHECK(guest.lock(moved, exclusive) == timedout);
    REQUIRE(root.link("new", "second") == Errno::success);
    const i64 linked = guest.open("second");
    CHECK(guest.lock(linked, shared) == timedout);
    // One of the same name is another file.
    const i64 fresh = guest.open("file");
    CHECK(guest.lock(fresh, exclusive) == 0);
    REQUIRE(root.remove("new") == Errno::success);
    REQUIRE(root.remove("second") == Errno::success);
    CHECK(guest.lock(moved, exclusive) == timedout);
    const i64 again = guest.open("new");
    CHECK(guest.lock(again, exclusive) == 0);
    CHECK(guest("close", {a}) == 0);
    CHECK(guest.lock(moved, exclusive) == 0);
  });
}

TEST_CASE("locks: waiting") {
  on_each([](const Root& root) {
    LockGuest one(root);
    LockGuest two(root);
    LockGuest three(root);
    const i64 a = one.open("file");
    const i64 b = two.open("file");
    const i64 c = three.open("file");
    CHECK(one.lock(a, exclusive) == 0);
    REQUIRE(two.waits(b, exclusive));
    REQUIRE(three.waits(c, shared));
    CHECK(!two.process->ready());
    CHECK(one.lock(a, none) == 0);
    // The first to come.
    CHECK(two.end() == 0);
    CHECK(!three.process->ready());
    // Who has none waits behind those in his way.
    CHECK(one.lock(a, shared) == timedout);
    CHECK(two.lock(b, shared) == 0);
    CHECK(three.end() == 0);
    REQUIRE(one.waits(a, exclusive));
    const i64 late = three.open("file");
    CHECK(three.lock(late, shared) == timedout);
    // Who has a lock does not wait for who waits for him.
    CHECK(two.lock(b, shared, 5, 5) == 0);
    CHECK(two("close", {b}) == 0);
    CHECK(three.lock(c, none) == 0);
    CHECK(one.end() == 0);
  });
}

TEST_CASE("locks: timeouts, also of those who wait for each other") {
  on_each([](const Root& root) {
    LockGuest one(root);
    LockGuest two(root);
    const i64 a = one.open("file");
    const i64 b = two.open("file");
    CHECK(one.lock(a, exclusive, 0, 10) == 0);
    CHECK(two.lock(b, exclusive, 10, 10) == 0);
    REQUIRE(one.waits(a, exclusive, 10, 10, 20'000'000));
    REQUIRE(two.waits(b, exclusive, 0, 10, 1'000'000'000));
    CHECK(one.end() == timedout);
    // Each keeps what it had.
    CHECK(one.lock(a, shared, 10, 10) == timedout);
    CHECK(one.lock(a, none, 0, 10) == 0);
    CHECK(two.end() == 0);
    CHECK(two.lock(b, none) == 0);
    // One that has timed out is in nobody's way.
    CHECK(one.lock(a, shared) == 0);
    CHECK(two.lock(b, exclusive, 0, 0, 1'000'000) == timedout);
    const i64 late = two.open("file");
    CHECK(two.lock(late, shared) == 0);
  });
}

TEST_CASE("locks: who ends while it waits, or before it knows that it has one") {
  const Root root(vfs::make_memory({}));
  LockGuest one(root);
  auto two = std::make_unique<LockGuest>(root);
  LockGuest three(root);
  const i64 a = one.open("file");
  const i64 b = two->open("file");
  const i64 c = three.open("file");
  CHECK(one.lock(a, shared) == 0);
  REQUIRE(two->waits(b, exclusive));
  REQUIRE(three.waits(c, shared));
  SUBCASE("while it waits") {
    two->process.reset();
    CHECK(three.end() == 0);
  }
  SUBCASE("before it knows") {
    CHECK(one.lock(a, none) == 0);
    two->process.reset();
    CHECK(three.end() == 0);
  }
  SUBCASE("before it knows, and another has its opening") {
    const auto opening = two->process->handles().find(static_cast<u32>(b))->object;
    CHECK(one.lock(a, none) == 0);
    two->process.reset();
    CHECK(three.end() == 0);
  }
  CHECK(one.lock(a, shared) == 0);
}

TEST_CASE("locks: what can't be locked") {
  const Root root(vfs::make_memory({}));
  LockGuest guest(root);
  const i64 file = guest.open("file");
  for (const auto& [kind, from, size] :
       {std::tuple<i64, i64, i64>{3, 0, 0}, {-1, 0, 0}, {1, -1, 0}, {1, 0, -1}}) {
    CHECK(guest.lock(file, kind, from, size) == -Errno::inval);
  }
  CHECK(guest.lock(guest.root, shared) == -Errno::badf);
  CHECK(guest.lock(99, shared) == -Errno::badf);
  const i64 reader = guest.open("file", cap::right_read | cap::right_lock);
  CHECK(guest.lock(reader, shared) == 0);
  CHECK(guest.lock(reader, exclusive) == -Errno::notcapable);
  CHECK(guest.lock(reader, none) == 0);
  const i64 other = guest.open("file", cap::right_read | cap::right_write);
  CHECK(guest.lock(other, shared) == -Errno::notcapable);
}

TEST_CASE("locks: a file has so many") {
  const Root root(vfs::make_memory({}));
  LockGuest guest(root);
  const i64 file = guest.open("file");
  // Those side by side are one.
  for (i64 i = 0; i < 5000; ++i) REQUIRE(guest.lock(file, shared, i, 1) == 0);
  CHECK(guest.lock(file, none) == 0);
  for (i64 i = 0; i < 1024; ++i) REQUIRE(guest.lock(file, shared, 2 * i, 1) == 0);
  CHECK(guest.lock(file, shared, 5000, 1) == -Errno::nolck);
  const i64 other = guest.open("file");
  CHECK(guest.lock(other, shared, 5000, 1) == -Errno::nolck);
  CHECK(guest.lock(file, none, 0, 1) == 0);
  CHECK(guest.lock(other, shared, 5000, 1) == 0);
  CHECK(guest.lock(file, none) == 0);
}

TEST_CASE("locks: are charged, and given back") {
  const auto account = std::make_shared<cap::Account>();
  const u64 before = account->memory.used();
  {
    vfs::LockOwner one;
    vfs::LockOwner two;
    REQUIRE(one.know(1, 2, account) == Errno::success);
    REQUIRE(two.know(1, 2, account) == Errno::success);
    CHECK(one.take({vfs::LockKind::exclusive, 0, 10}) == Errno::success);
    CHECK(one.take({vfs::LockKind::shared, 2, 4}) == Errno::success);
    CHECK(account->memory.used() == before + 2 * vfs::lock_owner_bytes + 3 * vfs::lock_bytes);
    const auto wait = std::make_shared<vfs::LockWait>();
    two.wait(wait, {vfs::LockKind::exclusive, 0, 10}, [] {});
    CHECK(account->memory.used() ==
          before + 2 * vfs::lock_owner_bytes + 3 * vfs::lock_bytes + vfs::lock_wait_bytes);
    CHECK(wait->settle() == Errno::timedout);
  }
  CHECK(account->memory.used() == before);
  const auto small = std::make_shared<cap::Account>(cap::AccountLimits{300});
  vfs::LockOwner owner;
  REQUIRE(owner.know(1, 3, small) == Errno::success);
  CHECK(owner.take({vfs::LockKind::shared, 0, 10}) == Errno::nomem);
  vfs::LockOwner another;
  CHECK(another.know(1, 3, small) == Errno::nomem);
}
