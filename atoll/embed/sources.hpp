// Between the public types for source texts and those of the assembler.
#pragma once

#include <string>
#include <vector>

#include <atoll/diagnostic.hpp>
#include <atoll/result.hpp>

#include "assembler/text/assemble.hpp"

namespace atollvm {

std::vector<Diagnostic> to_public(std::vector<text::Diagnostic> diagnostics);

// A path as messages show it.
std::string shown_path(const std::string& path);

// The whole of a regular file of at most 256 MiB. Errors, with the path: not_found, denied, io,
// limit.
Result<std::string> read_file(const std::string& path);

// Libraries are those of host::library, files come from `reader`, which must outlive the
// resolver.
text::Resolver make_resolver(const FileReader& reader);

}  // namespace atollvm
