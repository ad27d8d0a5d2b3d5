// Mistakes in source texts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)
namespace atollvm {

// One mistake. Lines and columns count from 1; columns and `width` count characters (UTF-8 code
// points).
struct Diagnostic {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t width = 1;  // characters to underline
  std::string message;      // what is wrong
  std::string hint;         // what to do about it; may be empty
  std::string line_text;    // the whole line
};

// As a person reads it: "file:line:column: error: message", the line, a caret, the hint. Several
// lines, the last one ended. With `color`, ANSI colours. Any thread.
std::string to_text(const Diagnostic& diagnostic, bool color);

// A source text of Atoll assembly.
struct Source {
  std::string name;  // as diagnostics and traces show it; a path, or "<stdin>" and the like
  std::string text;
};

// Finds the file that a source names by `use "FILE"` or `file "FILE"`. `from` is the using
// source's name, `name` is as written there. Nothing: there is no such file.
using FileReader =
    std::function<std::optional<Source>(std::string_view from, std::string_view name)>;

// Reads ordinary files of the host, relative to the directory of the using source, with the
// rights of the calling program; no file above 256 MiB. What is used when no FileReader is given.
std::optional<Source> read_source_file(std::string_view from, std::string_view name);

// Reads no files: `use "FILE"` is an error. For sources that are not trusted.
std::optional<Source> no_source_files(std::string_view from, std::string_view name);

}  // namespace atollvm
#pragma GCC visibility pop
