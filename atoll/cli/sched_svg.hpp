// The plot of `atoll sched --svg`.
#pragma once

#include <string>
#include <vector>

#include <atoll/sched.hpp>

namespace atollvm::cli {

// One SVG document: the distribution of response times under each policy and, where there are
// several groups, their shares over time under each. Readable on a light and a dark page.
std::string sched_svg(const std::string& title, const std::vector<tools::Replay>& replays);

}  // namespace atollvm::cli
