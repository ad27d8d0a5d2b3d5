// `atoll doc`.
#include <algorithm>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <nlohmann/json.hpp>

#include <atoll/doc.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

using tools::DocItem;
using tools::Documentation;

// Calls `take` with each line.
template <class Take>
void each_line(std::string_view text, Take take) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    take(text.substr(at, end - at));
    at = end + 1;
  }
}

std::string indented(std::string_view text) {
  std::string result;
  each_line(text, [&](std::string_view line) {
    result.append(line.empty() ? "" : "    ").append(line).append("\n");
  });
  return result;
}

// With an empty name the items alone.
std::string plain(const std::string& name, const Documentation& found) {
  std::string text;
  if (!name.empty()) text += name + "\n";
  if (!found.text.empty()) text += "\n" + found.text + "\n";
  std::string section;
  for (const DocItem& item : found.items) {
    if (item.section != section) {
      section = item.section;
      text += "\n--- " + section + " ---\n";
    }
    if (!text.empty()) text += "\n";
    text += item.signature + "\n" + indented(item.text);
  }
  return text;
}

// Leaves the items of these names alone; complains by itself when there is none of a name.
bool keep(const std::vector<std::string>& names, const std::string& source, Documentation& found) {
  for (const std::string& name : names) {
    if (std::ranges::find(found.items, name, &DocItem::name) == found.items.end()) {
      complain(source + " says nothing about `" + printable(name) + "`");
      return false;
    }
  }
  std::erase_if(found.items, [&](const DocItem& item) {
    return std::ranges::find(names, item.name) == names.end();
  });
  for (DocItem& item : found.items) item.section.clear();
  found.text.clear();
  return true;
}

// A text as Markdown: what would be HTML is no HTML. Indented lines and what stands between
// backquotes are code already.
std::string markdown_text(std::string_view text) {
  std::string result;
  bool is_code = false;
  each_line(text, [&](std::string_view line) {
    const bool is_block = line.starts_with("    ");
    for (const char c : line) {
      if (c == '`') is_code = !is_code;
      if ((c == '<' || c == '*') && !is_code && !is_block) result += '\\';
      result += c;
    }
    if (line.empty()) is_code = false;
    result += '\n';
  });
  return result;
}

std::string markdown(const std::string& name, const Documentation& found) {
  std::string text = "## " + name + "\n";
  if (!found.text.empty()) text += "\n" + markdown_text(found.text);
  std::string section;
  for (const DocItem& item : found.items) {
    if (item.section != section) {
      section = item.section;
      text += "\n### " + section + "\n";
    }
    const bool is_short = item.signature.find_first_of("\n`") == std::string::npos;
    text += is_short ? "\n`" + item.signature + "`\n" : "\n```\n" + item.signature + "\n```\n";
    if (!item.text.empty()) text += "\n" + markdown_text(item.text);
  }
  return text;
}

std::string json(const std::string& name, const Documentation& found) {
  nlohmann::ordered_json result = {{"name", name}, {"text", found.text}};
  result["items"] = nlohmann::ordered_json::array();
  for (const DocItem& item : found.items) {
    result["items"].push_back({{"kind", item.kind},
                               {"name", item.name},
                               {"signature", item.signature},
                               {"text", item.text},
                               {"section", item.section},
                               {"line", item.line}});
  }
  return result.dump(2) + "\n";
}

// The library module or file of this name; complains by itself.
std::optional<Source> find(const std::string& path) {
  if (std::optional<Source> library = tools::library_source(path)) return library;
  if (path.starts_with("std.")) {
    std::string names;
    for (const std::string& each : tools::library_names()) names += " " + each;
    complain("there is no library `" + printable(path) + "`; there are" + names);
    return std::nullopt;
  }
  std::optional<std::string> text = read_or_complain(path);
  if (!text) return std::nullopt;
  return Source{display_name(path), *std::move(text)};
}

}  // namespace

int doc_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"doc", "[--markdown | --json] FILE [NAME...]",
                 "Prints the documentation in a source: its first comment, and the items that have "
                 "a doc comment\n(`///`) or are exported, or those called NAME alone. `std.NAME` "
                 "as FILE is a "
                 "module of the library.",
                 "  atoll doc std.test\n"
                 "  atoll doc std.map map_at map_find\n"
                 "  atoll doc hello.atoll\n"
                 "  atoll doc --markdown std.base64 >base64.md"});
  std::string path;
  std::vector<std::string> names;
  bool as_markdown = false;
  bool as_json = false;
  app.add_option("FILE", path, "Source, `std.NAME`, or `-`")->required()->type_name("");
  app.add_option("NAME", names, "Items to print")->type_name("");
  CLI::Option* const markdown_flag = app.add_flag("--markdown", as_markdown, "As Markdown");
  app.add_flag("--json", as_json, "As one JSON object")->excludes(markdown_flag);
  if (const auto code = parse(app, argc, argv)) return *code;
  const std::optional<Source> source = find(path);
  if (!source) return exit_failure;
  Documentation found = tools::document(*source);
  if (!found.ok()) {
    show(found.diagnostics);
    return exit_failure;
  }
  if (!names.empty() && !keep(names, source->name, found)) return exit_failure;
  if (as_json) return write_output("-", json(source->name, found));
  if (as_markdown) return write_output("-", markdown(source->name, found));
  return write_output("-", plain(names.empty() ? source->name : "", found));
}

}  // namespace atollvm::cli
