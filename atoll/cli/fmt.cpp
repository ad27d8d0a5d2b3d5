// `atoll fmt`.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <atoll/tools.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

int fmt_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"fmt", "[--check | --write] FILE...",
                 "Puts sources into the standard layout, comments kept. Prints the result unless "
                 "--write or --check is given.",
                 "  atoll fmt hello.atoll\n"
                 "  atoll fmt --write src/*.atoll\n"
                 "  atoll fmt --check src/*.atoll   exit code 1 and a list, if any would change"});
  std::vector<std::string> paths;
  bool check = false;
  bool rewrite = false;
  app.add_option("FILE", paths, "Sources, or `-`")->required()->type_name("");
  CLI::Option* const check_flag =
      app.add_flag("--check", check, "Only list the files that would change");
  app.add_flag("--write", rewrite, "Change the files")->excludes(check_flag);
  if (const auto code = parse(app, argc, argv)) return *code;
  int result = exit_ok;
  std::vector<Diagnostic> diagnostics;
  for (const std::string& path : paths) {
    std::optional<std::string> text = read_or_complain(path);
    if (!text) {
      result = exit_failure;
      continue;
    }
    const tools::Formatted formatted = tools::format({display_name(path), *text});
    if (!formatted.ok()) {
      diagnostics.insert(diagnostics.end(), formatted.diagnostics.begin(),
                         formatted.diagnostics.end());
      continue;
    }
    int code = exit_ok;
    if (check) {
      if (formatted.text != *text) {
        result = exit_failure;
        code = write_output("-", display_name(path) + "\n");
      }
    } else if (!rewrite || path == "-") {
      code = write_output("-", formatted.text);
    } else if (formatted.text != *text) {
      code = write_output(path, formatted.text);
    }
    if (code == exit_closed_pipe) return code;
    if (code != exit_ok) result = code;
  }
  if (diagnostics.empty()) return result;
  show(diagnostics);
  return exit_failure;
}

}  // namespace atollvm::cli
