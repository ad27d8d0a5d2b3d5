// `atoll volume`: makes, lists, fills and checks volumes.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <atoll/volume.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"

namespace atollvm::cli {

namespace {

struct Arguments {
  std::string file;
  std::vector<std::string> more;
  std::string size;
  std::string output = "-";
  bool json = false;
  bool recursive = false;
};

int fail(const Arguments& arguments, const Error& error) {
  const bool has_file = error.place.starts_with(arguments.file);
  complain(printable(has_file ? error.text() : arguments.file + ": " + error.text()));
  return exit_failure;
}
int end(const Arguments& arguments, const std::optional<Error>& error) {
  return error ? fail(arguments, *error) : exit_ok;
}

std::optional<std::uint64_t> size_of(const Arguments& arguments) {
  const auto size = parse_size(arguments.size);
  if (!size) {
    complain("volume: `" + printable(arguments.size) +
             "` is not a size (bytes, or like 64k, 16M, 2G)");
  }
  return size;
}

int create(const Arguments& arguments) {
  const auto size = size_of(arguments);
  if (!size) return exit_usage;
  return end(arguments, Volume::create(arguments.file, *size));
}

int grow(Volume& volume, const Arguments& arguments) {
  const auto size = size_of(arguments);
  if (!size) return exit_usage;
  return end(arguments, volume.grow(*size));
}

const char* kind_of(const VolumeEntry& entry) {
  return entry.kind == VolumeEntry::Kind::directory ? "directory"
         : entry.kind == VolumeEntry::Kind::link    ? "link"
                                                    : "file";
}

int list(Volume& volume, const Arguments& arguments) {
  const std::string path = arguments.more.empty() ? "/" : arguments.more[0];
  const auto entries = volume.list(path, arguments.recursive);
  if (!entries) return fail(arguments, entries.error());
  if (arguments.json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const VolumeEntry& each : *entries) {
      nlohmann::ordered_json one = {{"path", each.path},
                                    {"kind", kind_of(each)},
                                    {"size", each.size},
                                    {"links", each.links},
                                    {"modified_ns", each.modified_ns}};
      if (each.kind == VolumeEntry::Kind::link) one["target"] = each.target;
      json.push_back(std::move(one));
    }
    // Names that are no UTF-8 are replaced in parts: JSON can't say them.
    return write_output(
        "-", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  std::string text;
  for (const VolumeEntry& each : *entries) {
    const std::time_t seconds = static_cast<std::time_t>(each.modified_ns / 1'000'000'000);
    std::tm time{};
    gmtime_r(&seconds, &time);
    char date[32] = "";
    std::strftime(date, sizeof date, "%Y-%m-%d %H:%M", &time);
    const bool is_folder = each.kind == VolumeEntry::Kind::directory;
    const bool is_link = each.kind == VolumeEntry::Kind::link;
    text += fmt::format("{:>12}  {}  {}{}{}\n", is_folder ? "-" : std::to_string(each.size), date,
                        printable(each.path),
                        is_folder ? "/"
                        : is_link ? " -> "
                                  : "",
                        printable(each.target));
  }
  return write_output("-", text);
}

int copy(Volume& volume, const Arguments& arguments) {
  const std::string& from = arguments.more[0];
  const std::string& to = arguments.more[1];
  if (from.starts_with(':') == to.starts_with(':')) {
    complain("volume cp: one of SOURCE and TARGET is in the volume, and begins with a colon");
    return exit_usage;
  }
  return end(arguments, from.starts_with(':') ? volume.copy_out(from.substr(1), to)
                                              : volume.copy_in(from, to.substr(1)));
}

int import(Volume& volume, const Arguments& arguments) {
  return end(arguments, volume.import_from(arguments.more[0],
                                           arguments.more.size() > 1 ? arguments.more[1] : "/"));
}

int export_tar(Volume& volume, const Arguments& arguments) {
  const bool to_output = arguments.output == "-";
  if (to_output && isatty(1) != 0) {
    complain("standard output is a terminal; use -o FILE for an archive");
    return exit_usage;
  }
  const int fd =
      to_output ? 1
                : ::open(arguments.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    complain(printable(arguments.output + ": " + std::strerror(errno)));
    return exit_failure;
  }
  auto error = volume.export_to(arguments.more.empty() ? "/" : arguments.more[0],
                                [fd](std::string_view bytes) { return write_all(fd, bytes) == 0; });
  if (!to_output && ::close(fd) != 0 && !error) {
    error = Error{ErrorCode::io, arguments.output, std::strerror(errno)};
  }
  return end(arguments, error);
}

int check(Volume& volume, const Arguments& arguments) {
  const auto info = volume.info();
  const auto faults = volume.check();
  if (!faults) return fail(arguments, faults.error());
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["sound"] = faults->empty();
    if (info) {
      json["size"] = info->size;
      json["used"] = info->used;
      json["inodes"] = info->inodes;
    }
    json["faults"] = nlohmann::ordered_json::array();
    for (const VolumeFault& each : *faults) {
      json["faults"].push_back({{"place", each.place}, {"text", each.text}});
    }
    write_output("-",
                 json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    return faults->empty() ? exit_ok : exit_failure;
  }
  for (const VolumeFault& each : *faults) {
    complain(printable(arguments.file + ": " + each.place + ": " + each.text));
  }
  if (!faults->empty()) return exit_failure;
  return write_output("-", info ? fmt::format("sound: {} files, directories and links; {} of {} "
                                              "bytes in use\n",
                                              info->inodes, info->used, info->size)
                                : std::string("sound\n"));
}

struct Action {
  const char* name;
  const char* usage;
  const char* summary;
  const char* example;
  const char* more;  // what follows FILE; null: nothing
  int least;         // of it
  int most;
  int (*run)(Volume&, const Arguments&);  // null: there is no volume yet
};
constexpr Action actions[] = {
    {"create", "FILE --size SIZE", "Makes an empty volume",
     "  atoll volume create notes.vol --size 64M", nullptr, 0, 0, nullptr},
    {"ls", "[-r] [--json] FILE [PATH]", "Lists a directory of a volume",
     "  atoll volume ls -r notes.vol", "PATH", 0, 1, list},
    {"cp", "FILE SOURCE TARGET", "Copies files and directories; `:PATH` is one in the volume",
     "  atoll volume cp notes.vol todo.txt :todo.txt", "PATHS", 2, 2, copy},
    {"check", "[--json] FILE", "Says whether a volume is sound, and what is wrong",
     "  atoll volume check notes.vol", nullptr, 0, 0, check},
    {"grow", "FILE --size SIZE", "Lets a volume become larger",
     "  atoll volume grow notes.vol --size 1G", nullptr, 0, 0, grow},
    {"export", "FILE [PATH] [-o OUT]", "Writes what is in a directory as a tar archive",
     "  atoll volume export notes.vol -o notes.tar", "PATH", 0, 1, export_tar},
    {"import", "FILE SOURCE [PATH]", "Copies what is in a directory or in an archive",
     "  atoll volume import notes.vol old.tar.gz", "PATHS", 1, 2, import},
};

int act(const Action& action, int argc, char** argv) {
  CLI::App app;
  const std::string name = std::string("volume ") + action.name;
  describe(app, {name.c_str(), action.usage, action.summary, action.example});
  Arguments arguments;
  app.add_option("FILE", arguments.file, "The volume's file")->required()->type_name("");
  if (action.more != nullptr) {
    app.add_option(action.more, arguments.more, "Paths")
        ->expected(action.least, action.most)
        ->required(action.least > 0)
        ->type_name("");
  }
  const std::string_view word = action.name;
  if (word == "create" || word == "grow") {
    app.add_option("--size", arguments.size, "What it may come to: bytes, or like 64k, 16M, 2G")
        ->required()
        ->type_name("SIZE");
  }
  if (word == "ls") app.add_flag("-r,--recursive", arguments.recursive, "What is below, too");
  if (word == "ls" || word == "check") app.add_flag("--json", arguments.json, "As JSON");
  if (word == "export") {
    app.add_option("-o,--output", arguments.output, "File to write, or `-`")->type_name("OUT");
  }
  if (const auto code = parse(app, argc, argv)) return *code;
  if (action.run == nullptr) return create(arguments);
  auto volume = Volume::open(arguments.file);
  if (!volume) return fail(arguments, volume.error());
  const int code = action.run(*volume, arguments);
  return code == exit_ok ? end(arguments, volume->sync()) : code;
}

}  // namespace

int volume_command(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  for (const Action& each : actions) {
    if (name == each.name) return act(each, argc - 1, argv + 1);
  }
  CLI::App app;
  std::string text = "Actions, each with a --help of its own:\n";
  for (const Action& each : actions) {
    text += fmt::format("  {:<8}{:<30}{}\n", each.name, each.usage, each.summary);
  }
  describe(app, {"volume", "ACTION FILE [ARGUMENTS]",
                 "Makes, lists, fills and checks volumes: file systems in one file, for --mount.",
                 "  atoll volume create notes.vol --size 64M\n"
                 "  atoll volume cp notes.vol todo.txt :todo.txt   into the volume\n"
                 "  atoll volume cp notes.vol :todo.txt .          and out of it\n"
                 "  atoll volume ls -r notes.vol\n"
                 "  atoll volume import notes.vol old.tar.gz\n"
                 "  atoll volume export notes.vol -o notes.tar\n"
                 "  atoll run --mount volume:notes.vol:/ notes.wasm"});
  app.description(app.get_description() + "\n\n" + text);
  if (name.empty() || name.starts_with('-')) {
    if (const auto code = parse(app, argc, argv)) return *code;
    complain("volume: an action is missing; see `atoll volume --help`");
    return exit_usage;
  }
  complain("volume: there is no action `" + printable(name.substr(0, 80)) +
           "`; see `atoll volume --help`");
  return exit_usage;
}

}  // namespace atollvm::cli
