// What the commands that take images share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include <atoll/image.hpp>

namespace atollvm::cli {

// Opens an image, whose signature is checked if `key` names a file with a public key. Complains.
std::optional<Image> open_checked(const std::string& path, const std::string& key);
// What it is and asks for, for people.
std::string describe(const Image& image);
// The same for programs.
nlohmann::ordered_json image_object(const Image& image);

}  // namespace atollvm::cli
