// What the host calls of processes read and write in guest memory. Internal to the folder.
#pragma once

#include "vm/base/types.hpp"

namespace atollvm::host {

inline constexpr u32 spawn_link = 1 << 0;
inline constexpr u32 spawn_monitor = 1 << 1;
inline constexpr u32 spawn_stdio = 1 << 2;
inline constexpr u32 spawn_more = 1 << 3;    // the fields of GuestSpawnMore follow
inline constexpr u32 spawn_module = 1 << 4;  // a handle follows behind them
inline constexpr u32 spawn_rates = 1 << 5;   // a GuestSpawnRates follows behind that
inline constexpr u32 spawn_flags =
    spawn_link | spawn_monitor | spawn_stdio | spawn_more | spawn_module | spawn_rates;

// The structures as constants.cpp describes them to guests.
struct GuestSpawnOptions {
  u32 flags;
  i32 weight;
  i32 priority;
  u32 overflow;
  u32 handles;
  u32 handle_count;
  u32 handle_limit;
  u32 mailbox_messages;
  u64 mailbox_bytes;
  u64 memory;
  u64 stack;
  u64 fuel;
  u64 time;
};
static_assert(sizeof(GuestSpawnOptions) == 72);
// What came later: guests that don't know of it have no room for it.
struct GuestSpawnMore {
  u64 io_bytes;
  u64 io_operations;
};
static_assert(sizeof(GuestSpawnMore) == 16);
struct GuestSpawnModule {
  u32 module;
  u32 unused;
};
static_assert(sizeof(GuestSpawnModule) == 8);
struct GuestSpawnRates {
  u64 io_bytes_rate;
  u64 io_operations_rate;
};
static_assert(sizeof(GuestSpawnRates) == 16);

struct GuestMessageInfo {
  u64 sender;
  i32 tag;
  u32 size;
  u32 handle_count;
  u32 handles[8];
  u32 reserved;
};
static_assert(sizeof(GuestMessageInfo) == 56);

struct GuestProcessInfo {
  u64 pid;
  u64 parent;
  u32 state;
  u32 priority;
  u32 weight;
  u32 links;
  u32 messages;
  u32 handles;
  u64 mailbox_bytes;
  u64 memory;
  u64 stack;
  u64 cpu;
  u32 traps_exits;
  u32 reserved;
};
static_assert(sizeof(GuestProcessInfo) == 80);

}  // namespace atollvm::host
