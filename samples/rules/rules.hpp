// Rules: guest scripts of a directory that judge records, and that may change at any time.
//
// A rule is a file NAME.atoll that exports `judge(record: i32) -> i32`, its points. It may import
//   from "record": has(record: i32, name, n) -> i32             whether there is such a field
//                  number(record: i32, name, n) -> i64          its number; 0 if it is none
//                  text(record: i32, name, n, into, room) -> i32    its size; as much as there is
//                                                               room for is copied; -44: none
//   from "verdict": say(text, n)                                why, for the report
// A record is a handle that means something during the call alone. What a rule keeps in its memory
// stays from one record to the next, until it is stopped or changes.
#pragma once

#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

// A record: values by the names of their fields.
using Fields = std::map<std::string, std::string, std::less<>>;

// What one call may use.
struct RuleLimits {
  std::uint64_t fuel = 1'000'000;
  std::chrono::milliseconds time{50};  // for a rule that waits instead of working
  std::uint64_t memory_bytes = 1 << 20;
  int failures = 3;  // then it is switched off until it changes
};

struct Verdict {
  std::string rule;
  std::int32_t points = 0;
  std::string reason;  // printable; may be empty
};

// The rules of a directory. Threads: one at a time.
class Rules {
 public:
  // `tell` gets what the operator should know, in lines.
  Rules(std::filesystem::path directory, const RuleLimits& limits,
        std::function<void(const std::string&)> tell);
  ~Rules();

  // Takes what has changed since the last time: new files, other contents, files that are gone. A
  // script that can't be used is told of, and changes nothing. `all`: also files that look the
  // same.
  void refresh(bool all);
  // What the rules say about a record, those that give points alone, by the rules' names. A rule
  // that fails is told of, and has nothing to say.
  std::vector<Verdict> judge(const Fields& record);

 private:
  class Script;
  class Watch;
  struct Rule;

  atollvm::Engine engine_;
  std::filesystem::path directory_;
  RuleLimits limits_;
  std::function<void(const std::string&)> tell_;
  std::unique_ptr<Watch> watch_;
  std::map<std::string, Rule> rules_;  // by file name
};
