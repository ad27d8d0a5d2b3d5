// libuv runs the thread pool. Descriptors and deadlines are kept in an epoll set of our own, in
// which libuv's loop is one descriptor, for three reasons: uv_poll_init makes a descriptor
// non-blocking, which would reach every program that shares an inherited one; uv_timer counts
// milliseconds, while a timerfd wakes a sleeper on time; and what comes is had by one system call.
#include "scheduler/loop/loop.hpp"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "vm/base/monotonic.hpp"
#include "vm/base/sanitizers.hpp"
#include "vm/runtime/process.hpp"

#if ATOLL_TSAN
extern "C" void __tsan_acquire(void*);  // NOLINT: the sanitizer's
extern "C" void __tsan_release(void*);  // NOLINT
#endif

namespace atollvm::loop {

using runtime::Completion;
using runtime::Finish;
using runtime::HostContext;
using runtime::HostResult;

namespace {

using Ticket = u64;  // of one waiting call; never used twice

struct Waiting {
  Completion completion;
  Finish finish;
  std::function<void()> settle{};  // forgets what else the call waits for; may be empty

  void done() {
    if (settle) settle();
    completion.finish(std::move(finish));
  }
};

// The calls that wait for one descriptor. Without any, that of a descriptor with a number of its
// own stays: it is in the set until something happens a few times that nobody waits for.
struct Watch {
  struct Waiter {
    Ticket ticket;
    u32 events;  // EPOLLIN or EPOLLOUT
    Waiting waiting;
  };
  std::vector<Waiter> waiters;
  u64 own = 0;         // the number of the descriptor, or 0
  u32 registered = 0;  // what the set is asked about it; 0: it is not in the set
  u32 unheard = 0;     // how often something happened since somebody began to wait

  [[nodiscard]] u32 events() const {
    u32 all = 0;
    for (const Waiter& each : waiters) all |= each.events;
    return all;
  }
};

// A job in the pool. Owned by libuv's queue until its after-work callback.
struct Work {
  uv_work_t request{};
  Loop::Job job;
  Finish finish;  // what the job gave
  Completion completion;
  Ticket ticket = 0;
  std::unordered_map<Ticket, Work*>* works = nullptr;
  bool dropped = false;
};

// A question for the addresses of a host. Owned by libuv's queue until its callback.
struct Question {
  uv_getaddrinfo_t request{};
  std::function<void(const Loop::Lookup&)> done;  // empty: nobody waits any more
  Ticket ticket = 0;
  std::unordered_map<Ticket, Question*>* questions = nullptr;  // null: the loop is gone
};

void fail(const char* what) { throw std::runtime_error(what); }

}  // namespace

u64 monotonic_ns() { return base::monotonic_ns(); }

struct Loop::Impl {
  Impl();
  ~Impl();

  // The process that has waited here may be another thread's by the time that it goes on, or ends:
  // what changes the loop then is done by its own thread.
  void on_own_thread(std::function<void()> job);
  void take_foreign();

  void add_waiter(const Interest& interest, Ticket ticket, Waiting waiting);
  bool set_events(int fd, Watch& watch, u32 events) const;
  void cancel_watch(int fd, Ticket ticket);
  void cancel_work(Ticket ticket);
  void cancel_question(Ticket ticket);
  void arm_timer();
  void poll_set(bool block);
  void finish_timers();
  void finish_watch(int fd, u32 events);

  uv_loop_t loop{};
  uv_async_t alive{};  // without anything libuv's loop would not look at its descriptors
  int set = -1;        // epoll
  int timer = -1;      // timerfd, in `set`
  int wake_up = -1;    // eventfd, likewise; edge-triggered: it is never read
  u64 armed_ns = 0;
  u64 wake_ns = ~u64{0};  // when run_once is to return
  Ticket next = 1;
  std::map<std::pair<u64, Ticket>, Waiting> timers;  // by deadline, then order of calls
  std::unordered_map<int, Watch> watches;
  std::unordered_map<Ticket, Work*> works;
  std::unordered_map<Ticket, Question*> questions;
  std::atomic<std::thread::id> thread{std::this_thread::get_id()};
  std::mutex foreign_mutex;
  std::vector<std::function<void()>> foreign;
  std::atomic<bool> has_foreign{false};
};

#if ATOLL_TSAN
// libuv closes its descriptors by a system call that ThreadSanitizer does not see: another loop
// that gets the same numbers on another thread would seem to write what this one has written.
static char closed;
#endif

Loop::Impl::Impl() {
#if ATOLL_TSAN
  __tsan_acquire(&closed);
#endif
  if (uv_loop_init(&loop) != 0) fail("no event loop");
  set = epoll_create1(EPOLL_CLOEXEC);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  wake_up = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto add = [this](int fd, u32 events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
  };
  const bool ready = set >= 0 && timer >= 0 && wake_up >= 0 && add(timer, EPOLLIN) &&
                     add(wake_up, EPOLLIN | EPOLLET) && add(uv_backend_fd(&loop), EPOLLIN);
  if (!ready || uv_async_init(&loop, &alive, [](uv_async_t*) {}) != 0) {
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_loop_close(&loop);
    for (const int fd : {set, timer, wake_up}) {
      if (fd >= 0) close(fd);
    }
    fail("no event loop");
  }
  uv_run(&loop, UV_RUN_NOWAIT);  // gives its descriptors to the system
}

Loop::Impl::~Impl() {
  for (const auto& [ticket, work] : works) {
    work->dropped = true;
    work->works = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&work->request));
  }
  for (const auto& [ticket, question] : questions) {
    question->done = nullptr;
    question->questions = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&question->request));
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&alive), nullptr);
  while (uv_loop_close(&loop) == UV_EBUSY) uv_run(&loop, UV_RUN_ONCE);
  for (const int fd : {set, timer, wake_up}) close(fd);
#if ATOLL_TSAN
  __tsan_release(&closed);
#endif
}

void Loop::Impl::on_own_thread(std::function<void()> job) {
  if (thread.load(std::memory_order_relaxed) == std::this_thread::get_id()) return job();
  {
    const std::lock_guard lock(foreign_mutex);
    foreign.push_back(std::move(job));
    has_foreign.store(true);
  }
  const u64 one = 1;
  static_cast<void>(!write(wake_up, &one, sizeof one));
}

void Loop::Impl::take_foreign() {
  if (!has_foreign.load()) return;
  std::vector<std::function<void()>> jobs;
  {
    const std::lock_guard lock(foreign_mutex);
    jobs.swap(foreign);
    has_foreign.store(false);
  }
  for (const auto& each : jobs) each();
}

// --- Timers --------------------------------------------------------------------------------------

// Sets the timerfd for the first deadline. An earlier setting than needed is left alone: it wakes
// the loop once for nothing, which is cheaper than a system call at every cancelled timer.
void Loop::Impl::arm_timer() {
  const u64 first = std::min(timers.empty() ? ~u64{0} : timers.begin()->first.first, wake_ns);
  if (first == ~u64{0}) return;
  if (armed_ns != 0 && armed_ns <= first) return;
  armed_ns = first == 0 ? 1 : first;  // 0 would disarm
  itimerspec at{};
  at.it_value.tv_sec = static_cast<time_t>(armed_ns / 1'000'000'000);
  at.it_value.tv_nsec = static_cast<long>(armed_ns % 1'000'000'000);
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, nullptr);
}

void Loop::Impl::finish_timers() {
  u64 expirations = 0;
  if (read(timer, &expirations, sizeof expirations) > 0) armed_ns = 0;
  const u64 now = monotonic_ns();
  while (!timers.empty() && timers.begin()->first.first <= now) {
    timers.extract(timers.begin()).mapped().done();
  }
  arm_timer();
}

// --- Descriptors ---------------------------------------------------------------------------------

void Loop::Impl::poll_set(bool block) {
  epoll_event events[256];
  const int count = epoll_wait(set, events, 256, block ? -1 : 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (fd == timer) {
      finish_timers();
    } else if (fd == uv_backend_fd(&loop)) {
      uv_run(&loop, UV_RUN_NOWAIT);
    } else if (fd != wake_up) {
      finish_watch(fd, events[i].events);
    }
  }
}

// False: the descriptor can't be watched.
bool Loop::Impl::set_events(int fd, Watch& watch, u32 events) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  const u32 before = std::exchange(watch.registered, events);
  if (events == 0) {
    epoll_ctl(set, EPOLL_CTL_DEL, fd, &event);
    return true;
  }
  if (before == 0) return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
  return epoll_ctl(set, EPOLL_CTL_MOD, fd, &event) == 0;
}

void Loop::Impl::finish_watch(int fd, u32 events) {
  const auto found = watches.find(fd);
  if (found == watches.end()) return;
  Watch& watch = found->second;
  // An error or a hang-up is for everybody: their next try tells them.
  const bool all = (events & (EPOLLERR | EPOLLHUP)) != 0;
  std::vector<Watch::Waiter> ready;
  std::vector<Watch::Waiter> left;
  for (Watch::Waiter& each : watch.waiters) {
    (all || (events & each.events) != 0 ? ready : left).push_back(std::move(each));
  }
  watch.waiters = std::move(left);
  // Who was waiting has most likely soon read what came, and waits again.
  constexpr u32 most_unheard = 4;
  if (watch.own == 0 || (ready.empty() && ++watch.unheard >= most_unheard)) {
    set_events(fd, watch, watch.events());
  }
  if (watch.registered == 0) watches.erase(found);
  for (Watch::Waiter& each : ready) each.waiting.done();
}

void Loop::Impl::add_waiter(const Interest& interest, Ticket ticket, Waiting waiting) {
  const int fd = interest.fd;
  Watch& watch = watches[fd];
  // The number is another's now: the system forgot that one when it was closed.
  if (watch.own != interest.own && watch.waiters.empty()) watch.registered = 0;
  watch.own = interest.own;
  watch.unheard = 0;
  watch.waiters.push_back({ticket, interest.write ? EPOLLOUT : EPOLLIN, std::move(waiting)});
  const u32 events = watch.events();
  if ((watch.registered & events) == events) return;
  if (set_events(fd, watch, events)) return;
  // EPERM: always ready. Other errors (closed, no memory): the next try tells.
  waiting = std::move(watch.waiters.back().waiting);
  watch.waiters.pop_back();
  if (watch.waiters.empty()) watches.erase(fd);
  waiting.done();
}

void Loop::Impl::cancel_watch(int fd, Ticket ticket) {
  const auto found = watches.find(fd);
  if (found == watches.end()) return;
  std::vector<Watch::Waiter>& waiters = found->second.waiters;
  for (usize i = 0; i < waiters.size(); ++i) {
    if (waiters[i].ticket != ticket) continue;
    const Watch::Waiter dropped = std::move(waiters[i]);  // may close fd: after the set forgot it
    waiters.erase(waiters.begin() + static_cast<std::ptrdiff_t>(i));
    if (waiters.empty() && found->second.own == 0) {
      set_events(fd, found->second, 0);
      watches.erase(found);
    }
    return;
  }
}

// --- Jobs ----------------------------------------------------------------------------------------

void Loop::Impl::cancel_work(Ticket ticket) {
  const auto found = works.find(ticket);
  if (found == works.end()) return;
  found->second->dropped = true;
  uv_cancel(reinterpret_cast<uv_req_t*>(&found->second->request));
}

void Loop::Impl::cancel_question(Ticket ticket) {
  const auto found = questions.find(ticket);
  if (found == questions.end()) return;
  found->second->done = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&found->second->request));
}

// --- Loop ----------------------------------------------------------------------------------------

Loop::Loop() = default;

Loop::~Loop() { running_.store(nullptr); }

Loop::Impl& Loop::impl() {
  if (impl_ == nullptr) {
    impl_ = std::make_unique<Impl>();
    running_.store(impl_.get());
  }
  impl_->thread.store(std::this_thread::get_id(), std::memory_order_relaxed);
  return *impl_;
}

HostResult Loop::after(HostContext& context, u64 deadline_ns, Finish finish) {
  Impl& self = impl();
  const std::pair key{deadline_ns, self.next++};
  Completion completion = context.suspend(
      [&self, key] { self.on_own_thread([&self, key] { self.timers.erase(key); }); });
  self.timers.emplace(key, Waiting{std::move(completion), std::move(finish)});
  self.arm_timer();
  return HostResult::pending();
}

HostResult Loop::when_readable(HostContext& context, int fd, Finish finish, u64 own) {
  return watch(context, {fd, false, own}, std::move(finish));
}

HostResult Loop::when_writable(HostContext& context, int fd, Finish finish, u64 own) {
  return watch(context, {fd, true, own}, std::move(finish));
}

HostResult Loop::watch(HostContext& context, const Interest& interest, Finish finish) {
  Impl& self = impl();
  const Ticket ticket = self.next++;
  Completion completion = context.suspend([&self, fd = interest.fd, ticket] {
    self.on_own_thread([&self, fd, ticket] { self.cancel_watch(fd, ticket); });
  });
  self.add_waiter(interest, ticket, {std::move(completion), std::move(finish)});
  return HostResult::pending();
}

// One call that waits for several things at once.
struct Loop::Group {
  Group(Impl& of, Finish then) : impl(of), finish(std::move(then)) {}

  Impl& impl;
  Finish finish;
  // The process's thread's alone, which has their owners until it has forgotten them.
  std::vector<std::pair<cap::Readiness*, u64>> others{};
  // The loop's thread's alone.
  std::vector<std::pair<int, Ticket>> watches{};
  std::optional<std::pair<u64, Ticket>> timer{};
  std::atomic<bool> settled{false};  // nothing is waited for in the loop any more

  void cancel() {
    settled.store(true);
    for (const auto& [fd, ticket] : watches) impl.cancel_watch(fd, ticket);
    watches.clear();
    if (timer) impl.timers.erase(*timer);
    timer.reset();
  }
  static void cancel(const std::shared_ptr<Group>& group) {
    for (const auto& [readiness, ticket] : group->others) readiness->forget(ticket);
    group->others.clear();
    if (!group->settled.load()) group->impl.on_own_thread([group] { group->cancel(); });
  }
  static Waiting waiting(const std::shared_ptr<Group>& group, const Completion& completion,
                         const Finish& first) {
    return {completion, first, [group] { group->cancel(); }};
  }
  void set_timer(std::optional<u64> deadline_ns, Waiting waiting) {
    if (!deadline_ns) return;
    timer = {*deadline_ns, impl.next++};
    impl.timers.emplace(*timer, std::move(waiting));
    impl.arm_timer();
  }
  // The first thing to happen completes the call; what else was waited for is forgotten then.
  static Finish first_of(const std::shared_ptr<Group>& group) {
    return [group](HostContext& later) {
      cancel(group);
      return std::exchange(group->finish, nullptr)(later);
    };
  }
};

HostResult Loop::when_any(HostContext& context, std::span<const Interest> interests,
                          std::optional<u64> deadline_ns, Finish finish) {
  if (interests.empty() && !deadline_ns) return soon(context, std::move(finish));
  Impl& self = impl();
  const auto group = std::make_shared<Group>(self, std::move(finish));
  const Completion completion = context.suspend([group] { Group::cancel(group); });
  const Finish first = Group::first_of(group);
  group->set_timer(deadline_ns, Group::waiting(group, completion, first));
  for (const Interest& each : interests) {
    if (group->settled.load()) break;  // one of them can't be waited for
    if (each.readiness != nullptr) {
      // It may be ready at once, on another thread even before its ticket is known: `first` runs on
      // this one, later.
      const u64 ticket =
          each.readiness->wait(each.write, [completion, first] { completion.finish(first); });
      group->others.emplace_back(each.readiness, ticket);
      continue;
    }
    const Ticket ticket = self.next++;
    group->watches.emplace_back(each.fd, ticket);
    self.add_waiter(each, ticket, Group::waiting(group, completion, first));
  }
  return HostResult::pending();
}

HostResult Loop::when_ready(HostContext& context, const Interest& interest, Finish finish) {
  if (interest.readiness == nullptr) {
    return watch(context, interest, std::move(finish));
  }
  // There is something to be cancelled before its ticket is known, but nobody does so on this
  // thread.
  const auto ticket = std::make_shared<u64>(0);
  cap::Readiness* const readiness = interest.readiness;
  const Completion completion =
      context.suspend([readiness, ticket] { readiness->forget(*ticket); });
  *ticket = readiness->wait(interest.write, [completion, finish = std::move(finish)]() mutable {
    completion.finish(std::move(finish));
  });
  return HostResult::pending();
}

HostResult Loop::until(HostContext& context, std::optional<u64> deadline_ns, Finish finish,
                       std::function<void()> cancel, std::function<void()>& ready) {
  const auto group = std::make_shared<Group>(impl(), std::move(finish));
  const Completion completion = context.suspend([group, cancel = std::move(cancel)] {
    Group::cancel(group);
    group->finish = nullptr;
    cancel();
  });
  const Finish first = Group::first_of(group);
  if (!deadline_ns) group->settled.store(true);
  group->set_timer(deadline_ns, Group::waiting(group, completion, first));
  ready = [completion, first] { completion.finish(first); };
  return HostResult::pending();
}

HostResult Loop::soon(HostContext& context, Finish finish) {
  context.suspend().finish(std::move(finish));
  return HostResult::pending();
}

HostResult Loop::work(HostContext& context, Job job) {
  Impl& self = impl();
  auto work = std::make_unique<Work>();
  work->ticket = self.next++;
  work->completion = context.suspend(
      [&self, ticket = work->ticket] {
        self.on_own_thread([&self, ticket] { self.cancel_work(ticket); });
      },
      /*is_job=*/true);
  work->job = std::move(job);
  work->works = &self.works;
  work->request.data = work.get();
  const auto run = [](uv_work_t* request) {
    Work& each = *static_cast<Work*>(request->data);
    try {
      each.finish = each.job();
    } catch (const std::exception&) {
      each.finish = nullptr;  // the call traps, see below
    }
  };
  const auto after_run = [](uv_work_t* request, int status) {
    const std::unique_ptr<Work> each(static_cast<Work*>(request->data));
    if (each->works != nullptr) each->works->erase(each->ticket);
    if (each->dropped || status != 0) return;
    if (each->finish == nullptr) {
      each->finish = [](HostContext&) { return HostResult::trapped(runtime::Trap::out_of_memory); };
    }
    each->completion.finish(std::move(each->finish));
  };
  self.works.emplace(work->ticket, work.get());
  if (uv_queue_work(&self.loop, &work->request, run, after_run) != 0) {
    self.works.erase(work->ticket);
    return HostResult::trapped(runtime::Trap::host_error);
  }
  work.release();  // after_run takes it
  return HostResult::pending();
}

static void answer(uv_getaddrinfo_t* request, int status, addrinfo* list) {
  const std::unique_ptr<Question> question(static_cast<Question*>(request->data));
  if (question->questions != nullptr) question->questions->erase(question->ticket);
  if (question->done) {
    Loop::Lookup result;
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
      if (each->ai_addrlen > sizeof(sockaddr_storage)) continue;
      memcpy(&result.addresses.emplace_back(), each->ai_addr, each->ai_addrlen);
    }
    const bool is_unknown = status == UV_EAI_NONAME || status == UV_EAI_NODATA ||
                            status == UV_EAI_ADDRFAMILY || status == UV_EAI_FAIL;
    using End = Loop::Lookup::End;
    result.end = status == 0 ? End::found : is_unknown ? End::unknown : End::failed;
    question->done(result);
  }
  uv_freeaddrinfo(list);
}

HostResult Loop::lookup(HostContext& context, const std::string& name,
                        std::optional<u64> deadline_ns, Found finish) {
  Impl& self = impl();
  auto question = std::make_unique<Question>();
  const Ticket ticket = question->ticket = self.next++;
  question->questions = &self.questions;
  question->request.data = question.get();
  std::optional<std::pair<u64, Ticket>> timer;
  if (deadline_ns) timer = {*deadline_ns, self.next++};
  const Completion completion = context.suspend([&self, ticket, timer] {
    self.on_own_thread([&self, ticket, timer] {
      self.cancel_question(ticket);
      if (timer) self.timers.erase(*timer);
    });
  });
  question->done = [&self, completion, finish, timer](const Lookup& result) {
    if (timer) self.timers.erase(*timer);
    completion.finish([finish, result](HostContext& later) { return finish(later, result); });
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // each address once
  hints.ai_flags = AI_ADDRCONFIG;
  self.questions.emplace(ticket, question.get());
  if (uv_getaddrinfo(&self.loop, &question->request, answer, name.c_str(), nullptr, &hints) != 0) {
    self.questions.erase(ticket);
    question->done(Lookup{});
    return HostResult::pending();
  }
  question.release();  // `answer` takes it
  if (timer) {
    self.timers.emplace(*timer, Waiting{completion,
                                        [finish](HostContext& later) {
                                          return finish(later, {Lookup::End::timed_out, {}});
                                        },
                                        [&self, ticket] { self.cancel_question(ticket); }});
    self.arm_timer();
  }
  return HostResult::pending();
}

// Either wake() sees the loop running, or run_once sees the flag: both orders are sequentially
// consistent stores followed by loads.
void Loop::wake() noexcept {
  woken_.store(true);
  if (Impl* const self = running_.load(); self != nullptr) {
    const u64 one = 1;
    static_cast<void>(!write(self->wake_up, &one, sizeof one));
  }
}

void Loop::run_once(bool block, u64 deadline_ns) {
  if (!block && impl_ == nullptr) {
    woken_.store(false);
    return;
  }
  Impl& self = impl();
  const bool wait = !woken_.exchange(false) && block;
  if (wait && deadline_ns != ~u64{0}) {
    self.wake_ns = deadline_ns;
    self.arm_timer();
    self.wake_ns = ~u64{0};
  }
  self.take_foreign();
  self.poll_set(wait);
  self.take_foreign();
}

usize Loop::waiting() const {
  if (impl_ == nullptr) return 0;
  usize count = impl_->timers.size() + impl_->works.size() + impl_->questions.size();
  for (const auto& [fd, watch] : impl_->watches) count += watch.waiters.size();
  return count;
}

Loop& of(const runtime::HostContext& context) {
  return *static_cast<Loop*>(context.process().worker()->loop);
}

void serve(runtime::Worker& worker, Loop& loop) {
  worker.loop = &loop;
  worker.wait_until = [](HostContext& context, u64 at, Finish finish,
                         std::function<void()> cancel) {
    std::function<void()> unused;
    return of(context).until(context, at, std::move(finish), std::move(cancel), unused);
  };
}

}  // namespace atollvm::loop
