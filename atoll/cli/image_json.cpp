#include <nlohmann/json.hpp>

#include "cli/image.hpp"

namespace atollvm::cli {

nlohmann::ordered_json image_object(const Image& image) {
  using OrderedJson = nlohmann::ordered_json;
  const ImageManifest& manifest = image.manifest();
  const auto number = [](const std::optional<std::uint64_t>& value) {
    return value ? OrderedJson(*value) : OrderedJson();
  };
  OrderedJson json = {{"name", manifest.name},          {"signed", image.is_signed()},
                      {"root", manifest.has_root},      {"overlay", manifest.is_overlay},
                      {"size", number(manifest.bytes)}, {"arguments", manifest.arguments}};
  json["environment"] = OrderedJson::object();
  for (const auto& [key, value] : manifest.environment) json["environment"][key] = value;
  json["limits"] = {{"memory", number(manifest.memory_bytes)},
                    {"stack", number(manifest.stack_bytes)},
                    {"handles", number(manifest.handles)},
                    {"fuel", number(manifest.fuel)}};
  json["mounts"] = OrderedJson::array();
  for (const ImageMount& each : manifest.mounts) {
    json["mounts"].push_back({{"guest", each.guest},
                              {"type", each.type},
                              {"access", each.writable ? "rw" : "ro"},
                              {"required", each.is_required},
                              {"about", each.about},
                              {"size", number(each.bytes)}});
  }
  return json;
}

}  // namespace atollvm::cli
