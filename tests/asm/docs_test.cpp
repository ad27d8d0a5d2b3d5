// Every example of the reference assembles and verifies.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/asm/support.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

// What the examples may use; the host calls' true declarations are made elsewhere.
const Files library = {{"std.sys",
                        "import func write(h: i32, p: i32, n: i32) -> i32 "
                        "from \"atoll\" \"write\"\n"}};

}  // namespace

TEST_CASE("every block marked atoll in docs/assembly.md assembles") {
  std::ifstream in(std::string(ATOLL_SOURCE_DIR) + "/docs/assembly.md", std::ios::binary);
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const std::string open = "```atoll\n";
  int blocks = 0;
  for (usize at = page.find(open); at != std::string::npos; at = page.find(open, at)) {
    at += open.size();
    const usize end = page.find("\n```", at);
    REQUIRE(end != std::string::npos);
    const std::string block = page.substr(at, end + 1 - at);
    CAPTURE(block);
    (void)module_of(block, library);
    ++blocks;
  }
  CHECK(blocks >= 3);
}
