// Any bytes are refused as an image, or make one whose parts can be read; and any text as a
// manifest, or it is written again as the same.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <atoll/image.hpp>

#include "atoll/embed/image_manifest.hpp"
#include "stdlib/vfs/image.hpp"

using namespace atollvm;

namespace {

void check_manifest(std::string_view text) {
  for (const auto& manifest : {read_manifest("fuzz", text), [&]() -> base::Result<ImageManifest> {
                                 auto source = read_manifest_source("fuzz", text);
                                 if (!source) return source.error();
                                 return source->manifest;
                               }()}) {
    if (!manifest) continue;
    const std::string written = to_text(*manifest);
    const auto again = read_manifest("again", written);
    // One with many quotes can become too long.
    if (!again && again.error().code == base::ErrorCode::limit) continue;
    if (!again || to_text(*again) != written) std::abort();
  }
}

void check_image(std::string_view bytes) {
  const int fd = memfd_create("image", MFD_CLOEXEC);
  if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto image = Image::open(path);
  if (image.ok()) {
    static_cast<void>(image->module_bytes());
    if (const auto files = image->files()) {
      for (const ImageFile& each : *files) static_cast<void>(image->file_bytes(each.path));
    }
    ProcessOptions options;
    static_cast<void>(image->apply({}, options));
    if (image->manifest().has_root) {
      const auto root = vfs::open_image_root(path);
      if (!root) std::abort();
      static_cast<void>((*root)->list(0, 4096, vfs::Wait::allowed));
    }
  }
  close(fd);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with(vfs::image_manifest)) {
    check_image(bytes);
  } else {
    check_manifest(bytes);
  }
  return 0;
}
