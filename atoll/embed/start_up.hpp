// What a program is given and begins with, whoever runs it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <atoll/process.hpp>

#include "stdlib/host/host.hpp"
#include "stdlib/host/socket.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/net/network.hpp"
#include "stdlib/vfs/mount.hpp"
#include "stdlib/vfs/name_space.hpp"
#include "vm/base/result.hpp"
#include "vm/cap/object.hpp"
#include "vm/runtime/program.hpp"

namespace atollvm {

// The index of an exported function of the module's own code, if its type has no parameters and,
// at most, an exit code as its result.
std::optional<u32> find_entry(const runtime::Program& program, std::string_view name,
                              bool may_give_code);

// What running a module means: its start function, and the entry (or the given function). WASI's
// commands have `_start`; its reactors have `_initialize`, to be called before anything else.
// Empty: it has no entry.
std::vector<u32> find_stages(const runtime::Program& program, std::optional<u32> function);
// That it has none.
base::Error no_entry(const runtime::Program& program);

// Atoll's own functions that a program may import, those of WASI as well if it imports any.
struct HostCalls {
  std::vector<runtime::HostFunction> functions;
  bool uses_wasi = false;
};
// `environment` must outlive the processes.
HostCalls host_calls(const runtime::Program& program, host::Environment& environment);

// A program's handles in the order of host::StandardHandle; one of WASI gets a descriptor for each
// directory and mount in place of the name space, and behind these one for each listener. Behind
// them is the network, if there is one, then (not of WASI) the listeners, then those of the hidden
// mounts. Errors: of opening these, usage (rules of the network, address of a listener).
struct Streams {
  std::shared_ptr<host::Stream> input;
  std::shared_ptr<host::Stream> output;
  std::shared_ptr<host::Stream> error;
};
// Of the host's descriptors. Without one (-1), a stream at which everything fails, so that handle
// numbers stay.
Streams streams_of(int input, int output, int error);
base::Result<std::vector<cap::Capability>> first_handles(
    Streams streams, std::span<const DirectoryGrant> directories, std::span<const Mount> mounts,
    const NetworkGrant& network, bool uses_wasi);

// The same in two steps, for who wants to know the objects. `provider`: of a virtual network, in
// place of the host's; without rules it may do there what it likes.
struct Grants {
  struct Directory {
    std::string guest;
    cap::Rights rights = cap::rights_none;
    bool is_hidden = false;
    std::shared_ptr<vfs::Directory> object;
  };
  Streams streams;
  std::vector<Directory> directories;
  std::shared_ptr<vfs::NameSpace> name_space;
  std::shared_ptr<net::Network> network;  // null: none
  std::vector<std::shared_ptr<host::Listener>> listeners;
};
base::Result<Grants> open_grants(Streams streams, std::span<const DirectoryGrant> directories,
                                 std::span<const Mount> mounts, const NetworkGrant& network,
                                 const std::shared_ptr<net::Provider>& provider = nullptr);
base::Result<net::Endpoint> parse_listener(std::string_view text);
vfs::Mount to_internal(const Mount& mount);
std::vector<cap::Capability> first_handles(const Grants& grants, bool uses_wasi);

// Whether a program imports any of WASI's functions.
bool uses_wasi(const runtime::Program& program);
// All functions that any program may import; guests may load modules.
std::vector<runtime::HostFunction> all_host_calls(host::Environment& environment);

}  // namespace atollvm
