#include <atoll/confine.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "atoll/embed/impl.hpp"
#include "stdlib/vfs/archive.hpp"
#include "stdlib/vfs/posix.hpp"
#include "stdlib/vfs/volume.hpp"
#include "vm/jit/jit.hpp"

namespace atollvm {

namespace {

#if defined(__x86_64__)
constexpr u32 architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr u32 architecture = AUDIT_ARCH_AARCH64;
#else
constexpr u32 architecture = 0;
#endif

Error failed(const char* what) {
  return {ErrorCode::unsupported, "", fmt::format("{}: {}", what, std::strerror(errno))};
}

// --- System calls ---

// A filter of system calls, as the kernel's BPF. What it does not name ends the program.
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0);
    answer(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
  }

  void allow(std::initializer_list<u32> calls) {
    for (const u32 call : calls) returns(call, SECCOMP_RET_ALLOW);
  }
  void refuse(std::initializer_list<u32> calls, int error) {
    for (const u32 call : calls) returns(call, SECCOMP_RET_ERRNO | static_cast<u32>(error));
  }
  // Where the masked lower half of an argument is one of the values.
  void allow_where(u32 call, u32 argument, u32 mask, std::initializer_list<u32> values) {
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, static_cast<u8>(2 * values.size() + 3));
    load(offsetof(seccomp_data, args) + argument * sizeof(u64));  // little-endian
    add(BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    for (const u32 value : values) returns(value, SECCOMP_RET_ALLOW);
    answer(SECCOMP_RET_KILL_PROCESS);
  }

  // For all threads. False: errno says why.
  bool install() {
    answer(SECCOMP_RET_KILL_PROCESS);
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    const long result =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result > 0) errno = ESRCH;  // a thread that has another filter
    return result == 0;
  }

 private:
  void add(u16 operation, u32 number, u8 if_so, u8 if_not) {
    code_.push_back({operation, if_so, if_not, number});
  }
  void load(usize offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<u32>(offset), 0, 0); }
  void answer(u32 what) { add(BPF_RET | BPF_K, what, 0, 0); }
  void returns(u32 if_equal, u32 what) {
    add(BPF_JMP | BPF_JEQ | BPF_K, if_equal, 0, 1);
    answer(what);
  }

  std::vector<sock_filter> code_;
};

// What opens files, and works on paths.
#define PATH_CALLS                                                                             \
  SYS_openat, SYS_openat2, SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, \
      SYS_symlinkat, SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_utimensat

bool filter_calls(bool opens_files) {
  Filter filter;
  // Often needed ones first.
  filter.allow({SYS_futex, SYS_read, SYS_write, SYS_pwritev2, SYS_preadv2, SYS_epoll_pwait,
                SYS_clock_nanosleep, SYS_timerfd_settime, SYS_clock_gettime, SYS_sched_yield,
                SYS_ppoll});
#if defined(__x86_64__)
  filter.allow({SYS_epoll_wait, SYS_poll});
#endif
  // Memory. What code memory may come to is executable already.
  filter.allow_where(SYS_mmap, 2, PROT_EXEC, {0});
  filter.allow_where(SYS_mprotect, 2, PROT_EXEC, {0});
  filter.allow({SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_membarrier});
  constexpr u32 pidfd_self = static_cast<u32>(-10000);
  filter.allow_where(SYS_process_madvise, 0, ~u32{0}, {pidfd_self});
  // Threads of this program; clone3 can't be looked into, and the C library goes back to clone.
  filter.allow_where(SYS_clone, 0, CLONE_THREAD, {CLONE_THREAD});
  filter.refuse({SYS_clone3}, ENOSYS);
  filter.allow({SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_rseq, SYS_gettid, SYS_getpid,
                SYS_sched_getaffinity, SYS_getcpu});
  // A thread's own priority.
  filter.allow_where(SYS_setpriority, 1, ~u32{0}, {0});
  filter.allow_where(SYS_sched_getattr, 0, ~u32{0}, {0});
  filter.allow_where(SYS_sched_setattr, 0, ~u32{0}, {0});
  filter.allow_where(SYS_prctl, 0, ~u32{0}, {PR_SET_TIMERSLACK, PR_SET_NAME, PR_SET_VMA});
  // Signals.
  filter.allow({SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
                SYS_restart_syscall});
  filter.allow_where(SYS_tgkill, 0, ~u32{0}, {static_cast<u32>(getpid())});
  // Clocks, numbers, and what is asked about the program.
  filter.allow({SYS_clock_getres, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom, SYS_getrusage,
                SYS_uname, SYS_sysinfo, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid});
  filter.allow_where(SYS_prlimit64, 0, ~u32{0}, {0});
  // Event loops.
  filter.allow({SYS_epoll_create1, SYS_epoll_ctl, SYS_eventfd2, SYS_pipe2, SYS_timerfd_create,
                SYS_timerfd_settime, SYS_timerfd_gettime});
  // Open files.
  filter.allow({SYS_close,       SYS_readv,      SYS_writev,     SYS_pread64,   SYS_pwrite64,
                SYS_preadv,      SYS_pwritev,    SYS_lseek,      SYS_fstat,     SYS_newfstatat,
                SYS_statx,       SYS_fstatfs,    SYS_getdents64, SYS_ftruncate, SYS_fallocate,
                SYS_fsync,       SYS_fdatasync,  SYS_fadvise64,  SYS_dup,       SYS_dup3,
                SYS_getsockname, SYS_getsockopt, SYS_shutdown});
  // Streams that are sockets; none are made, and no address is given.
  filter.allow({SYS_recvfrom});
  filter.allow_where(SYS_sendto, 4, ~u32{0}, {0});
  // F_SETOWN would make the kernel send signals.
  filter.allow_where(
      SYS_fcntl, 1, ~u32{0},
      {F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC, F_SETLK, F_ADD_SEALS});
  // Copies of files that guests map.
  filter.allow_where(SYS_memfd_create, 1, ~u32{0}, {MFD_CLOEXEC | MFD_ALLOW_SEALING});
  // TIOCSTI would type for the user.
  filter.allow_where(SYS_ioctl, 1, ~u32{0},
                     {TCGETS, TIOCGPTN, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX});
  if (opens_files) {
    filter.allow({PATH_CALLS});
  } else {
    filter.refuse({PATH_CALLS}, EACCES);
  }
  // It would tell of any file that this program's user can read.
  filter.refuse({SYS_inotify_init1}, ENOSYS);
  // No volume is opened any more; those that are can't remove their second file.
  filter.refuse({SYS_flock}, ENOSYS);
#if defined(__x86_64__)
  filter.refuse({SYS_open, SYS_access, SYS_stat, SYS_lstat, SYS_readlink, SYS_unlink}, EACCES);
#endif
  return filter.install();
}

// --- Files ---

// Those below the directories, and the archives alone, by Landlock; nothing where the kernel has
// none that can.
std::optional<Error> limit_files(const std::vector<DirectoryGrant>& directories,
                                 const std::vector<std::string>& archives) {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 2) return std::nullopt;  // renames between directories come with 2
  // As many as the version has: 14 with it, then truncation, then ioctl.
  const u64 all = (u64{1} << (version == 2 ? 14 : version < 5 ? 15 : 16)) - 1;
  const u64 reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = all;
  const vfs::Descriptor set(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0)));
  if (set.get() < 0) return failed("Landlock");
  const auto allow = [&set](const std::string& path, int flags,
                            u64 access) -> std::optional<Error> {
    const vfs::Descriptor opened(open(path.c_str(), O_PATH | O_CLOEXEC | flags));
    if (opened.get() < 0) return Error{ErrorCode::io, path, std::strerror(errno)};
    landlock_path_beneath_attr below{};
    below.allowed_access = access;
    below.parent_fd = opened.get();
    if (syscall(SYS_landlock_add_rule, set.get(), LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0) {
      return failed("Landlock");
    }
    return std::nullopt;
  };
  for (const DirectoryGrant& each : directories) {
    const u64 access = each.writable ? all & ~u64{LANDLOCK_ACCESS_FS_EXECUTE} : reading;
    if (auto error = allow(each.host, O_DIRECTORY, access)) return error;
  }
  for (const std::string& each : archives) {
    if (auto error = allow(each, 0, LANDLOCK_ACCESS_FS_READ_FILE)) return error;
  }
  if (syscall(SYS_landlock_restrict_self, set.get(), 0) != 0) return failed("Landlock");
  return std::nullopt;
}

}  // namespace

std::optional<Error> confine(std::vector<DirectoryGrant> directories,
                             const std::vector<Mount>& mounts) {
  std::vector<std::string> archives;
  for (const Mount& mount : mounts) {
    if (mount.type == "memory") continue;
    const bool has_volume =
        mount.type == "volume" || (mount.type == "overlay" && vfs::is_volume(mount.source));
    if (has_volume) {
      // Its files are open, and stay so as long as the process has it.
      if (!vfs::is_open_volume(mount.source)) {
        return Error{ErrorCode::unsupported, mount.source,
                     "a volume can't be opened in a confined program: make the process that it is "
                     "mounted in before"};
      }
    } else if (mount.type == "archive" || mount.type == "image" ||
               (mount.type == "overlay" && vfs::is_file(mount.source))) {
      // No library can be loaded later on.
      if (auto loaded = vfs::load_archives(); !loaded) return to_public(loaded.error());
      // Bytes of an image that were checked are open already.
      if (!mount.source.starts_with("/proc/self/fd/")) archives.push_back(mount.source);
    } else {
      // What is changed of an overlay is elsewhere.
      directories.push_back({mount.source, mount.guest, mount.writable && mount.type == "dir"});
    }
    if (!mount.upper.empty()) directories.push_back({mount.upper, mount.guest, true});
  }
  if (architecture == 0) {
    return Error{ErrorCode::unsupported, "", "there is no filter of system calls for this CPU"};
  }
  if (const u32 kills = SECCOMP_RET_KILL_PROCESS;
      syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kills) != 0) {
    return failed("the kernel has no filters of system calls");
  }
  if (auto done = jit::fix_executable_memory(); !done) return to_public(done.error());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs");
  const bool has_files = !directories.empty() || !archives.empty();
  if (has_files) {
    if (auto error = limit_files(directories, archives)) return error;
  }
  if (!filter_calls(has_files)) return failed("the filter of system calls");
  return std::nullopt;
}

}  // namespace atollvm
