// A confined program: what the kernel lets it do no more. In children, as it is for good.
#include <doctest/doctest.h>

#include <atoll/confine.hpp>

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "vm/base/sanitizers.hpp"
#include "vm/base/types.hpp"

namespace atollvm {
namespace {

constexpr int not_confined = 100;
// ThreadSanitizer ends a child that starts one.
constexpr bool child_has_threads = !ATOLL_TSAN;

// How a confined child ends that does this: the signal's number, or minus what `what` returns.
int end_of_confined(const std::function<int()>& what,
                    const std::vector<DirectoryGrant>& directories = {}) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSYS, SIG_DFL);
    _exit(confine(directories) ? not_confined : what());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

// Emulators have no filters.
bool can_confine() {
  return end_of_confined([] { return 0; }) != -not_confined;
}

struct ScratchFolder {
  std::string path = std::filesystem::temp_directory_path() / "atoll-confine-XXXXXX";
  ScratchFolder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("confine: what ends the program") {
  if (!can_confine()) return;
  struct Attempt {
    const char* name;
    std::function<int()> make;
  };
  const auto code = [](long result) { return result < 0 ? errno : 0; };
  const Attempt attempts[] = {
      {"execve",
       [&] {
         const char* const arguments[] = {"/bin/true", nullptr};
         return code(syscall(SYS_execve, arguments[0], arguments, arguments + 1));
       }},
      {"execveat",
       [&] {
         const char* const arguments[] = {"/bin/true", nullptr};
         return code(syscall(SYS_execveat, AT_FDCWD, arguments[0], arguments, arguments + 1, 0));
       }},
      {"clone as fork", [&] { return code(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
      {"clone with a new name space",
       [&] { return code(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }},
      {"unshare", [&] { return code(syscall(SYS_unshare, CLONE_NEWUSER)); }},
      {"ptrace", [&] { return code(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)); }},
      {"process_vm_writev", [&] { return code(syscall(SYS_process_vm_writev, 1, 0, 0, 0, 0, 0)); }},
      {"socket", [&] { return code(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0)); }},
      {"connect", [&] { return code(syscall(SYS_connect, 0, nullptr, 0)); }},
      {"kill", [&] { return code(syscall(SYS_kill, getppid(), 0)); }},
      {"tgkill of another", [&] { return code(syscall(SYS_tgkill, getppid(), getppid(), 0)); }},
      {"bpf", [&] { return code(syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"io_uring", [&] { return code(syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"memfd_create", [&] { return code(syscall(SYS_memfd_create, "x", 0)); }},
      {"mount", [&] { return code(syscall(SYS_mount, 0, 0, 0, 0, 0)); }},
      {"prctl", [&] { return code(syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)); }},
      {"seccomp", [&] { return code(syscall(SYS_seccomp, 0, 0, nullptr)); }},
      {"executable memory",
       [&] {
         void* const at = reinterpret_cast<void*>(syscall(
             SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
         return at == MAP_FAILED ? errno : 0;
       }},
      {"memory that becomes executable",
       [&] {
         void* const at = reinterpret_cast<void*>(
             syscall(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
         return code(syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_EXEC));
       }},
      {"typing for the user", [&] { return code(ioctl(0, TIOCSTI, "x")); }},
      {"signals by a file", [&] { return code(fcntl(0, F_SETOWN, getppid())); }},
#if defined(__x86_64__)
      {"fork", [&] { return code(syscall(SYS_fork)); }},
      {"vfork by number of x32", [&] { return code(syscall(0x4000'0000 | 58)); }},
#endif
  };
  for (const Attempt& each : attempts) {
    INFO(each.name);
    CHECK(end_of_confined(each.make) == SIGSYS);
  }
}

TEST_CASE("confine: what goes on") {
  if (!can_confine()) return;
  if (child_has_threads) {
    CHECK(end_of_confined([] {
            int number = 1;
            std::thread([&] { number = 7; }).join();
            return number;
          }) == -7);
  }
  CHECK(end_of_confined([] {
          void* const at =
              mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          return at != MAP_FAILED && munmap(at, 1 << 20) == 0 ? 0 : 1;
        }) == 0);
  CHECK(end_of_confined([] { return raise(SIGTERM); }) == SIGTERM);
  int sockets[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  CHECK(end_of_confined([&] {
          char byte = 'x';
          if (send(sockets[0], &byte, 1, MSG_DONTWAIT) != 1) return 1;
          return recv(sockets[1], &byte, 1, MSG_DONTWAIT) == 1 ? 0 : 2;
        }) == 0);
  for (const int each : sockets) close(each);
}

TEST_CASE("confine: threads that are there are confined too") {
  if (!can_confine() || !child_has_threads) return;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSYS, SIG_DFL);
    std::atomic<bool> is_confined{false};
    std::thread other([&] {
      while (!is_confined) std::this_thread::yield();
      syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    });
    if (confine({})) _exit(not_confined);
    is_confined = true;
    other.join();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("confine: files") {
  if (!can_confine()) return;
  const ScratchFolder folder;
  std::filesystem::create_directories(folder.path + "/in/below");
  std::filesystem::create_directory(folder.path + "/read");
  for (const char* name : {"/in/below/a", "/read/b", "/outside"}) {
    std::ofstream(folder.path + name) << "text";
  }
  const auto opens = [](const std::string& path, int flags) {
    return [path, flags] { return open(path.c_str(), flags, 0600) < 0 ? errno : 0; };
  };
  CHECK(end_of_confined(opens(folder.path + "/outside", O_RDONLY)) == -EACCES);
  const std::vector<DirectoryGrant> granted = {{folder.path + "/in", "/in", true},
                                               {folder.path + "/read", "/read", false}};
  const auto ends = [&](const std::string& path, int flags) {
    return end_of_confined(opens(folder.path + path, flags), granted);
  };
  CHECK(ends("/in/below/a", O_RDWR) == 0);
  CHECK(ends("/in/new", O_RDWR | O_CREAT) == 0);
  CHECK(ends("/read/b", O_RDONLY) == 0);
  const bool has_landlock =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, 1 /* asks for the version */) >= 2;
  if (has_landlock) {
    CHECK(ends("/read/b", O_RDWR) == -EACCES);
    CHECK(ends("/read/new", O_RDWR | O_CREAT) == -EACCES);
    CHECK(ends("/outside", O_RDONLY) == -EACCES);
    CHECK(ends("/in/../outside", O_RDONLY) == -EACCES);
    CHECK(end_of_confined(opens("/etc/passwd", O_RDONLY), granted) == -EACCES);
  }
  CHECK(end_of_confined([] { return 0; }, {{folder.path + "/none", "/none", false}}) ==
        -not_confined);
}

}  // namespace atollvm
