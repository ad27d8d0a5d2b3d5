// What parked calls wait for: deadlines, descriptors, jobs; and ending while they wait.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "scheduler/loop/loop.hpp"
#include "tests/support/process.hpp"

using namespace atollvm;
using namespace atollvm::test;
using loop::Loop;
using loop::monotonic_ns;
using runtime::HostContext;
using runtime::HostFunction;
using runtime::HostResult;
using runtime::Process;
using Status = runtime::HostResult::Status;

namespace {

// A process that makes one host call, which is `call`.
struct Caller {
  std::unique_ptr<Process> process = process_of(ModuleBuilder());
  runtime::Slot window[16] = {};

  Status start(std::function<HostResult(HostContext&)> call) {
    HostFunction function;
    function.call = std::move(call);
    return process->call_host({&function, &process->instance(), 0}, window).status;
  }
  void finish(Loop& loop) {
    while (!process->ready()) loop.run_once(true);
    REQUIRE(process->complete(window).status == Status::value);
  }
};

struct Pipe {
  int fds[2];
  Pipe() { REQUIRE(pipe2(fds, O_CLOEXEC) == 0); }
  ~Pipe() {
    close(fds[0]);
    close(fds[1]);
  }
};

constexpr u64 millisecond = 1'000'000;

}  // namespace

TEST_CASE("loop: deadlines come in their order, never early") {
  Loop loop;
  std::vector<int> order;
  std::vector<Caller> callers(5);
  const u64 now = monotonic_ns();
  const u64 deadlines[] = {now + 30 * millisecond, now + 10 * millisecond, now + 10 * millisecond,
                           now + 100'000, 0};
  for (int i = 0; i < 5; ++i) {
    callers[i].process->on_ready([&, i] {
      order.push_back(i);
      CHECK(monotonic_ns() >= deadlines[i]);
    });
    const Status status = callers[i].start([&, i](HostContext& context) {
      return loop.after(context, deadlines[i],
                        [i](HostContext& later) { return later.result_i32(i); });
    });
    CHECK(status == Status::pending);
  }
  CHECK(loop.waiting() == 5);
  while (order.size() < 5) loop.run_once(true);
  for (Caller& each : callers) each.finish(loop);
  CHECK(order[0] == 4);
  CHECK(order[1] == 3);
  CHECK(order[2] == 1);
  CHECK(order[3] == 2);
  CHECK(order[4] == 0);
  CHECK(loop.waiting() == 0);
}

TEST_CASE("loop: a process that ends takes its waits with it") {
  Loop loop;
  Pipe pipe;
  bool finished = false;
  const auto note = [&](HostContext& later) {
    finished = true;
    return later.result_i32(0);
  };
  {
    std::vector<Caller> callers(3);
    callers[0].start([&](HostContext& c) { return loop.after(c, monotonic_ns() + 1, note); });
    callers[1].start([&](HostContext& c) { return loop.when_readable(c, pipe.fds[0], note); });
    callers[2].start([&](HostContext& c) { return loop.when_readable(c, pipe.fds[0], note); });
    CHECK(loop.waiting() == 3);
    callers[1].process.reset();
    CHECK(loop.waiting() == 2);
    callers[2].process->stop(runtime::Trap::interrupted);
    CHECK(loop.waiting() == 1);
  }
  CHECK(loop.waiting() == 0);
  REQUIRE(write(pipe.fds[1], "x", 1) == 1);
  // The descriptor is free for others.
  Caller next;
  next.start([&](HostContext& c) {
    return loop.when_readable(c, pipe.fds[0],
                              [](HostContext& later) { return later.result_i32(5); });
  });
  next.finish(loop);
  CHECK(next.window[0] == 5);
  CHECK(!finished);
}

TEST_CASE("loop: descriptors: several waiters, both directions, no flags touched") {
  Loop loop;
  const int event = eventfd(0, EFD_CLOEXEC);
  REQUIRE(event >= 0);
  const int flags = fcntl(event, F_GETFL);
  std::vector<Caller> callers(4);
  const auto done = [](HostContext& later) { return later.result_i32(1); };
  for (usize i = 0; i < 3; ++i) {
    callers[i].start([&](HostContext& c) { return loop.when_readable(c, event, done); });
  }
  loop.run_once(false);
  CHECK(!callers[0].process->ready());
  callers[3].start([&](HostContext& c) { return loop.when_writable(c, event, done); });
  callers[3].finish(loop);
  CHECK(!callers[0].process->ready());
  CHECK(loop.waiting() == 3);
  const u64 one = 1;
  REQUIRE(write(event, &one, sizeof one) == sizeof one);
  for (usize i = 0; i < 3; ++i) callers[i].finish(loop);
  CHECK(fcntl(event, F_GETFL) == flags);
  CHECK(loop.waiting() == 0);
  close(event);
}

TEST_CASE("loop: a hang-up, a regular file and a closed descriptor end the wait") {
  Loop loop;
  const auto done = [](HostContext& later) { return later.result_i32(1); };
  {
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    Caller caller;
    caller.start([&](HostContext& c) { return loop.when_readable(c, fds[0], done); });
    loop.run_once(false);
    CHECK(!caller.process->ready());
    close(fds[1]);
    caller.finish(loop);
    close(fds[0]);
  }
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  for (const int fd : {file, -1}) {
    Caller caller;
    caller.start([&, fd](HostContext& c) { return loop.when_readable(c, fd, done); });
    CHECK(caller.process->ready());
    caller.finish(loop);
  }
  close(file);
  CHECK(loop.waiting() == 0);
}

TEST_CASE("loop: a descriptor with a number of its own: many waits, and another in its place") {
  Loop loop;
  const auto done = [](HostContext& later) { return later.result_i32(1); };
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto put = [](int fd) {
    const u64 one = 1;
    REQUIRE(write(fd, &one, sizeof one) == sizeof one);
  };
  const auto take = [](int fd) {
    u64 value = 0;
    REQUIRE(read(fd, &value, sizeof value) == sizeof value);
  };
  for (int i = 0; i < 20; ++i) {
    Caller caller;
    caller.start([&](HostContext& c) { return loop.when_readable(c, event, done, 1); });
    loop.run_once(false);
    CHECK(!caller.process->ready());
    put(event);
    caller.finish(loop);
    // What happens while nobody waits is asked for again by the next wait.
    for (int polls = 0; polls < i; ++polls) loop.run_once(false);
    Caller next;
    next.start([&](HostContext& c) { return loop.when_readable(c, event, done, 1); });
    next.finish(loop);
    take(event);
  }
  // Reading and writing, at once and one after the other.
  Caller reader;
  Caller writer;
  reader.start([&](HostContext& c) { return loop.when_readable(c, event, done, 1); });
  writer.start([&](HostContext& c) { return loop.when_writable(c, event, done, 1); });
  writer.finish(loop);
  for (int polls = 0; polls < 10; ++polls) loop.run_once(false);
  CHECK(!reader.process->ready());
  put(event);
  reader.finish(loop);
  // Who ends takes its wait with it; then another descriptor has the number.
  {
    Caller gone;
    take(event);
    gone.start([&](HostContext& c) { return loop.when_readable(c, event, done, 1); });
  }
  CHECK(loop.waiting() == 0);
  close(event);
  for (const u64 own : {u64{2}, u64{0}, u64{3}}) {
    const int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(other == event);
    Caller caller;
    caller.start([&](HostContext& c) { return loop.when_readable(c, other, done, own); });
    loop.run_once(false);
    CHECK(!caller.process->ready());
    put(other);
    caller.finish(loop);
    CHECK(loop.waiting() == 0);
    close(other);
  }
}

TEST_CASE("loop: jobs run elsewhere, their Finish here") {
  Loop loop;
  const auto here = std::this_thread::get_id();
  std::vector<Caller> callers(20);
  for (usize i = 0; i < callers.size(); ++i) {
    callers[i].start([&, i](HostContext& c) {
      return loop.work(c, [i, here]() -> runtime::Finish {
        const bool elsewhere = std::this_thread::get_id() != here;
        const auto sum = std::make_shared<u64>(0);
        for (u64 n = 0; n < 1000; ++n) *sum += n * i;
        return [sum, here, elsewhere](HostContext& later) {
          const bool good = elsewhere && std::this_thread::get_id() == here;
          return later.result_i64(good ? static_cast<i64>(*sum) : -1);
        };
      });
    });
  }
  for (usize i = 0; i < callers.size(); ++i) {
    callers[i].finish(loop);
    CHECK(callers[i].window[0] == i * 499500);
  }
}

TEST_CASE("loop: a job that throws traps its process") {
  Loop loop;
  Caller caller;
  caller.start([&](HostContext& c) {
    return loop.work(c, []() -> runtime::Finish { throw std::bad_alloc(); });
  });
  while (!caller.process->ready()) loop.run_once(true);
  CHECK(caller.process->complete(caller.window).status == Status::trap);
}

TEST_CASE("loop: a job may outlive its process, and the loop waits for jobs that run") {
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;
  bool may_end = false;
  std::atomic<bool> ended{false};
  bool finished = false;
  std::thread releaser;
  {
    Loop loop;
    Caller caller;
    caller.start([&](HostContext& c) {
      return loop.work(c, [&]() -> runtime::Finish {
        std::unique_lock lock(mutex);
        started = true;
        changed.notify_all();
        changed.wait(lock, [&] { return may_end; });
        ended = true;
        return [&](HostContext& later) {
          finished = true;
          return later.result_i32(0);
        };
      });
    });
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return started; });
    }
    caller.process.reset();
    loop.run_once(false);
    releaser = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const std::lock_guard lock(mutex);
      may_end = true;
      changed.notify_all();
    });
  }
  CHECK(ended);
  CHECK(!finished);
  releaser.join();
}

TEST_CASE("loop: wake() from any thread ends a wait, also before the first one") {
  Loop early;
  early.wake();
  early.run_once(true);

  Loop loop;
  for (int turn = 0; turn < 200; ++turn) {
    std::thread waker([&] { loop.wake(); });
    loop.run_once(true);
    waker.join();
    loop.run_once(false);
  }
  CHECK(loop.waiting() == 0);
}

TEST_CASE("loop: a thousand sleepers") {
  Loop loop;
  std::vector<Caller> callers(1000);
  const u64 now = monotonic_ns();
  for (usize i = 0; i < callers.size(); ++i) {
    callers[i].start([&, i](HostContext& c) {
      return loop.after(c, now + (i * 7919 % 1000) * 20'000,
                        [](HostContext& later) { return later.result_i32(0); });
    });
  }
  for (usize i = 0; i < callers.size(); i += 2) callers[i].process.reset();
  for (usize i = 1; i < callers.size(); i += 2) callers[i].finish(loop);
  CHECK(loop.waiting() == 0);
}
