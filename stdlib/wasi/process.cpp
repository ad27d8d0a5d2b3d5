// Arguments, environment variables, clocks, random numbers, the process's end.
#include <time.h>

#include <algorithm>

#include "stdlib/wasi/support.hpp"

namespace atollvm::wasi {
namespace {

// Bytes of all texts, each with its final NUL.
u64 size_of(const std::vector<std::string>& texts) {
  u64 size = 0;
  for (const std::string& each : texts) size += each.size() + 1;
  return size;
}

HostResult sizes_get(Call& call, const std::vector<std::string>& texts) {
  const u64 size = size_of(texts);
  if (size > UINT32_MAX || texts.size() > UINT32_MAX / 4) return give(call, Errno::overflow);
  const auto count_to = call.context.memory(call.u32_at(0), 4);
  const auto size_to = call.context.memory(call.u32_at(1), 4);
  if (!count_to || !size_to) return give(call, Errno::fault);
  store<u32>(*count_to, 0, static_cast<u32>(texts.size()));
  store<u32>(*size_to, 0, static_cast<u32>(size));
  return give(call, Errno::success);
}

// An array of addresses, and the texts at them.
HostResult texts_get(Call& call, const std::vector<std::string>& texts) {
  const u64 size = size_of(texts);
  if (size > UINT32_MAX || texts.size() > UINT32_MAX / 4) return give(call, Errno::overflow);
  const u32 texts_at = call.u32_at(1);
  const auto addresses =
      bytes_at(call.context, call.u32_at(0), static_cast<u32>(texts.size() * sizeof(u32)));
  const auto to = bytes_at(call.context, texts_at, static_cast<u32>(size));
  if (!addresses || !to) return give(call, Errno::fault);
  u32 at = 0;
  for (usize i = 0; i < texts.size(); ++i) {
    store<u32>(*addresses, i * sizeof(u32), texts_at + at);
    memcpy(to->data() + at, texts[i].c_str(), texts[i].size() + 1);
    at += static_cast<u32>(texts[i].size() + 1);
  }
  return give(call, Errno::success);
}

constexpr u32 clock_real = 0;
constexpr u32 clock_monotonic = 1;
constexpr u32 clock_thread =
    3;  // and 2, of the process: the time of the CPU, which guests don't get

// Errors: inval (no such clock), badf (one that this host does not have).
Outcome<host::Clock> clock_of(u32 id) {
  if (id > clock_thread) return Errno::inval;
  if (id > clock_monotonic) return Errno::badf;
  return id == clock_real ? host::Clock::real : host::Clock::monotonic;
}

// Fills a range of memory piece by piece.
HostResult fill(Environment& environment, HostContext& context, u32 address, u32 size) {
  const auto to = bytes_at(context, address, size);
  if (!to) return give(context, Errno::fault);
  const u32 now = std::min(size, max_turn);
  if (now != 0 && !environment.random(to->first(now))) return give(context, Errno::io);
  if (now == size) return give(context, Errno::success);
  return loop::of(context).soon(context, [&environment, address, size, now](HostContext& later) {
    return fill(environment, later, address + now, size - now);
  });
}

}  // namespace

HostResult call_args_sizes_get(Call& call) { return sizes_get(call, call.environment.arguments); }
HostResult call_args_get(Call& call) { return texts_get(call, call.environment.arguments); }
HostResult call_environ_sizes_get(Call& call) {
  return sizes_get(call, call.environment.variables);
}
HostResult call_environ_get(Call& call) { return texts_get(call, call.environment.variables); }

HostResult call_clock_res_get(Call& call) {
  const Outcome<host::Clock> clock = clock_of(call.u32_at(0));
  if (const Errno* error = error_of(clock)) return give(call, *error);
  timespec step{};
  const bool real = std::get<host::Clock>(clock) == host::Clock::real;
  clock_getres(real ? CLOCK_REALTIME : CLOCK_MONOTONIC, &step);
  const u64 nanoseconds =
      static_cast<u64>(step.tv_sec) * 1'000'000'000 + static_cast<u64>(step.tv_nsec);
  return give_number(call.context, call.u32_at(1), nanoseconds);
}

HostResult call_clock_time_get(Call& call) {
  const Outcome<host::Clock> clock = clock_of(call.u32_at(0));
  if (const Errno* error = error_of(clock)) return give(call, *error);
  const i64 now = call.environment.clock(std::get<host::Clock>(clock));
  if (now < 0) return give(call, Errno::overflow);
  return give_number(call.context, call.u32_at(2), static_cast<u64>(now));
}

HostResult call_random_get(Call& call) {
  return fill(call.environment, call.context, call.u32_at(0), call.u32_at(1));
}

HostResult call_proc_exit(Call& call) { return HostResult::exited(call.u32_at(0)); }

HostResult call_proc_raise(Call& call) { return give(call, Errno::notsup); }

HostResult call_sched_yield(Call& call) {
  return loop::of(call.context).soon(call.context, [](HostContext& later) {
    return give(later, Errno::success);
  });
}

}  // namespace atollvm::wasi
