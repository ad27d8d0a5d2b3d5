// Images: tar archives with a manifest, a module and, below "root", a file system. docs/images.md
// has the format.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "stdlib/vfs/vfs.hpp"
#include "vm/base/result.hpp"

namespace atollvm::vfs {

// The names of the members; the manifest is the first one, by which images are told from others.
inline constexpr std::string_view image_manifest = "atoll-image.toml";
inline constexpr std::string_view image_module = "module";
inline constexpr std::string_view image_root = "root";

// Whether a file, or its bytes, begin as an image does.
bool is_image(const std::string& path);
bool begins_image(std::string_view bytes);

// What is below "root". Errors: those of open_archive, malformed (no image), not_found (it has no
// root).
base::Result<std::shared_ptr<Directory>> open_image_root(const std::string& path);

}  // namespace atollvm::vfs
