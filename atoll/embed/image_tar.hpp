// The tar archive that an image is: what of it has only one form.
#pragma once

#include <string>
#include <string_view>

#include "vm/base/types.hpp"

namespace atollvm {

inline constexpr std::string_view signature_member = "signature";
inline constexpr usize tar_block = 512;
inline constexpr usize max_image = usize{1} << 30;

enum class TarType : char { file = '0', link = '2', directory = '5' };

// Adds a member. `target` is of a link. Names and targets may be of any length.
void add_member(std::string& tar, TarType type, std::string_view name, std::string_view bytes,
                std::string_view target = {});
// What ends a tar archive.
void add_end(std::string& tar);

// What stands behind the content of an image that is signed: the member with the signature, and the
// end.
std::string signature_tail(std::string_view signature);

}  // namespace atollvm
