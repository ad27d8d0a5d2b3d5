// Between the public types for source texts and those of the assembler.
#pragma once

#include <vector>

#include <atoll/diagnostic.hpp>

#include "assembler/text/assemble.hpp"

namespace atollvm {

std::vector<Diagnostic> to_public(std::vector<text::Diagnostic> diagnostics);

// Libraries are those of host::library, files come from `reader`, which must outlive the
// resolver.
text::Resolver make_resolver(const FileReader& reader);

}  // namespace atollvm
