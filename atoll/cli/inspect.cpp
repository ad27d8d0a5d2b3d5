// `atoll inspect`.
#include "cli/inspect.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string import_line(const ImportInfo& import) {
  std::string line = fmt::format("  {} {}.{} {}", to_text(import.kind), printable(import.module),
                                 printable(import.name), import.type);
  if (import.kind == ExternKind::function && !import.is_host_call) line += "  [not a host call]";
  return line + "\n";
}

}  // namespace

std::string capability_lines(const ModuleInfo& info, std::string_view indent) {
  std::map<std::string, std::set<std::string>> needed;
  for (const ImportInfo& import : info.imports) {
    if (!import.object.empty()) {
      needed[import.object].insert(import.rights.begin(), import.rights.end());
    }
  }
  std::string text;
  for (const auto& [object, rights] : needed) {
    text += fmt::format("{}{}{}{}\n", indent, object, rights.empty() ? "" : ": ",
                        fmt::join(rights, ", "));
  }
  return text;
}

std::string inspect_text(const ModuleInfo& info) {
  std::string text = fmt::format("module {}: {} bytes, {} of code, {} of data\n",
                                 info.name.empty() ? "(no name)" : printable(info.name),
                                 info.file_bytes, info.code_bytes, info.data_bytes);
  const auto part = [&text](std::string_view title, const std::string& lines) {
    if (!lines.empty()) text.append("\n").append(title).append(":\n").append(lines);
  };
  std::string lines;
  for (const SectionInfo& each : info.sections) {
    lines +=
        fmt::format("  {:<12} {:>10} bytes at {}\n", printable(each.name), each.size, each.offset);
  }
  part("sections", lines);
  lines.clear();
  for (const ImportInfo& each : info.imports) lines += import_line(each);
  part("imports", lines);
  part("capabilities that its host calls work on", capability_lines(info, "  "));
  lines.clear();
  for (const ExportInfo& each : info.exports) {
    lines += fmt::format("  {} {} {}\n", to_text(each.kind), printable(each.name), each.type);
  }
  part("exports", lines);
  lines.clear();
  for (const MemoryInfo& each : info.memories) {
    lines += fmt::format("  {} bytes, at most {}\n", each.min_bytes,
                         each.max_bytes ? fmt::format("{}", *each.max_bytes) : "the limit");
  }
  part("memories", lines);
  lines.clear();
  for (const FunctionInfo& each : info.functions) {
    lines += fmt::format("  {:>5} {} {}: {} bytes, {} slots{}{}\n", each.index,
                         printable(each.name), each.type, each.code_bytes, each.frame_slots,
                         each.location.empty() ? "" : ", ", printable(each.location));
  }
  part("functions", lines);
  if (!info.sources.empty()) part("sources", "  " + printable(join(info.sources)) + "\n");
  return text;
}

int inspect_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"inspect", "[--json] FILE",
                 "Shows what a module holds and needs, or what is in an image, and what it asks "
                 "for.",
                 "  atoll inspect wc.atb\n"
                 "  atoll inspect wc.atoll             what its module would hold\n"
                 "  atoll inspect prog.wasm            what its translation holds\n"
                 "  atoll inspect --json wc.atb | jq '.imports[].name'\n"
                 "  atoll inspect --verify key.pub site.atp"});
  std::string path;
  std::string verify;
  bool json = false;
  app.add_option("FILE", path, "Module file, source, WebAssembly or image, or `-`")
      ->required()
      ->type_name("");
  app.add_flag("--json", json, "As JSON, for tools (docs/cli.md has the fields)");
  add_value(app, "--verify", "KEY", "Check an image's signature; KEY is a public key (PEM)",
            [&verify](const std::string& text) { verify = text; });
  if (const auto code = parse(app, argc, argv)) return *code;
  if (path != "-" && Image::is_image(path)) return inspect_image(path, verify, json);
  std::optional<std::string> bytes = read_or_complain(path);
  if (!bytes) return exit_failure;
  if (!verify.empty()) {
    complain(printable(display_name(path)) + ": --verify is for images, and it is none");
    return exit_usage;
  }
  const Engine engine;
  std::vector<Diagnostic> diagnostics;
  const Result<Module> module = load_module(engine, path, *std::move(bytes), diagnostics);
  if (!module) {
    if (diagnostics.empty()) {
      complain(printable(module.error().text()));
    } else {
      show(diagnostics);
    }
    return exit_failure;
  }
  const ModuleInfo info = module->info();
  return write_output("-", json ? json_text(inspect_object(info)) : inspect_text(info));
}

}  // namespace atollvm::cli
