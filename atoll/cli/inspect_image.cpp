// `atoll inspect` of an image.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/image.hpp"
#include "cli/inspect.hpp"

namespace atollvm::cli {

namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view modules_folder = "/modules/";

// A module of an image: its program's, or one of those that this finds in /modules.
struct Held {
  std::string path;  // "module", or as the guest names it
  std::uint64_t size = 0;
  Result<ModuleInfo> info;
};

Held held(const Engine& engine, const std::string& path, const Result<std::string>& bytes) {
  if (!bytes) return {path, 0, bytes.error()};
  const Result<Module> module = Module::load(engine, *bytes);
  return {path, bytes->size(),
          module ? Result<ModuleInfo>(module->info()) : Result<ModuleInfo>(module.error())};
}

std::vector<Held> modules_of(const Image& image, const std::vector<ImageFile>& files) {
  const Engine engine;
  std::vector<Held> modules;
  modules.push_back(held(engine, "module", image.module_bytes()));
  for (const ImageFile& file : files) {
    if (file.type != ImageFile::Type::file || !file.path.starts_with(modules_folder) ||
        file.path.find('/', modules_folder.size()) != file.path.npos) {
      continue;
    }
    const Result<std::string> bytes = image.file_bytes(file.path);
    if (bytes && !is_module_file(*bytes) && !is_wasm_file(*bytes)) continue;
    modules.push_back(held(engine, file.path, bytes));
  }
  return modules;
}

std::string text_of(const Held& module) {
  if (!module.info) {
    return fmt::format("  {}: {} bytes, can't be run: {}\n", printable(module.path), module.size,
                       printable(module.info.error().text()));
  }
  return fmt::format("  {}: {} bytes, {} of code, {} of data\n{}", printable(module.path),
                     module.size, module.info->code_bytes, module.info->data_bytes,
                     capability_lines(*module.info, "    "));
}

std::string text_of(const ImageFile& file) {
  switch (file.type) {
    case ImageFile::Type::directory:
      return fmt::format("  {:>10} {}/\n", "", printable(file.path));
    case ImageFile::Type::link:
      return fmt::format("  {:>10} {} -> {}\n", "", printable(file.path), printable(file.target));
    default:
      return fmt::format("  {:>10} {}\n", file.size, printable(file.path));
  }
}

OrderedJson object_of(const Held& module) {
  OrderedJson json = {{"path", module.path}, {"size", module.size}};
  if (module.info) {
    json["info"] = inspect_object(*module.info);
  } else {
    json["error"] = module.info.error().text();
  }
  return json;
}

OrderedJson object_of(const ImageFile& file) {
  constexpr const char* types[] = {"file", "directory", "link"};
  OrderedJson json = {{"path", file.path}, {"type", types[static_cast<int>(file.type)]}};
  if (file.type == ImageFile::Type::file) json["size"] = file.size;
  if (file.type == ImageFile::Type::link) json["target"] = file.target;
  return json;
}

}  // namespace

int inspect_image(const std::string& path, const std::string& key, bool as_json) {
  const auto image = open_checked(path, key);
  if (!image) return exit_failure;
  const Result<std::vector<ImageFile>> files = image->files();
  if (!files) {
    complain(printable(files.error().text()));
    return exit_failure;
  }
  const std::vector<Held> modules = modules_of(*image, *files);
  std::string text;
  if (as_json) {
    OrderedJson json = image_object(*image);
    json["verified"] = !key.empty();
    json["modules"] = OrderedJson::array();
    for (const Held& each : modules) json["modules"].push_back(object_of(each));
    json["files"] = OrderedJson::array();
    for (const ImageFile& each : *files) json["files"].push_back(object_of(each));
    text = json_text(json);
  } else {
    text = describe(*image);
    text += fmt::format("  {:<12}{}\n", "signature",
                        !key.empty()         ? "good, by the owner of " + printable(key)
                        : image->is_signed() ? "not checked: --verify KEY does that"
                                             : "none");
    text += "\nmodules, and capabilities that their host calls work on:\n";
    for (const Held& each : modules) text += text_of(each);
    if (!files->empty()) text += "\nfiles, with their bytes:\n";
    for (const ImageFile& each : *files) text += text_of(each);
  }
  const int written = write_output("-", text);
  return modules.front().info ? written : int{exit_failure};
}

}  // namespace atollvm::cli
