#include "stdlib/vfs/image.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/posix.hpp"

namespace atollvm::vfs {

bool is_image(const std::string& path) {
  if (path.find('\0') != std::string::npos || !is_file(path)) return false;
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, image_manifest.size() + 1> first{};
  if (!file || read(file.get(), first.data(), first.size()) != ssize_t{first.size()}) return false;
  return begins_image({first.data(), first.size()});
}

// The first member's name, and the NUL behind it.
bool begins_image(std::string_view bytes) {
  return bytes.size() > image_manifest.size() && bytes.starts_with(image_manifest) &&
         bytes[image_manifest.size()] == '\0';
}

base::Result<std::shared_ptr<Directory>> open_image_root(const std::string& path) {
  auto whole = open_archive(path, {});
  if (!whole) return whole;
  if (!is_image(path)) {
    return base::Error{base::ErrorCode::malformed, path,
                       "it is no image; `atoll pack` makes one, and a mount of the type archive "
                       "takes other archives"};
  }
  const auto opened = (*whole)->open(image_root, open_directory | open_nofollow, {}, Wait::allowed);
  const auto* const root = std::get_if<std::shared_ptr<cap::Object>>(&opened);
  if (root == nullptr) {
    return base::Error{base::ErrorCode::not_found, path, "the image has no file system"};
  }
  return std::static_pointer_cast<Directory>(*root);
}

}  // namespace atollvm::vfs
