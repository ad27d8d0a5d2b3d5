#include <atoll/doc.hpp>

#include <utility>

#include "assembler/text/document.hpp"
#include "atoll/embed/sources.hpp"
#include "stdlib/host/host.hpp"

namespace atollvm::tools {

Documentation document(const Source& source) {
  text::Documentation found = text::document({source.name, source.text});
  Documentation result;
  result.text = std::move(found.text);
  result.diagnostics = to_public(std::move(found.diagnostics));
  for (text::DocItem& item : found.items) {
    result.items.push_back({std::move(item.kind), std::move(item.name), std::move(item.signature),
                            std::move(item.text), std::move(item.section), item.line});
  }
  return result;
}

std::optional<Source> library_source(std::string_view name) {
  const auto text = host::library(name);
  if (!text) return std::nullopt;
  return Source{std::string(name), std::string(*text)};
}

std::vector<std::string> library_names() {
  std::vector<std::string> names;
  for (const std::string_view name : host::library_names()) names.emplace_back(name);
  return names;
}

}  // namespace atollvm::tools
