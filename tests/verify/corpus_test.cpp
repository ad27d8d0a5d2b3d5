// The fuzzers' first inputs are valid files of format 1, and stay readable: nothing that was
// written once may change its meaning.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/verify/expect.hpp"
#include "vm/module/codec.hpp"

using namespace atollvm;
using namespace atollvm::test;

TEST_CASE("kept files: read, verified, written as they were") {
  u32 files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(ATOLL_SOURCE_DIR "/tests/fuzz/corpus/module")) {
    if (entry.path().extension() != ".atb") continue;  // a fuzzer's find, broken as it may be
    CAPTURE(entry.path().string());
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)),
                            std::istreambuf_iterator<char>());
    auto module = mod::read({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
    REQUIRE(module.ok());
    CHECK(mod::write(*module) == bytes);
    accepts(*module);
    ++files;
  }
  CHECK(files > 40);
}
