// Confining the host program before it runs guests.
#pragma once

#include <optional>
#include <vector>

#include <atoll/process.hpp>
#include <atoll/result.hpp>

#pragma GCC visibility push(default)
namespace atollvm {

// From now on and for good the host program may ask the kernel only for what running its guests
// takes: its memory, threads, clocks, event loops, and its open files. For programs that do nothing
// else any more, so that a fault in this library, or in what it is made of, is worth less to the
// guest that finds it. All else ends the program at once (SIGSYS): execve, fork, ptrace, sockets,
// signals to others, memory that becomes executable, also by dlopen.
//
// Files: those below `directories`, and directories and archives of `mounts`, can be opened
// (written and made where they are writable), as far as the kernel has Landlock, 5.19 and later; on
// older ones whatever the user may open. Where there are none no file can be. Opening others fails
// with EACCES. Volumes of `mounts` must be open: make the processes that they are mounted in
// before.
//
// Errors, with nothing changed but that the program and its children gain no privileges by execve:
// unsupported, the kernel has no system call filters, or this library none for the CPU, or there is
// no libarchive for a mount, or a volume of one is not open; io, a directory or archive can't be
// opened. Threads: it holds for all (files other than "none can be" for the calling thread and
// those that it starts); at best there is but one.
std::optional<Error> confine(std::vector<DirectoryGrant> directories,
                             const std::vector<Mount>& mounts = {});

}  // namespace atollvm
#pragma GCC visibility pop
