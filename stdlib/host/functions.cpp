// The table of host functions, made from hostcalls.def.
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "stdlib/host/support.hpp"

namespace atollvm::host {
namespace {

i64 system_clock(Clock clock) {
  timespec now{};
  clock_gettime(clock == Clock::real ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
  return static_cast<i64>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

bool system_random(std::span<u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = getrandom(bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    bytes = bytes.subspan(static_cast<usize>(size));
  }
  return true;
}

// The words that the columns of hostcalls.def are written in.
namespace columns {
constexpr Kind stream = Kind::stream;
constexpr Kind file = Kind::file;
constexpr Kind directory = Kind::directory;
constexpr Kind name_space = Kind::name_space;
constexpr Kind module = Kind::module;
constexpr Kind revoker = Kind::revoker;
constexpr Kind network = Kind::network;
constexpr Kind listener = Kind::listener;
constexpr Kind datagrams = Kind::datagrams;
constexpr bool again = true;
constexpr bool canceled = false;
struct Needed {
  constexpr Needed(cap::Rights all_of, cap::Rights any_of = cap::rights_none)
      : all(all_of), any(any_of) {}
  cap::Rights all;
  cap::Rights any;
};
constexpr cap::Rights right_none = cap::rights_none;
constexpr Needed right_write_or_append(cap::rights_none, cap::right_write | cap::right_append);
using namespace cap;
}  // namespace columns

constexpr CallInfo make_info(std::string_view name, std::string_view parameters,
                             std::string_view result, Kind kind, columns::Needed rights,
                             bool restartable, std::string_view doc) {
  return {{}, name, parameters, result, kind, rights.all, rights.any, restartable, doc};
}

const std::vector<CallInfo>& table() {
  using namespace columns;
  static const std::vector<CallInfo> all = [] {
    std::vector<CallInfo> rows;
    std::string_view area;
#define HOSTCALL_AREA(title) area = title;
#define HOSTCALL(name, parameters, result, kinds, rights, restart, doc)                      \
  rows.push_back(make_info(#name, parameters, result, kinds, right_##rights, restart, doc)); \
  rows.back().area = area;
#include "stdlib/host/hostcalls.def"
    return rows;
  }();
  return all;
}

using Call = HostResult (*)(Environment&, HostContext&);

// In the order of the table.
constexpr Call implementations[] = {
#define HOSTCALL_AREA(title)
#define HOSTCALL(name, parameters, result, kinds, rights, restart, doc) call_##name,
#include "stdlib/host/hostcalls.def"
};

// The value types that a list like "h: i32, at: i64" or "i32" names.
std::vector<mod::ValType> value_types(std::string_view list) {
  std::vector<mod::ValType> types;
  for (usize at = 0; (at = list.find_first_of("36", at)) != list.npos; at += 2) {
    types.push_back(list[at] == '3' ? mod::ValType::i32 : mod::ValType::i64);
  }
  return types;
}

}  // namespace

Environment::Environment() : clock(system_clock), random(system_random) {}

std::span<const CallInfo> calls() { return table(); }

std::vector<runtime::HostFunction> functions(Environment& environment) {
  std::vector<runtime::HostFunction> result;
  const std::span<const CallInfo> rows = calls();
  result.reserve(rows.size());
  for (usize i = 0; i < rows.size(); ++i) {
    const CallInfo& row = rows[i];
    runtime::HostFunction& function = result.emplace_back();
    function.module = "atoll";
    function.name = row.name;
    function.type = {value_types(row.parameters), value_types(row.result)};
    function.call = [call = implementations[i], &environment](HostContext& context) {
      return call(environment, context);
    };
    function.takes_handle = row.kind != no_kind;
    function.is_io = function.takes_handle && row.kind != Kind::module && row.kind != Kind::revoker;
    function.kind = row.kind;
    function.rights = row.rights;
    function.restartable = row.restartable;
    const usize timeout = row.parameters.find("timeout: i64");
    if (timeout != row.parameters.npos) {
      function.timeout_index =
          static_cast<u8>(std::ranges::count(row.parameters.substr(0, timeout), ','));
    }
  }
  return result;
}

bool is_process_call(std::string_view name) {
  const auto rows = calls();
  return std::any_of(rows.begin(), rows.end(), [&](const CallInfo& row) {
    return row.name == name && row.area == "Processes";
  });
}

std::string kind_names(Kind kind) {
  constexpr std::pair<Kind, std::string_view> names[] = {
      {Kind::stream, "stream"},         {Kind::file, "file"},        {Kind::directory, "directory"},
      {Kind::name_space, "name space"}, {Kind::host, "host object"}, {Kind::module, "module"},
      {Kind::revoker, "revoker"},       {Kind::network, "network"},  {Kind::listener, "listener"},
      {Kind::datagrams, "datagrams"}};
  std::string text;
  for (const auto& [each, name] : names) {
    if (!cap::is_one_of(each, kind)) continue;
    if (!text.empty()) text += " or ";
    text += name;
  }
  return text;
}

std::vector<std::string> right_names(const CallInfo& call) {
  std::vector<std::string> names;
  std::string any;
#define RIGHT(name, bit, text)                                           \
  if ((call.rights & cap::right_##name) != 0) names.emplace_back(#name); \
  if ((call.any_right & cap::right_##name) != 0) any += any.empty() ? #name : " or " #name;
#include "vm/cap/rights.def"
#undef RIGHT
  if (!any.empty()) names.push_back(any);
  return names;
}

}  // namespace atollvm::host
