// Profiles as files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <atoll/process.hpp>

namespace atollvm::cli {

// A line for each stack, "main;compute;add 12": the functions, outermost first, and the samples.
std::string folded(const std::vector<StackSamples>& stacks);

// A flame graph as an SVG image: each function lies above its caller, as wide as the time that it
// and what it calls have taken.
std::string flame_svg(const std::string& title, const std::vector<StackSamples>& stacks);

}  // namespace atollvm::cli
