#include "vm/base/utf8.hpp"

#include <doctest/doctest.h>

using namespace atollvm::base;
using namespace std::string_view_literals;

TEST_CASE("utf8: shortest forms up to U+10FFFF without surrogates") {
  for (const auto text : {""sv, "plain\0text"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv,
                          "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbf"sv,
                          "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "a\xc3\xa4z"sv}) {
    CHECK(is_utf8(text));
  }
  for (const auto text :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x7f"sv, "\xc2\xc0"sv,
        "\xe0\x9f\xbf"sv, "\xe1\x80"sv, "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv, "\xf0\x8f\xbf\xbf"sv,
        "\xf0\x90\x80"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "a\xe2\x82"sv}) {
    CHECK_FALSE(is_utf8(text));
  }
}

TEST_CASE("printable: control characters, broken text, length") {
  CHECK(printable("main") == "main");
  CHECK(printable("s\xc3\xbcm") == "s\xc3\xbcm");
  CHECK(printable("a\x1b[1m\n\x7f") == "a?[1m??");
  CHECK(printable("a\xff\xc3") == "a??");
  CHECK(printable(std::string(65, 'x')) == std::string(64, 'x') + "...");
  CHECK(printable("abc", 3) == "abc");
  // A character is not cut in half.
  CHECK(printable("ab\xe2\x82\xac", 4) == "ab...");
  CHECK(printable("ab\xe2\x82\xac", 5) == "ab\xe2\x82\xac");
}
