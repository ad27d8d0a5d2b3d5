// The host calls: what guests import from "atoll". See hostcalls.def for the list.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/loop/loop.hpp"
#include "stdlib/net/address.hpp"
#include "vm/base/result.hpp"
#include "vm/runtime/host.hpp"
#include "vm/verify/verify.hpp"

namespace atollvm::host {

enum class Clock : u32 { real = 0, monotonic = 1 };

// What one process is given besides its handles. The functions keep a reference. Used on the
// process's thread only.
struct Environment {
  Environment();

  std::vector<std::string> arguments;
  std::vector<std::string> variables;  // "NAME=VALUE"
  // Sources that a replay puts its own in place of. The clock gives nanoseconds; sleeping goes by
  // the loop's own clock. The random source fills all bytes; false: it can't.
  std::function<i64(Clock)> clock;
  std::function<bool(std::span<u8>)> random;
  // The addresses of a host, for a replay and tests; empty: the system is asked, in the pool.
  std::function<std::vector<net::Address>(std::string_view name)> resolve;
  // Reads and checks a module for module_load, which gives nosys where this is empty. Any thread.
  std::function<base::Result<verify::VerifiedModule>(std::string_view bytes)> load;
};

// The handles of a command, in the order in which they are inserted.
enum class StandardHandle : u32 { input = 0, output = 1, error = 2, root = 3, network = 4 };

// All host calls, for one process. `environment` must outlive the process.
std::vector<runtime::HostFunction> functions(Environment& environment);

// The source text of a library module ("std.sys": declarations and constants of all host calls;
// those of stdlib/guest), or nothing. The text lives for ever. Any thread.
std::optional<std::string_view> library(std::string_view name);
// The names of all library modules, in alphabetical order. Any thread.
std::vector<std::string_view> library_names();

// A row of hostcalls.def, for people and tools.
struct CallInfo {
  std::string_view area;
  std::string_view name;
  std::string_view parameters;               // as in source: "h: i32, p: i32"
  std::string_view result;                   // "i32", "i64" or ""
  cap::Kind kind{};                          // of the handle; 0: the gate checks none
  cap::Rights rights = cap::rights_none;     // it must have all of these,
  cap::Rights any_right = cap::rights_none;  // and one of these, if there are any
  bool restartable = false;
  std::string_view doc;
};
std::span<const CallInfo> calls();

// Whether a call is of the area of processes: those need a scheduler.
bool is_process_call(std::string_view name);

// "file", or "stream or file"; "" for none.
std::string kind_names(cap::Kind kind);
// {"read", "stat"}; one that can be any of several is a word of its own: "write or append".
std::vector<std::string> right_names(const CallInfo& call);

// What the gate asks of the handle, as a sentence; "" when it asks nothing.
std::string requirement(const CallInfo& call);

// The text of std.sys, of docs/hostcalls.md and of stdlib/guest/c/atoll.h, made from the tables.
std::string guest_declarations();
std::string reference_page();
std::string guest_header();

}  // namespace atollvm::host
