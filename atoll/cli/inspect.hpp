// The two ways to show a module.
#pragma once

#include <string>

#include <atoll/module.hpp>

namespace atollvm::cli {

std::string inspect_text(const ModuleInfo& info);
std::string inspect_json(const ModuleInfo& info);

}  // namespace atollvm::cli
