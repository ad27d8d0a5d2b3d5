// Names and bytes as they are written in a source.
#pragma once

#include <string>
#include <string_view>

namespace atollvm::text {

// Any bytes as a string literal with its quotes: printable UTF-8 stays as it is, all else is
// escaped, also characters that are invisible or change the direction of writing.
std::string quote(std::string_view bytes);

// True if the text is a name by itself and no literal.
bool is_plain_name(std::string_view text);

}  // namespace atollvm::text
