// Examples in docs/ that are the beginning of a test's source.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace atollvm::test {

// What is above the line "// End of the example" in the source `test` stands in the page `page`.
inline void check_example(const std::string& test, const std::string& page) {
  const auto content = [](const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(std::string(ATOLL_SOURCE_DIR) + "/" + path).rdbuf();
    return text.str();
  };
  const std::string file = content(test);
  const std::string example = file.substr(0, file.find("// End of the example"));
  REQUIRE_FALSE(example.empty());
  CHECK(content(page).find("```cpp\n" + example + "```\n") != std::string::npos);
}

}  // namespace atollvm::test
