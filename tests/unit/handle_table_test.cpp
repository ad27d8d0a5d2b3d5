#include <doctest/doctest.h>

#include <random>
#include <set>

#include "vm/cap/handle_table.hpp"

using namespace atollvm;
using namespace atollvm::cap;

namespace {

struct Counted : Object {
  explicit Counted(Kind kind, int* alive = nullptr) : Object(kind), alive_(alive) {
    if (alive_ != nullptr) ++*alive_;
  }
  ~Counted() override {
    if (alive_ != nullptr) --*alive_;
  }
  int* alive_;
};

Capability stream(Rights rights) { return {std::make_shared<Counted>(Kind::stream), rights, {}}; }

u32 number(const std::variant<Handle, Errno>& result) {
  REQUIRE(std::holds_alternative<Handle>(result));
  return std::get<Handle>(result);
}

template <class T>
Errno error(const std::variant<T, Errno>& result) {
  return std::holds_alternative<Errno>(result) ? std::get<Errno>(result) : Errno::success;
}

}  // namespace

TEST_CASE("handles: the lowest free number is given, up to the limit") {
  HandleTable table(200);
  for (u32 i = 0; i < 200; ++i) CHECK(number(table.insert(stream(right_read))) == i);
  CHECK(error(table.insert(stream(right_read))) == Errno::mfile);
  CHECK(error(table.attenuate(0, 0)) == Errno::mfile);
  for (const u32 handle : {130u, 3u, 64u}) CHECK(table.close(handle) == Errno::success);
  CHECK(table.open_count() == 197);
  for (const u32 handle : {3u, 64u, 130u}) CHECK(number(table.insert(stream(0))) == handle);
  HandleTable none(0);
  CHECK(error(none.insert(stream(0))) == Errno::mfile);
}

TEST_CASE("handles: random opening and closing agrees with a set of free numbers") {
  HandleTable table(9000);
  std::set<u32> open;
  std::set<u32> free;
  for (u32 i = 0; i < 9000; ++i) free.insert(i);
  std::mt19937 random(7);
  u32 wrong = 0;
  for (int turn = 0; turn < 60000; ++turn) {
    const bool grow = turn % 20000 < 12000;
    if (!free.empty() && random() % 4 < (grow ? 3u : 1u)) {
      const u32 handle = number(table.insert(stream(0)));
      wrong += handle != *free.begin();
      free.erase(free.begin());
      open.insert(handle);
    } else if (!open.empty()) {
      auto at = open.lower_bound(static_cast<u32>(random() % 9000));
      if (at == open.end()) at = open.begin();
      wrong += table.close(*at) != Errno::success;
      free.insert(*at);
      open.erase(at);
    }
  }
  CHECK(wrong == 0);
  CHECK(table.open_count() == open.size());
}

TEST_CASE("handles: numbers that were never given or are closed are refused") {
  HandleTable table(10);
  const u32 handle = number(table.insert(stream(right_read)));
  for (const u32 bad : {1u, 9u, 10u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    CHECK(table.find(bad) == nullptr);
    CHECK(error(table.find(bad, Kind::stream, 0)) == Errno::badf);
    CHECK(error(table.attenuate(bad, 0)) == Errno::badf);
    CHECK(table.close(bad) == Errno::badf);
  }
  CHECK(table.close(handle) == Errno::success);
  CHECK(table.close(handle) == Errno::badf);
  CHECK(table.find(handle) == nullptr);
  CHECK(table.open_count() == 0);
}

TEST_CASE("handles: kind and rights are checked, rights only shrink") {
  HandleTable table(10);
  const u32 handle = number(table.insert(stream(right_read | right_write)));
  CHECK(error(table.find(handle, Kind::stream, right_read)) == Errno::success);
  CHECK(error(table.find(handle, Kind::file | Kind::stream, right_write)) == Errno::success);
  CHECK(error(table.find(handle, Kind::file | Kind::directory, 0)) == Errno::badf);
  CHECK(error(table.find(handle, Kind::stream, right_read | right_list)) == Errno::notcapable);
  const u32 less = number(table.attenuate(handle, right_read));
  CHECK(error(table.find(less, Kind::stream, right_write)) == Errno::notcapable);
  CHECK(error(table.attenuate(less, right_read | right_write)) == Errno::notcapable);
  CHECK(error(table.attenuate(less, 0x80000000u)) == Errno::notcapable);
  CHECK(table.find(less)->object == table.find(handle)->object);
}

TEST_CASE("handles: revoking reaches attenuated handles too, closing stays possible") {
  HandleTable table(10);
  Revoker revoker;
  Capability capability = stream(right_read);
  capability.revocation = revoker.revocation();
  const u32 handle = number(table.insert(capability));
  const u32 less = number(table.attenuate(handle, right_read));
  revoker.revoke();
  for (const u32 each : {handle, less}) {
    CHECK(error(table.find(each, Kind::stream, 0)) == Errno::notcapable);
    CHECK(error(table.attenuate(each, 0)) == Errno::notcapable);
    CHECK(table.close(each) == Errno::success);
  }
}

TEST_CASE("handles: the last handle closes the object") {
  int alive = 0;
  HandleTable table(10);
  const u32 handle =
      number(table.insert({std::make_shared<Counted>(Kind::file, &alive), right_read, {}}));
  const u32 second = number(table.attenuate(handle, 0));
  CHECK(table.close(handle) == Errno::success);
  CHECK(alive == 1);
  CHECK(table.close(second) == Errno::success);
  CHECK(alive == 0);
}

TEST_CASE("handles: renumbering closes the target and frees the source") {
  int alive = 0;  // outlives the table's objects
  HandleTable table(10);
  const auto counted = [&] { return Capability{std::make_shared<Counted>(Kind::file, &alive), 1}; };
  CHECK(number(table.insert(counted())) == 0);
  CHECK(number(table.insert(counted())) == 1);
  CHECK(number(table.insert(counted())) == 2);
  const Object* const moved = table.find(2)->object.get();
  CHECK(table.renumber(2, 0) == Errno::success);
  CHECK(alive == 2);
  CHECK(table.open_count() == 2);
  CHECK(table.find(0)->object.get() == moved);
  CHECK(table.find(2) == nullptr);
  CHECK(table.renumber(0, 0) == Errno::success);
  CHECK(alive == 2);
  for (const auto& [from, to] : {std::pair<Handle, Handle>{2, 0}, {0, 2}, {0, 7}, {99, 0}}) {
    CHECK(table.renumber(from, to) == Errno::badf);
  }
  CHECK(number(table.insert(counted())) == 2);
  CHECK(table.renumber(0, 1) == Errno::success);
  CHECK(number(table.insert(counted())) == 0);
}
