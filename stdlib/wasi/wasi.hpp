// WASI preview 1: what guests import from "wasi_snapshot_preview1" and "wasi_unstable". See
// wasi.def for the functions and docs/wasi.md for what they do where WASI leaves it open.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stdlib/host/host.hpp"
#include "stdlib/host/stream.hpp"
#include "stdlib/vfs/vfs.hpp"

namespace atollvm::wasi {

// The two module names differ in the layout of a few structures.
enum class Edition : u8 { snapshot_preview1, unstable };

// The edition that a module of this name is, or nothing.
std::optional<Edition> edition_of(std::string_view module);

// All functions of one edition, for one process. `environment` must outlive the process.
std::vector<runtime::HostFunction> functions(host::Environment& environment, Edition edition);

// What Atoll's own calls may do with a stream, so that it fits WASI's descriptors 0, 1 and 2.
// `writable`: standard output or error, else standard input.
cap::Capability stream(std::shared_ptr<host::Stream> stream, bool writable);

// A directory that the guest finds through fd_prestat_get: WASI's programs look for them from
// descriptor 3 on. `name` is what the guest's paths begin with; `rights` are those to all below.
cap::Capability preopen(std::shared_ptr<vfs::Directory> directory, std::string name,
                        cap::Rights rights);

// What a snapshot says of a handle besides its object and rights.
std::string describe(const cap::Facet& facet);
// The same as a facet again, for a handle to `capability.object`, which came from a directory or
// stream that is granted with `rights`: not more than they allow, in the rights of the handle, too.
// False: this is no description.
bool restore(std::string_view description, cap::Rights rights, cap::Capability& capability);

}  // namespace atollvm::wasi
