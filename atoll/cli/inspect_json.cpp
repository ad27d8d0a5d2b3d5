#include <nlohmann/json.hpp>

#include "cli/inspect.hpp"

namespace atollvm::cli {

using OrderedJson = nlohmann::ordered_json;

OrderedJson inspect_object(const ModuleInfo& info) {
  OrderedJson json;
  json["name"] = info.name;
  json["file_bytes"] = info.file_bytes;
  json["code_bytes"] = info.code_bytes;
  json["data_bytes"] = info.data_bytes;
  json["has_start"] = info.has_start;
  json["sections"] = OrderedJson::array();
  for (const SectionInfo& each : info.sections) {
    json["sections"].push_back({{"name", each.name}, {"offset", each.offset}, {"size", each.size}});
  }
  json["imports"] = OrderedJson::array();
  for (const ImportInfo& each : info.imports) {
    OrderedJson import = {{"module", each.module},
                          {"name", each.name},
                          {"kind", to_text(each.kind)},
                          {"type", each.type},
                          {"is_host_call", each.is_host_call}};
    if (!each.object.empty()) import["handle"] = {{"object", each.object}, {"rights", each.rights}};
    json["imports"].push_back(std::move(import));
  }
  json["exports"] = OrderedJson::array();
  for (const ExportInfo& each : info.exports) {
    json["exports"].push_back({{"name", each.name},
                               {"kind", to_text(each.kind)},
                               {"index", each.index},
                               {"type", each.type}});
  }
  json["functions"] = OrderedJson::array();
  for (const FunctionInfo& each : info.functions) {
    json["functions"].push_back({{"index", each.index},
                                 {"name", each.name},
                                 {"type", each.type},
                                 {"code_bytes", each.code_bytes},
                                 {"frame_slots", each.frame_slots},
                                 {"location", each.location}});
  }
  json["memories"] = OrderedJson::array();
  for (const MemoryInfo& each : info.memories) {
    OrderedJson memory = {{"min_bytes", each.min_bytes}, {"max_bytes", nullptr}};
    if (each.max_bytes) memory["max_bytes"] = *each.max_bytes;
    json["memories"].push_back(std::move(memory));
  }
  json["sources"] = info.sources;
  return json;
}

std::string json_text(const OrderedJson& json) {
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace atollvm::cli
