// Text in XML: test reports and plots.
#pragma once

#include <string>
#include <string_view>

namespace atollvm::cli {

// For text, and for attributes in double quotes. What XML 1.0 does not allow becomes U+FFFD.
std::string xml_escaped(std::string_view text, bool attribute);

}  // namespace atollvm::cli
