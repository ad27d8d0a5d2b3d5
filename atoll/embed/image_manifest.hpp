// The manifest of an image, and of what is to become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <atoll/image.hpp>

#include "vm/base/result.hpp"

namespace atollvm {

struct ManifestSource {
  ImageManifest manifest;
  // Paths on the host, as they are written.
  std::string module;
  std::vector<std::string> modules;
  std::string root;
};

// What `atoll pack` reads. Errors: malformed, invalid, limit; with the place in the text.
base::Result<ManifestSource> read_manifest_source(std::string_view name, std::string_view text);
// What is in an image; and the same as text, in one way only.
base::Result<ImageManifest> read_manifest(std::string_view name, std::string_view text);
std::string to_text(const ImageManifest& manifest);

}  // namespace atollvm
