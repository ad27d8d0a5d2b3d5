// What the chat lets its plugins do.
#pragma once

#include <atoll/host.hpp>

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

// Somebody in the chat. Plugins get handles to persons, never more.
struct Person : atollvm::HostObject {
  explicit Person(std::string called) : name(std::move(called)) {}
  std::string name;
  std::int64_t points = 0;
};

class Chat {
 public:
  // The person of that name, who is made when there is none.
  std::shared_ptr<Person> person(const std::string& name);

  // What a plugin may import from "chat":
  //   speaker() -> i32                 a handle to who wrote the message; good for this message
  //   name(person: i32, p: i32, n: i32) -> i32     writes the name to the n bytes at p, as far as
  //                                    it fits; its length
  //   give(person: i32, points: i64) -> i64        gives up to 10 points; how many there are now
  //   look_up(p: i32, n: i32, q: i32, m: i32) -> i32     looks the n bytes at p up and writes what
  //                                    is known to the m bytes at q; its length. Slow
  // `speaker` is the number of the handle, which the caller keeps up to date.
  atollvm::Imports imports(const std::shared_ptr<std::uint32_t>& speaker);

 private:
  std::map<std::string, std::shared_ptr<Person>> persons_;
  std::vector<std::future<void>> searches_;  // those under way
};
