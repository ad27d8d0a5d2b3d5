// std.sys and docs/hostcalls.md, made from the tables.

#include <fmt/format.h>

#include <algorithm>

#include "stdlib/guest/guest.hpp"
#include "stdlib/host/constants.hpp"
#include "stdlib/host/host.hpp"

namespace atollvm::host {
namespace {

std::string guest_name(const ConstantGroup& group, const Constant& constant) {
  std::string name(group.prefix);
  for (const char letter : constant.name) {
    name += letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  return name;
}

// As source: the lowest number has no literal of its own.
std::string literal(i64 value) {
  return value == INT64_MIN ? fmt::format("-{} - 1", INT64_MAX) : fmt::format("{}", value);
}

std::string declaration(const CallInfo& call) {
  std::string text = fmt::format("func {}({})", call.name, call.parameters);
  if (!call.result.empty()) text += fmt::format(" -> {}", call.result);
  return text;
}

}  // namespace

std::string requirement(const CallInfo& call) {
  const std::string kinds = kind_names(call.kind);
  if (kinds.empty()) return {};
  std::string_view handle = call.parameters.substr(0, call.parameters.find(':'));
  std::string text = fmt::format("{} is a {}", handle, kinds);
  for (const std::string& right : right_names(call)) text += fmt::format(" with {}", right);
  return text + ".";
}

std::string guest_declarations() {
  std::string text = "/// The host calls. See docs/hostcalls.md.\n";
  for (const ConstantGroup& group : constant_groups()) {
    text += fmt::format("\n// --- {} ---\n", group.title);
    for (const Constant& each : group.constants) {
      text += fmt::format("/// {}\nconst {} = {}\n", each.text, guest_name(group, each),
                          literal(each.value));
    }
  }
  text += "\n// --- Structures ---\n";
  for (const Structure& each : structures()) {
    text += fmt::format("/// {}\nstruct {} {{ ", each.text, each.name);
    std::string_view separator;
    for (const Field& field : each.fields) {
      text += fmt::format("{}{}: {}", separator, field.name, field.type);
      separator = ", ";
    }
    text += " }\n";
  }
  std::string_view area;
  for (const CallInfo& call : calls()) {
    if (call.area != area) text += fmt::format("\n// --- {} ---\n", area = call.area);
    const std::string needs = requirement(call);
    text += fmt::format("/// {}{}{}\nimport {} from \"atoll\" \"{}\"\n", call.doc,
                        needs.empty() ? "" : " ", needs, declaration(call), call.name);
  }
  return text;
}

std::string reference_page() {
  std::string text =
      "# Host calls\n\n"
      "Generated from `stdlib/host/hostcalls.def`, `vm/cap/errnos.def` and `vm/cap/rights.def` by\n"
      "`gen_hostcalls`; the tests fail when this page is stale.\n\n"
      "A guest imports these functions from the module `atoll`; `use std.sys` declares them all, "
      "with\n"
      "the constants and structures below. A call gives a number that is not negative, or -E, one "
      "of\n"
      "the errors below. Addresses and lengths in memory 0 are unsigned; what is not wholly "
      "inside\n"
      "gives -E_FAULT. A handle that does not exist or is of another kind gives -E_BADF, one that\n"
      "lacks a right or was revoked -E_NOTCAPABLE. A call on a stream, file, directory or name "
      "space\n"
      "beyond a quota of I/O gives -E_DQUOT; beyond a rate it waits. A call that waits stops the "
      "calling process only.\n"
      "\n"
      "Paths are bytes, at most 4095 of them. Through the name space (`ROOT`) a path is resolved "
      "as it\n"
      "is written, `..` takes back the name before it, and the longest mount that it begins with\n"
      "decides; relative paths start at the mount `.`, or at `/` without one. Through a "
      "directory's\n"
      "handle it is relative to that directory and can't leave it: not by `..`, not by a symbolic\n"
      "link, not by an absolute path (-E_NOTCAPABLE). Also -E_NOENT, -E_NOTDIR, -E_LOOP,\n"
      "-E_NAMETOOLONG, -E_INVAL (a NUL byte), -E_ACCES and -E_PERM (the host refuses).\n\n"
      "\"Restart\" says what happens to a call that waits when a snapshot of the process is "
      "restored:\n"
      "it is made `again`, or ends with -E_CANCELED (`canceled`).\n";
  std::string_view area;
  for (const CallInfo& call : calls()) {
    if (call.area != area) text += fmt::format("\n## {}\n", area = call.area);
    const std::string needs = requirement(call);
    text += fmt::format("\n`{}`\n\n{}{}{} Restart: {}.\n", declaration(call), call.doc,
                        needs.empty() ? "" : " ", needs, call.restartable ? "again" : "canceled");
  }
  for (const Structure& each : structures()) {
    text += fmt::format("\n## struct {}\n\n{}\n\n| field | type | |\n| --- | --- | --- |\n",
                        each.name, each.text);
    for (const Field& field : each.fields) {
      text += fmt::format("| `{}` | {} | {} |\n", field.name, field.type, field.text);
    }
  }
  for (const ConstantGroup& group : constant_groups()) {
    text += fmt::format("\n## {}\n\n| constant | value | |\n| --- | --- | --- |\n", group.title);
    for (const Constant& each : group.constants) {
      text += fmt::format("| `{}` | {} | {} |\n", guest_name(group, each), literal(each.value),
                          each.text);
    }
  }
  return text;
}

std::optional<std::string_view> library(std::string_view name) {
  if (name != "std.sys") return guest::library(name);
  static const std::string text = guest_declarations();
  return text;
}

std::vector<std::string_view> library_names() {
  std::vector<std::string_view> names{"std.sys"};
  for (const guest::Library& each : guest::libraries()) names.push_back(each.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace atollvm::host
