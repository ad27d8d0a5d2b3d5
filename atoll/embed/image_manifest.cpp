#include "atoll/embed/image_manifest.hpp"

#include <fmt/format.h>

#include <set>

#include "scheduler/machine/config.hpp"

namespace atollvm {
namespace {

using machine::Node;

constexpr u64 manifest_format = 1;
constexpr usize max_manifest_text = 1 << 20;
constexpr usize max_path_text = 4095;
constexpr usize max_list = 1000;
// Those in memory come without a grant: 1 GiB with the changes to the root.
constexpr usize max_image_mounts = 15;
constexpr usize max_argument = 1 << 16;
constexpr u64 max_count = u64{1} << 62;
constexpr std::string_view image_mount_words[] = {"dir", "memory", "overlay", "archive"};
constexpr std::string_view image_access_words[] = {"ro", "rw"};

class ManifestReader {
 public:
  ManifestReader(const machine::Document& document, bool is_source)
      : reader_(document), root_(document.root()), is_source_(is_source) {}

  base::Result<ManifestSource> read() {
    if (is_source_) {
      reader_.known(root_, "a manifest",
                    {"name", "module", "modules", "root", "overlay", "size", "arguments",
                     "environment", "limits", "mounts"});
    } else {
      reader_.known(root_, "a manifest",
                    {"format", "name", "root", "overlay", "size", "arguments", "environment",
                     "limits", "mounts"});
    }
    ImageManifest& manifest = result_.manifest;
    manifest.name = reader_.text(root_, "name", "");
    if (manifest.name.empty()) reader_.fail(root_, "an image needs a `name`");
    if (is_source_) {
      result_.module = reader_.text(root_, "module", "", max_path_text);
      if (result_.module.empty()) reader_.fail(root_, "an image needs a `module`: its file");
      result_.modules = texts("modules", max_path_text, true);
      result_.root = reader_.text(root_, "root", "", max_path_text);
      manifest.has_root = !result_.root.empty() || !result_.modules.empty();
    } else {
      const u64 version = reader_.integer(root_, "format", 0, max_count, 0);
      if (version != manifest_format) {
        reader_.fail(root_, fmt::format("images have the format {}, and this one {}",
                                        manifest_format, version));
      }
      manifest.has_root = reader_.boolean(root_, "root", false);
    }
    manifest.is_overlay = reader_.boolean(root_, "overlay", false);
    if (manifest.is_overlay && !manifest.has_root) {
      reader_.fail(root_, "`overlay` is about the image's own `root`, and it has none");
    }
    manifest.bytes = size(root_, "size");
    if (manifest.bytes && !manifest.is_overlay) {
      reader_.fail(*root_.find("size"), "`size` limits the changes of an `overlay`");
    }
    manifest.arguments = texts("arguments", max_argument, false);
    read_environment();
    if (const Node* const limits = root_.find("limits")) {
      reader_.known(*limits, "`limits`", {"memory", "stack", "handles", "fuel"});
      manifest.memory_bytes = size(*limits, "memory");
      manifest.stack_bytes = size(*limits, "stack");
      manifest.handles = number(*limits, "handles");
      manifest.fuel = number(*limits, "fuel");
    }
    reader_.each_table(root_, "mounts", max_image_mounts,
                       [this](const Node& each) { read_mount(each); });
    if (!reader_.ok()) return *reader_.error();
    return std::move(result_);
  }

 private:
  std::optional<u64> size(const Node& table, std::string_view key) {
    if (table.find(key) == nullptr) return std::nullopt;
    return reader_.size(table, key, 1, max_count, 1);
  }
  std::optional<u64> number(const Node& table, std::string_view key) {
    if (table.find(key) == nullptr) return std::nullopt;
    return reader_.integer(table, key, 1, max_count, 1);
  }
  std::vector<std::string> texts(std::string_view key, usize most, bool is_path) {
    std::vector<std::string> result;
    const Node* const node = root_.find(key);
    if (node == nullptr) return result;
    if (node->list() == nullptr || node->list()->size() > max_list) {
      reader_.fail(*node, fmt::format("`{}` must be a list of at most {} texts", key, max_list));
      return result;
    }
    for (const Node& each : *node->list()) {
      const std::string* const text = each.text();
      if (text == nullptr || text->size() > most || (is_path && text->empty()) ||
          text->find('\0') != std::string::npos) {
        reader_.fail(each, fmt::format("each in `{}` must be a text of at most {} bytes, without "
                                       "NUL",
                                       key, most));
        return result;
      }
      result.push_back(*text);
    }
    return result;
  }
  void read_environment() {
    const Node* const node = root_.find("environment");
    if (node == nullptr) return;
    if (node->table() == nullptr || node->table()->size() > max_list) {
      return reader_.fail(
          *node, fmt::format("`environment` must be a table of at most {} texts", max_list));
    }
    for (const machine::Member& each : *node->table()) {
      const std::string* const text = each.node.text();
      const bool is_name = !each.key.empty() && each.key.size() <= max_path_text &&
                           each.key.find('=') == std::string::npos &&
                           each.key.find('\0') == std::string::npos;
      if (!is_name || text == nullptr || text->size() > max_argument ||
          text->find('\0') != std::string::npos) {
        return reader_.fail(each.node, "a variable must be a text without NUL, its name without =");
      }
      result_.manifest.environment.emplace_back(each.key, *text);
    }
  }
  void read_mount(const Node& node) {
    reader_.known(node, "a mount", {"guest", "type", "access", "required", "about", "size"});
    ImageMount mount;
    mount.guest = reader_.text(node, "guest", "", max_path_text);
    if (mount.guest.empty()) {
      reader_.fail(node, "a mount needs `guest`: the path by which the guest names it");
    } else if (!guests_.insert(mount.guest).second) {
      reader_.fail(node, "there is a mount of this `guest` already");
    }
    mount.type = image_mount_words[reader_.word(node, "type", image_mount_words, 0)];
    mount.writable = reader_.word(node, "access", image_access_words, 1) == 1;
    mount.is_required = reader_.boolean(node, "required", false);
    mount.about = reader_.text(node, "about", "", 1000);
    mount.bytes = size(node, "size");
    if (mount.bytes && mount.type != "memory") {
      reader_.fail(*node.find("size"), "only a mount of the type memory has a `size`");
    }
    result_.manifest.mounts.push_back(std::move(mount));
  }

  machine::Reader reader_;
  const Node& root_;
  bool is_source_;
  ManifestSource result_;
  std::set<std::string> guests_;
};

// As TOML's basic strings are written.
std::string toml_text(std::string_view text) {
  std::string result = "\"";
  for (const char each : text) {
    const u8 byte = static_cast<u8>(each);
    if (each == '"' || each == '\\') {
      result += '\\';
      result += each;
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += each;
    }
  }
  return result + '"';
}

}  // namespace

base::Result<ManifestSource> read_manifest_source(std::string_view name, std::string_view text) {
  const auto document = machine::Document::toml(name, text, max_manifest_text);
  if (!document) return document.error();
  return ManifestReader(*document, true).read();
}

base::Result<ImageManifest> read_manifest(std::string_view name, std::string_view text) {
  const auto document = machine::Document::toml(name, text, max_manifest_text);
  if (!document) return document.error();
  auto source = ManifestReader(*document, false).read();
  if (!source) return std::move(source).error();
  return std::move(source->manifest);
}

std::string to_text(const ImageManifest& manifest) {
  std::string text =
      fmt::format("format = {}\nname = {}\n", manifest_format, toml_text(manifest.name));
  if (manifest.has_root) text += "root = true\n";
  if (manifest.is_overlay) text += "overlay = true\n";
  const auto number = [&text](const char* key, const std::optional<std::uint64_t>& value) {
    if (value) text += fmt::format("{} = {}\n", key, *value);
  };
  number("size", manifest.bytes);
  if (!manifest.arguments.empty()) {
    text += "arguments = [";
    for (usize i = 0; i < manifest.arguments.size(); ++i) {
      text += (i == 0 ? "" : ", ") + toml_text(manifest.arguments[i]);
    }
    text += "]\n";
  }
  if (!manifest.environment.empty()) text += "\n[environment]\n";
  for (const auto& [key, value] : manifest.environment) {
    text += fmt::format("{} = {}\n", toml_text(key), toml_text(value));
  }
  if (manifest.memory_bytes || manifest.stack_bytes || manifest.handles || manifest.fuel) {
    text += "\n[limits]\n";
    number("memory", manifest.memory_bytes);
    number("stack", manifest.stack_bytes);
    number("handles", manifest.handles);
    number("fuel", manifest.fuel);
  }
  for (const ImageMount& each : manifest.mounts) {
    text += fmt::format("\n[[mounts]]\nguest = {}\ntype = {}\naccess = \"{}\"\n",
                        toml_text(each.guest), toml_text(each.type), each.writable ? "rw" : "ro");
    if (each.is_required) text += "required = true\n";
    if (!each.about.empty()) text += fmt::format("about = {}\n", toml_text(each.about));
    number("size", each.bytes);
  }
  return text;
}

}  // namespace atollvm
