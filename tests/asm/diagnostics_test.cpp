// Golden texts: tests/asm/diagnostics/NAME.atoll gives exactly the mistakes in NAME.expected.
// With ATOLL_UPDATE=1 in the environment the expected texts are written instead.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "assembler/text/assemble.hpp"

namespace {

namespace fs = std::filesystem;
using namespace atollvm;

const fs::path folder = fs::path(ATOLL_SOURCE_DIR) / "tests/asm/diagnostics";

std::optional<std::string> read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string diagnostics_of(const fs::path& path) {
  const text::Resolver resolver = [](std::string_view, std::string_view name,
                                     bool library) -> std::optional<text::Source> {
    if (library) return std::nullopt;
    auto found = read(folder / name);
    if (!found) return std::nullopt;
    return text::Source{std::string(name), std::move(*found)};
  };
  const text::Source source{path.filename().string(), *read(path)};
  std::string out;
  for (const text::Diagnostic& diagnostic : text::assemble(source, resolver).diagnostics) {
    out += text::format(diagnostic, false);
  }
  return out;
}

}  // namespace

TEST_CASE("every kind of mistake is shown with its place, and a hint where there is one") {
  std::vector<fs::path> sources;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".atoll") sources.push_back(entry.path());
  }
  std::sort(sources.begin(), sources.end());
  REQUIRE(sources.size() >= 60);
  for (const fs::path& source : sources) {
    CAPTURE(source.string());
    const std::string found = diagnostics_of(source);
    CHECK_FALSE(found.empty());
    fs::path expected = source;
    expected.replace_extension(".expected");
    if (std::getenv("ATOLL_UPDATE") != nullptr) {
      std::ofstream(expected, std::ios::binary) << found;
    } else {
      CHECK(found == read(expected).value_or("(no expected text)"));
    }
  }
}
