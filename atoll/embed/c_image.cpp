// The C interface: images.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <atoll/image.hpp>

#include "atoll/embed/c_api.hpp"

using namespace atollvm;
using c::attempt;
using c::guard;
using c::make_error;

struct atoll_image {
  Image image;
};

namespace {

// An empty text would mean that there is none.
std::string key_of(const char* text) {
  if (text == nullptr) return {};
  return *text == '\0' ? "\n" : text;
}

atoll_error* give_bytes(const Result<std::string>& made, uint8_t** bytes, size_t* size) {
  if (!made) return make_error(made.error());
  auto* const copy = static_cast<uint8_t*>(std::malloc(std::max<size_t>(made->size(), 1)));
  if (copy == nullptr) return &c::no_memory;
  std::memcpy(copy, made->data(), made->size());
  *bytes = copy;
  *size = made->size();
  return nullptr;
}

static_assert(ATOLL_IMAGE_DIRECTORY == static_cast<int>(ImageFile::Type::directory));
static_assert(ATOLL_IMAGE_LINK == static_cast<int>(ImageFile::Type::link));

}  // namespace

bool atoll_image_is(const char* path) {
  return attempt([&] { return Image::is_image(path); });
}
atoll_error* atoll_image_open(const char* path, const char* public_key, atoll_image** image) {
  return guard([&]() -> atoll_error* {
    auto opened = Image::open(path, key_of(public_key));
    if (!opened) return make_error(opened.error());
    *image = new atoll_image{*std::move(opened)};
    return nullptr;
  });
}
void atoll_image_free(atoll_image* image) { delete image; }

const char* atoll_image_name(const atoll_image* image) {
  return image->image.manifest().name.c_str();
}
bool atoll_image_is_signed(const atoll_image* image) { return image->image.is_signed(); }

void atoll_image_get_manifest(const atoll_image* image, atoll_image_manifest* manifest) {
  const ImageManifest& own = image->image.manifest();
  *manifest = {own.has_root,
               own.is_overlay,
               own.bytes.value_or(0),
               own.memory_bytes.value_or(0),
               own.stack_bytes.value_or(0),
               own.handles.value_or(0),
               own.fuel.value_or(0),
               own.arguments.size(),
               own.environment.size(),
               own.mounts.size()};
}
const char* atoll_image_argument(const atoll_image* image, size_t position) {
  const auto& all = image->image.manifest().arguments;
  return position < all.size() ? all[position].c_str() : nullptr;
}
const char* atoll_image_variable_name(const atoll_image* image, size_t position) {
  const auto& all = image->image.manifest().environment;
  return position < all.size() ? all[position].first.c_str() : nullptr;
}
const char* atoll_image_variable_value(const atoll_image* image, size_t position) {
  const auto& all = image->image.manifest().environment;
  return position < all.size() ? all[position].second.c_str() : nullptr;
}
bool atoll_image_get_mount(const atoll_image* image, size_t position, atoll_image_mount* mount) {
  const auto& all = image->image.manifest().mounts;
  if (position >= all.size()) return false;
  const ImageMount& own = all[position];
  *mount = {own.guest.c_str(), own.type.c_str(), own.about.c_str(),
            own.writable,      own.is_required,  own.bytes.value_or(0)};
  return true;
}

atoll_error* atoll_image_files(const atoll_image* image,
                               bool (*visit)(void* env, const char* path,
                                             atoll_image_file_type type, uint64_t size,
                                             const char* target),
                               void* env) {
  return guard([&]() -> atoll_error* {
    const auto files = image->image.files();
    if (!files) return make_error(files.error());
    for (const ImageFile& each : *files) {
      if (!visit(env, each.path.c_str(), static_cast<atoll_image_file_type>(each.type), each.size,
                 each.target.c_str())) {
        break;
      }
    }
    return nullptr;
  });
}
atoll_error* atoll_image_read(const atoll_image* image, const char* path, uint8_t** bytes,
                              size_t* size) {
  return guard([&] { return give_bytes(image->image.file_bytes(path), bytes, size); });
}
atoll_error* atoll_image_module(const atoll_image* image, const atoll_engine* engine,
                                atoll_module** module) {
  return guard([&]() -> atoll_error* {
    const auto bytes = image->image.module_bytes();
    if (!bytes) return make_error(bytes.error());
    return atoll_module_load(engine, bytes->data(), bytes->size(), module);
  });
}

atoll_error* atoll_image_apply(const atoll_image* image, const atoll_image_grant* grants,
                               size_t count, atoll_options* options) {
  return guard([&]() -> atoll_error* {
    std::vector<ImageGrant> given;
    for (size_t i = 0; i < count; ++i) {
      given.push_back({grants[i].guest, grants[i].source == nullptr ? "" : grants[i].source,
                       grants[i].writable});
    }
    ProcessOptions changed = options->options;
    if (options->handles) changed.limits.handles = *options->handles;
    if (const auto error = image->image.apply(given, changed)) return make_error(*error);
    if (options->handles) options->handles = changed.limits.handles;
    options->options = std::move(changed);
    return nullptr;
  });
}

atoll_error* atoll_image_pack(const char* manifest, const char* private_key, uint8_t** bytes,
                              size_t* size) {
  return guard([&] { return give_bytes(pack_image(manifest, key_of(private_key)), bytes, size); });
}
void atoll_bytes_free(uint8_t* bytes) { std::free(bytes); }
