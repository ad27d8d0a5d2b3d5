// `atoll pack`.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/image.hpp"
#include "cli/inspect.hpp"
#include "cli/process_options.hpp"

namespace atollvm::cli {

namespace {

constexpr AppText pack_about = {
    "pack", "[OPTIONS] MANIFEST | --show IMAGE",
    "Makes an image: one file with a module, the files that it needs, and what it asks for.\n"
    "The same inputs give the same bytes.",
    "  atoll pack site.toml -o site.atp            what site.toml describes\n"
    "  atoll pack site.toml --sign key.pem         signed; site.atp\n"
    "  atoll pack --show site.atp                  what an image asks for\n"
    "  openssl genpkey -algorithm ed25519 -out key.pem         makes a key,\n"
    "  openssl pkey -in key.pem -pubout -out key.pub           and what checks it"};

// "64 MiB" and the like, where it is so much exactly.
std::string size_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(units)) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", bytes, units[unit]);
}

std::string image_name(const std::string& manifest) {
  const std::string_view end = ".toml";
  return (manifest.ends_with(end) ? manifest.substr(0, manifest.size() - end.size()) : manifest) +
         ".atp";
}

}  // namespace

std::optional<Image> open_checked(const std::string& path, const std::string& key) {
  std::string public_key;
  if (!key.empty()) {
    auto text = read_or_complain(key);
    if (!text) return std::nullopt;
    public_key = *std::move(text);
    // An empty text would mean that nothing is to be checked.
    if (public_key.empty()) public_key = "\n";
  }
  Result<Image> image = Image::open(path, public_key);
  if (image) return *std::move(image);
  const bool is_key = image.error().code == ErrorCode::usage;
  complain((is_key ? printable(key) + ": " : "") + printable(image.error().text()));
  return std::nullopt;
}

std::string describe(const Image& image) {
  const ImageManifest& manifest = image.manifest();
  std::string text = printable(manifest.name) + (image.is_signed() ? ", signed\n" : "\n");
  const auto line = [&text](std::string_view what, const std::string& value) {
    text += fmt::format("  {:<12}{}\n", what, value);
  };
  if (manifest.has_root) {
    line("root", manifest.is_overlay ? "its own files at /; changes to them are kept in memory"
                                     : "its own files at /, to read");
  }
  for (const std::string& each : manifest.arguments) line("argument", printable(each));
  for (const auto& [key, value] : manifest.environment) {
    line("environment", printable(key + "=" + value));
  }
  if (manifest.memory_bytes) line("memory", size_text(*manifest.memory_bytes));
  if (manifest.stack_bytes) line("stack", size_text(*manifest.stack_bytes));
  if (manifest.handles) line("handles", fmt::format("{}", *manifest.handles));
  if (manifest.fuel) line("fuel", fmt::format("{}", *manifest.fuel));
  for (const ImageMount& each : manifest.mounts) {
    std::string what = printable(each.guest) + ": " + each.type;
    if (each.bytes) what += ", " + size_text(*each.bytes);
    what += each.writable && each.type != "archive" ? ", to read and write" : ", to read";
    if (each.is_required) what += ", required";
    if (!each.about.empty()) what += ": " + printable(each.about);
    if (each.type != "memory") what += fmt::format(" (--grant {}=PATH)", printable(each.guest));
    line("asks for", what);
  }
  return text;
}

int pack_command(int argc, char** argv) {
  std::string file;
  std::string output;
  std::string sign;
  std::string verify;
  bool shows = false;
  bool is_json = false;
  CLI::App app;
  describe(app, pack_about);
  app.add_option("FILE", file, "A manifest; with --show an image")->required();
  add_value(app, "-o,--output", "FILE", "The image (MANIFEST with .atp in place of .toml)",
            [&output](const std::string& text) { output = text; });
  add_value(app, "--sign", "KEY", "Sign it; KEY is a private ed25519 key (PEM)",
            [&sign](const std::string& text) { sign = text; });
  app.add_flag("--show", shows, "Print what an image is and asks for");
  app.add_flag("--json", is_json, "With --show: print it as JSON");
  add_value(app, "--verify", "KEY", "With --show: check its signature; KEY is a public key (PEM)",
            [&verify](const std::string& text) { verify = text; });
  if (const auto code = parse(app, argc, argv)) return *code;
  if (shows ? !output.empty() || !sign.empty() : is_json || !verify.empty()) {
    complain(shows ? "pack: --show makes no image, so -o and --sign mean nothing"
                   : "pack: --json and --verify need --show");
    return exit_usage;
  }
  if (shows) {
    const auto image = open_checked(file, verify);
    if (!image) return exit_failure;
    return write_output("-", is_json ? json_text(image_object(*image)) : describe(*image));
  }
  std::string key;
  if (!sign.empty()) {
    auto text = read_or_complain(sign);
    if (!text) return exit_failure;
    key = text->empty() ? "\n" : *std::move(text);
  }
  const Result<std::string> bytes = pack_image(file, key);
  if (!bytes) {
    const bool is_key = bytes.error().code == ErrorCode::usage;
    complain((is_key ? printable(sign) + ": " : "") + printable(bytes.error().text()));
    return exit_failure;
  }
  return write_output(output.empty() ? image_name(file) : output, *bytes);
}

}  // namespace atollvm::cli
