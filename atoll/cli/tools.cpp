// `atoll asm`, `dis`, `check` and `link`.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <atoll/module.hpp>
#include <atoll/tools.hpp>

#include "cli/command.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

int fail(const std::string& path, const Error& error) {
  complain(printable(path + ": " + error.text()));
  return exit_failure;
}

// "dir/wc.atoll" with `extension` in place of its own; "-" stays.
std::string with_extension(const std::string& path, std::string_view extension) {
  if (path == "-") return path;
  const size_t slash = path.rfind('/');
  const size_t dot = path.rfind('.');
  const bool has_dot = dot != path.npos && (slash == path.npos || dot > slash + 1) && dot > 0;
  return path.substr(0, has_dot ? dot : path.npos) + std::string(extension);
}

// A module file is no text: it does not go to a terminal.
int write_module(const std::string& path, std::string_view bytes) {
  if (path == "-" && isatty(1) != 0) {
    complain("standard output is a terminal; use -o FILE for a module");
    return exit_usage;
  }
  return write_output(path, bytes);
}

}  // namespace

int asm_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"asm", "[OPTIONS] IN... [-o OUT]",
                 "Assembles sources to a module file; several are linked to one.",
                 "  atoll asm hello.atoll                    writes hello.atb\n"
                 "  atoll asm main.atoll util.atoll -o p.atb  assembles both, links them\n"
                 "  atoll asm -c util.atoll -o util.atb      for linking later\n"
                 "  atoll asm - -o - <hello.atoll >x.atb     standard input and output"});
  std::vector<std::string> inputs;
  std::string output;
  bool object = false;
  bool strip = false;
  app.add_option("IN", inputs, "Source files, or `-`")->required()->type_name("");
  app.add_option("-o,--output", output, "Module file to write, or `-`")->type_name("OUT");
  app.add_flag("-c,--object", object, "Keep `extern` items open, for `atoll link`");
  app.add_flag("--strip", strip, "Without line table and register names");
  if (const auto code = parse(app, argc, argv)) return *code;
  if (output.empty()) {
    if (inputs.size() > 1) {
      complain("asm: several sources need -o OUT");
      return exit_usage;
    }
    output = with_extension(inputs[0], ".atb");
  }
  if (object && inputs.size() > 1) {
    complain("asm: -c takes one source");
    return exit_usage;
  }

  tools::AssembleOptions options;
  options.object = object || inputs.size() > 1;
  options.line_table = options.local_names = !strip;
  std::vector<tools::LinkInput> modules;
  std::vector<Diagnostic> diagnostics;
  bool readable = true;
  for (const std::string& path : inputs) {
    std::optional<std::string> text = read_or_complain(path);
    if (!text) {
      readable = false;
      continue;
    }
    tools::Assembly assembly = tools::assemble({display_name(path), *std::move(text)}, options);
    diagnostics.insert(diagnostics.end(), assembly.diagnostics.begin(), assembly.diagnostics.end());
    modules.push_back({display_name(path), std::move(assembly.bytes)});
  }
  if (!diagnostics.empty()) show(diagnostics);
  if (!readable || !diagnostics.empty()) return exit_failure;
  if (modules.size() == 1) return write_module(output, modules[0].bytes);
  const Result<std::string> linked = tools::link(modules);
  return linked ? write_module(output, *linked) : fail(output, linked.error());
}

int dis_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"dis", "[--native FUNCTION] FILE [-o OUT]",
                 "Prints a module file, or what a WebAssembly module becomes, as source that "
                 "assembles to the same bytes.",
                 "  atoll dis hello.atb\n"
                 "  atoll dis prog.wasm\n"
                 "  atoll dis hello.atb -o hello.atoll\n"
                 "  atoll dis --native main hello.atb\n"
                 "  atoll dis --native main --memory-strategy guarded hello.atb\n"
                 "  atoll asm hello.atoll -o - | atoll dis -"});
  std::string path;
  std::string output = "-";
  std::optional<std::string> native;
  app.add_option("FILE", path, "Module file or WebAssembly, or `-`")->required()->type_name("");
  app.add_option("-o,--output", output, "File to write (standard output)")->type_name("OUT");
  add_value(app, "--native", "FUNCTION", "One function, beside its machine code",
            [&native](const std::string& text) { native = text; });
  tools::NativeOptions options;
  add_memory_strategy(app, options.memory);
  app.add_flag("--fuel", options.fuel, "As it is where fuel is counted");
  app.add_flag("--harden", options.hardened, "As it is with this option of `run`");
  for (const char* each : {"--memory-strategy", "--fuel", "--harden"}) {
    app.get_option(each)->needs(app.get_option("--native"));
  }
  if (const auto code = parse(app, argc, argv)) return *code;
  std::optional<std::string> input = read_or_complain(path);
  if (!input) return exit_failure;
  const Result<std::string> bytes = to_binary(*std::move(input));
  if (!bytes) return fail(display_name(path), bytes.error());
  const Result<std::string> text =
      native ? tools::disassemble_native(*bytes, *native, options) : tools::disassemble(*bytes);
  return text ? write_output(output, *text) : fail(display_name(path), text.error());
}

int check_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"check", "FILE...",
                 "Assembles or reads, and verifies, each file, and reports all mistakes. Writes "
                 "nothing.\nExit code 1 when there is a mistake.",
                 "  atoll check hello.atoll\n"
                 "  atoll check src/*.atoll built/*.atb"});
  std::vector<std::string> paths;
  app.add_option("FILE", paths, "Sources, module files and WebAssembly, or `-`")
      ->required()
      ->type_name("");
  if (const auto code = parse(app, argc, argv)) return *code;
  const Engine engine;
  tools::AssembleOptions options;
  options.object = true;
  options.tests = true;
  std::vector<Diagnostic> diagnostics;
  int code = exit_ok;
  for (const std::string& path : paths) {
    std::optional<std::string> bytes = read_or_complain(path);
    if (!bytes) {
      code = exit_failure;
      continue;
    }
    const Result<std::string> binary = to_binary(*std::move(bytes));
    if (!binary) {
      code = fail(display_name(path), binary.error());
    } else if (is_module_file(*binary) || is_wasm_file(*binary)) {
      const Result<Module> module = Module::load(engine, *binary);
      if (!module) code = fail(display_name(path), module.error());
    } else {
      const auto assembly = tools::assemble({display_name(path), *binary}, options);
      diagnostics.insert(diagnostics.end(), assembly.diagnostics.begin(),
                         assembly.diagnostics.end());
    }
  }
  if (diagnostics.empty()) return code;
  show(diagnostics);
  return exit_failure;
}

int translate_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"translate", "[OPTIONS] FILE [-o OUT]",
                 "Translates a WebAssembly module (or its text) to a module file.",
                 "  atoll translate prog.wasm                writes prog.atb\n"
                 "  atoll translate --strip prog.wasm -o p.atb"});
  std::string path;
  std::string output;
  bool strip = false;
  app.add_option("FILE", path, "WebAssembly module or text, or `-`")->required()->type_name("");
  app.add_option("-o,--output", output, "Module file to write, or `-`")->type_name("OUT");
  app.add_flag("--strip", strip, "Without line table and names");
  if (const auto code = parse(app, argc, argv)) return *code;
  if (output.empty()) output = with_extension(path, ".atb");
  std::optional<std::string> input = read_or_complain(path);
  if (!input) return exit_failure;
  const Result<std::string> bytes = to_binary(*std::move(input));
  if (!bytes) return fail(display_name(path), bytes.error());
  const Result<std::string> module = tools::translate(*bytes, {!strip, !strip});
  return module ? write_module(output, *module) : fail(display_name(path), module.error());
}

int link_command(int argc, char** argv) {
  CLI::App app;
  describe(app, {"link", "IN... -o OUT",
                 "Joins modules made by `atoll asm -c` to one; drops unused functions.",
                 "  atoll asm -c main.atoll\n"
                 "  atoll asm -c util.atoll\n"
                 "  atoll link main.atb util.atb -o program.atb"});
  std::vector<std::string> paths;
  std::string output;
  app.add_option("IN", paths, "Module files")->required()->type_name("");
  app.add_option("-o,--output", output, "Module file to write, or `-`")
      ->required()
      ->type_name("OUT");
  if (const auto code = parse(app, argc, argv)) return *code;
  std::vector<tools::LinkInput> inputs;
  for (const std::string& path : paths) {
    std::optional<std::string> bytes = read_or_complain(path);
    if (!bytes) return exit_failure;
    if (!is_module_file(*bytes) && !is_wasm_file(*bytes)) {
      complain(printable(display_name(path)) +
               ": not a module file; `atoll asm -c` makes one of a source");
      return exit_failure;
    }
    inputs.push_back({display_name(path), *std::move(bytes)});
  }
  const Result<std::string> linked = tools::link(inputs);
  return linked ? write_module(output, *linked) : fail(output, linked.error());
}

}  // namespace atollvm::cli
