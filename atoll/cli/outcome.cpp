// How a guest ended, for people.
#include <fmt/format.h>

#include <atoll/process.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

std::string frame_text(const TraceFrame& frame) {
  return frame.location.empty()
             ? fmt::format("{} (word {})", printable(frame.name), frame.word)
             : fmt::format("{} ({})", printable(frame.name), printable(frame.location));
}

}  // namespace

std::string trace_text(const std::vector<TraceFrame>& trace) {
  std::string text;
  for (size_t i = 0; i < trace.size();) {
    size_t same = i + 1;
    while (same < trace.size() && trace[same].word == trace[i].word &&
           trace[same].depth == trace[same - 1].depth + 1) {
      ++same;
    }
    text += "\n  at " + frame_text(trace[i]);
    if (same - i > 1) text += fmt::format("\n     and {} more of the same", same - i - 1);
    if (same < trace.size() && trace[same].depth > trace[same - 1].depth + 1) {
      text += fmt::format("\n  ... {} calls", trace[same].depth - trace[same - 1].depth - 1);
    }
    i = same;
  }
  return text;
}

}  // namespace atollvm::cli
