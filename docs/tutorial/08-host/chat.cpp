#include "chat.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <string_view>
#include <thread>

using atollvm::Caller;
using atollvm::Error;
using atollvm::ErrorCode;
using atollvm::Result;

namespace {

// Stands for a service that takes its time.
std::string encyclopedia(const std::string& word) {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  if (word == "tide") return "the sea's going up and down, twice a day";
  if (word == "atoll") return "a ring of coral with a lagoon in it";
  return "nobody knows";
}

bool is_done(const std::future<void>& search) {
  return search.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::int32_t name_of(std::shared_ptr<Person> person, std::span<std::uint8_t> to) {
  const std::size_t size = std::min(person->name.size(), to.size());
  std::memcpy(to.data(), person->name.data(), size);
  return static_cast<std::int32_t>(size);
}

Result<std::int64_t> give(std::shared_ptr<Person> person, std::int64_t points) {
  if (points < 0 || points > 10) {
    return Error{ErrorCode::denied, "", "a plugin may give 0 to 10 points"};
  }
  return person->points += points;
}

}  // namespace

std::shared_ptr<Person> Chat::person(const std::string& name) {
  auto& found = persons_[name];
  if (found == nullptr) found = std::make_shared<Person>(name);
  return found;
}

atollvm::Imports Chat::imports(const std::shared_ptr<std::uint32_t>& speaker) {
  atollvm::Imports imports;
  imports.define("chat", "speaker", [speaker] { return *speaker; })
      .define("chat", "name", name_of)
      .define("chat", "give", give)
      .define("chat", "look_up",
              [this](Caller& caller, std::string_view word, std::uint32_t at, std::uint32_t room) {
                std::erase_if(searches_, is_done);
                auto later = caller.defer<std::int32_t>();
                // The view is good during this call only: the thread gets a copy.
                searches_.push_back(std::async(std::launch::async, [=, word = std::string(word)] {
                  const std::string found = encyclopedia(word).substr(0, room);
                  later.complete_with([found, at](Caller& back) -> Result<std::int32_t> {
                    if (!back.memory().write(at, found)) {
                      return Error{ErrorCode::denied, "", "look_up: no such memory"};
                    }
                    return static_cast<std::int32_t>(found.size());
                  });
                }));
                return later;
              });
  return imports;
}
