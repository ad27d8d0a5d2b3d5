// Any text, as TOML and as JSON, gives a mistake or machines; these come back from their JSON.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "scheduler/machine/spec.hpp"

using namespace atollvm;

namespace {

void check_round_trip(const machine::MachineSpec& spec) {
  const std::string text = machine::to_json(spec).dump();
  const auto document = machine::Document::json(text, text.size());
  if (!document.ok()) std::abort();
  machine::Reader reader(*document);
  const machine::MachineSpec again = machine::read_machine(reader, document->root(), "");
  if (!reader.ok() || machine::to_json(again).dump() != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = machine::read_machine_file("fuzz.toml", text, "/folder");
  if (file.ok()) {
    for (const auto& spec : file->machines) check_round_trip(spec);
  } else if (!file.error().place.starts_with("fuzz.toml") || file.error().message.empty()) {
    std::abort();
  }
  const auto document = machine::Document::json(text, 1 << 16);
  if (!document.ok()) return 0;
  machine::Reader reader(*document);
  const machine::MachineSpec spec = machine::read_machine(reader, document->root(), "");
  if (reader.ok()) check_round_trip(spec);
  return 0;
}
