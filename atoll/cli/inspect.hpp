// What `atoll inspect` shows.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include <atoll/image.hpp>
#include <atoll/module.hpp>

namespace atollvm::cli {

// For people, and for programs.
std::string inspect_text(const ModuleInfo& info);
nlohmann::ordered_json inspect_object(const ModuleInfo& info);
// As a document. Names that are not UTF-8 don't stop it.
std::string json_text(const nlohmann::ordered_json& json);
// What the host calls that it imports need of a process: objects and rights, a line each.
std::string capability_lines(const ModuleInfo& info, std::string_view indent);
// Of an image: what it is, asks for and holds; its signature is checked if `key` names a file with
// a public key. Gives the exit code.
int inspect_image(const std::string& path, const std::string& key, bool as_json);

}  // namespace atollvm::cli
