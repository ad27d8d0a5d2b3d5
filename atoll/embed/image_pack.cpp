// `atoll pack`: an image out of a manifest, a module and a directory.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "atoll/embed/image_manifest.hpp"
#include "atoll/embed/image_tar.hpp"
#include "atoll/embed/impl.hpp"
#include "atoll/embed/read.hpp"
#include "atoll/embed/signature.hpp"
#include "atoll/embed/sources.hpp"
#include "stdlib/vfs/image.hpp"

namespace atollvm {
namespace {

namespace fs = std::filesystem;

struct Member {
  TarType type = TarType::file;
  fs::path source{};
  std::string target{};
};

// All of a directory by their names in the image, a directory before what is in it.
using Members = std::map<std::string, Member>;

std::optional<Error> collect(const fs::path& root, Members& members) {
  std::error_code error;
  const auto wrong_with = [&error](const fs::path& at) {
    return Error{
        error == std::errc::no_such_file_or_directory ? ErrorCode::not_found : ErrorCode::io,
        at.string(), error.message()};
  };
  fs::recursive_directory_iterator each(root, error);
  if (error) return wrong_with(root);
  for (; each != fs::recursive_directory_iterator(); each.increment(error)) {
    const fs::path& path = each->path();
    Member member{.source = path};
    const fs::file_status status = each->symlink_status(error);
    if (error) return wrong_with(path);
    if (fs::is_symlink(status)) {
      member.type = TarType::link;
      member.target = fs::read_symlink(path, error).string();
      if (error) return wrong_with(path);
    } else if (fs::is_directory(status)) {
      member.type = TarType::directory;
    } else if (!fs::is_regular_file(status)) {
      return Error{ErrorCode::unsupported, path.string(),
                   "only files, directories and symbolic links can be packed"};
    }
    members[std::string(vfs::image_root) + '/' + path.lexically_relative(root).string()] = member;
  }
  if (error) return wrong_with(root);
  return std::nullopt;
}

}  // namespace

Result<std::string> pack_image(const std::string& manifest, std::string_view private_key) {
  const Result<std::string> text = read_file(manifest);
  if (!text) return text.error();
  const auto source = read_manifest_source(manifest, *text);
  if (!source) return to_public(source.error());
  const fs::path folder = fs::path(manifest).parent_path();
  std::string tar;
  const std::string about = to_text(source->manifest);
  // What is written must be read again: it may be larger than the source by its quotes.
  if (const auto again = read_manifest(manifest, about); !again) return to_public(again.error());
  add_member(tar, TarType::file, vfs::image_manifest, about);

  const std::string module = (folder / source->module).string();
  const Result<std::string> bytes = read_file(module);
  if (!bytes) return bytes.error();
  if (!is_module_file(*bytes) && !is_wasm_file(*bytes)) {
    return Error{ErrorCode::invalid, module,
                 "is neither a module file nor a WebAssembly module; `atoll asm` makes one of a "
                 "source"};
  }
  if (const auto verified = read_verified(*bytes); !verified) {
    Error error = to_public(verified.error());
    error.place = module + (error.place.empty() ? "" : ": " + error.place);
    return error;
  }
  add_member(tar, TarType::file, vfs::image_module, *bytes);

  Members members;
  if (source->manifest.has_root) members[std::string(vfs::image_root)].type = TarType::directory;
  if (!source->root.empty()) {
    if (auto error = collect(folder / source->root, members)) return *std::move(error);
  }
  const std::string modules = std::string(vfs::image_root) + "/modules";
  for (const std::string& each : source->modules) {
    const fs::path path = folder / each;
    if (members.try_emplace(modules, Member{.type = TarType::directory}).first->second.type !=
        TarType::directory) {
      return Error{ErrorCode::invalid, manifest, "`root` has a file /modules: `modules` go there"};
    }
    const std::string name = modules + '/' + path.filename().string();
    if (!members.try_emplace(name, Member{.source = path}).second) {
      return Error{ErrorCode::invalid, path.string(), "there is another file of this name"};
    }
  }
  for (const auto& [name, member] : members) {
    std::string content;
    if (member.type == TarType::file) {
      Result<std::string> read = read_file(member.source.string());
      if (!read) return std::move(read).error();
      content = *std::move(read);
    }
    if (content.size() > max_image - std::min(max_image, tar.size())) {
      return Error{ErrorCode::limit, member.source.string(), "an image has at most 1 GiB"};
    }
    add_member(tar, member.type, name, content, member.target);
  }
  if (private_key.empty()) {
    add_end(tar);
    return tar;
  }
  const auto signature = sign(tar, private_key);
  if (!signature) return to_public(signature.error());
  return tar + signature_tail(*signature);
}

}  // namespace atollvm
