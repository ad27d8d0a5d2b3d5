#include "atoll/embed/start_up.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "atoll/embed/read.hpp"
#include "stdlib/wasi/wasi.hpp"
#include "vm/base/utf8.hpp"

namespace atollvm {

std::optional<u32> find_entry(const runtime::Program& program, std::string_view name,
                              bool may_give_code) {
  const auto index = program.find_export(name, mod::ExternKind::function);
  if (!index || *index < program.imported_functions()) return std::nullopt;
  const mod::FuncType& type = program.module().types[program.type_of(*index)];
  const bool gives_code = type.results == std::vector{mod::ValType::i32};
  const bool fits = type.params.empty() && (type.results.empty() || (may_give_code && gives_code));
  return fits ? index : std::nullopt;
}

std::vector<u32> find_stages(const runtime::Program& program, std::optional<u32> function) {
  std::vector<u32> entries;
  if (function) {
    if (const auto start = program.module().start) entries.push_back(*start);
    if (const auto initialize = find_entry(program, "_initialize", false);
        initialize && initialize != function) {
      entries.push_back(*initialize);
    }
    entries.push_back(*function);
    return entries;
  }
  if (const auto start = find_entry(program, "_start", false)) {
    entries.push_back(*start);
  } else {
    if (const auto initialize = find_entry(program, "_initialize", false)) {
      entries.push_back(*initialize);
    }
    if (const auto main = find_entry(program, "main", true)) entries.push_back(*main);
  }
  if (entries.empty()) return entries;
  if (const auto start = program.module().start) entries.insert(entries.begin(), *start);
  return entries;
}

base::Error no_entry(const runtime::Program& program) {
  return {base::ErrorCode::not_found, program.module().name,
          "no exported function `main` of type () -> i32 or (), nor `_start` or `_initialize` of "
          "type ()"};
}

HostCalls host_calls(const runtime::Program& program, host::Environment& environment) {
  HostCalls calls;
  const auto& all = program.module().imports;
  const auto imports = [&](const auto& is_it) {
    return std::any_of(all.begin(), all.end(), is_it);
  };
  if (imports([](const mod::Import& import) {
        return import.module == "atoll" &&
               (import.name == "module_load" || import.name == "module_open");
      })) {
    // What it loads may import anything.
    return {all_host_calls(environment), uses_wasi(program)};
  }
  if (imports([](const mod::Import& import) { return import.module == "atoll"; })) {
    calls.functions = host::functions(environment);
  }
  for (const wasi::Edition edition : {wasi::Edition::snapshot_preview1, wasi::Edition::unstable}) {
    if (!imports([&](const mod::Import& import) {
          return wasi::edition_of(import.module) == edition;
        })) {
      continue;
    }
    calls.uses_wasi = true;
    std::vector<runtime::HostFunction> more = wasi::functions(environment, edition);
    calls.functions.insert(calls.functions.end(), std::make_move_iterator(more.begin()),
                           std::make_move_iterator(more.end()));
  }
  return calls;
}

bool uses_wasi(const runtime::Program& program) {
  const auto& all = program.module().imports;
  return std::any_of(all.begin(), all.end(), [](const mod::Import& import) {
    return wasi::edition_of(import.module).has_value();
  });
}

std::vector<runtime::HostFunction> all_host_calls(host::Environment& environment) {
  environment.load = [](std::string_view bytes) { return read_verified(bytes); };
  std::vector<runtime::HostFunction> functions = host::functions(environment);
  for (const wasi::Edition edition : {wasi::Edition::snapshot_preview1, wasi::Edition::unstable}) {
    std::vector<runtime::HostFunction> more = wasi::functions(environment, edition);
    functions.insert(functions.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }
  return functions;
}

Streams streams_of(int input, int output, int error) {
  const auto stream = [](int fd) {
    return fd < 0 ? std::make_shared<host::Stream>() : host::make_stream(fd);
  };
  return {stream(input), stream(output), stream(error)};
}

base::Result<net::Endpoint> parse_listener(std::string_view text) {
  if (const auto endpoint = net::parse_endpoint(text)) return *endpoint;
  return base::Error{base::ErrorCode::usage, base::printable(text),
                     "no address to take connections at: write ADDRESS:PORT, such as "
                     "127.0.0.1:8080 or [::1]:0"};
}

namespace {

// Connections that wait until a guest takes them.
constexpr u32 backlog = 128;

std::string_view reason_of(cap::Errno error) {
  switch (error) {
#define ERRNO(name, number, text) \
  case cap::Errno::name:          \
    return text;
#include "vm/cap/errnos.def"
#undef ERRNO
    default:
      return "unknown error";
  }
}

// Without rules they have a network of their own, which the guest does not get.
base::Status open_listeners(const NetworkGrant& network, Grants& grants) {
  if (network.listeners.empty()) return {};
  const auto from =
      grants.network != nullptr ? grants.network : std::make_shared<net::Network>(net::Rules());
  for (const std::string& each : network.listeners) {
    const auto at = parse_listener(each);
    if (!at) return at.error();
    auto made = net::listen(from, *at, backlog);
    if (const auto* const error = std::get_if<cap::Errno>(&made)) {
      return base::Error{base::ErrorCode::io, each,
                         fmt::format("can't take connections here: {}", reason_of(*error))};
    }
    auto& socket = std::get<std::shared_ptr<net::Socket>>(made);
    const auto local = socket->local();
    if (const auto* const chosen = std::get_if<net::Endpoint>(&local);
        chosen != nullptr && at->port == 0 && network.log) {
      network.log(fmt::format("listening at {}", net::to_text(*chosen)));
    }
    grants.listeners.push_back(std::make_shared<host::Listener>(std::move(socket)));
  }
  return {};
}

}  // namespace

base::Result<Grants> open_grants(Streams streams, std::span<const DirectoryGrant> directories,
                                 std::span<const Mount> mounts, const NetworkGrant& network,
                                 const std::shared_ptr<net::Provider>& provider) {
  std::vector<vfs::Mount> all;
  for (const DirectoryGrant& grant : directories) {
    all.push_back({"dir", grant.host, grant.guest, grant.writable});
  }
  for (const Mount& mount : mounts) all.push_back(to_internal(mount));
  Grants grants{std::move(streams), {}, std::make_shared<vfs::NameSpace>(), nullptr, {}};
  if (!network.rules.empty() || provider != nullptr) {
    auto rules = net::Rules::parse(network.rules.empty() ? net::all_rules : network.rules);
    if (!rules) return std::move(rules).error();
    grants.network = std::make_shared<net::Network>(*std::move(rules), network.log, provider);
  }
  if (base::Status status = open_listeners(network, grants); !status) {
    return std::move(status).error();
  }
  for (const vfs::Mount& mount : all) {
    auto directory = vfs::open_mount(mount);
    if (!directory) return std::move(directory).error();
    const cap::Rights rights = vfs::rights_of(mount);
    base::Status status = mount.is_hidden
                              ? grants.name_space->reserve(mount.guest)
                              : grants.name_space->mount(mount.guest, *directory, rights);
    if (!status) return std::move(status).error();
    grants.directories.push_back({mount.guest, rights, mount.is_hidden, *std::move(directory)});
  }
  return grants;
}

std::vector<cap::Capability> first_handles(const Grants& grants, bool uses_wasi) {
  const Streams& streams = grants.streams;
  std::vector<cap::Capability> handles;
  const auto add_listeners = [&] {
    for (const auto& each : grants.listeners) handles.push_back({each, host::listener_rights});
  };
  if (uses_wasi) {
    handles = {wasi::stream(streams.input, false), wasi::stream(streams.output, true),
               wasi::stream(streams.error, true)};
    for (const Grants::Directory& each : grants.directories) {
      if (!each.is_hidden) handles.push_back(wasi::preopen(each.object, each.guest, each.rights));
    }
    add_listeners();
  } else {
    handles = {{streams.input, cap::right_read | cap::right_stat},
               {streams.output, cap::right_write | cap::right_stat},
               {streams.error, cap::right_write | cap::right_stat},
               {grants.name_space, cap::rights_all}};
  }
  if (grants.network != nullptr) handles.push_back({grants.network, net::network_rights});
  if (!uses_wasi) add_listeners();
  for (const Grants::Directory& each : grants.directories) {
    if (each.is_hidden) handles.push_back({each.object, each.rights});
  }
  return handles;
}

base::Result<std::vector<cap::Capability>> first_handles(
    Streams streams, std::span<const DirectoryGrant> directories, std::span<const Mount> mounts,
    const NetworkGrant& network, bool uses_wasi) {
  auto grants = open_grants(std::move(streams), directories, mounts, network);
  if (!grants) return std::move(grants).error();
  return first_handles(*grants, uses_wasi);
}

}  // namespace atollvm
