// Many processes of a C guest that wait: as million.atoll, which see. Who includes this has
//   void settle(void)           what each process does with its memory before it waits
//   void* room(uint32_t bytes)  memory for the list of processes
// and exports an entry that calls begin().
#pragma once

#include <atoll.h>
#include <stdint.h>

static void settle(void);
static void* room(uint32_t bytes);

// atoll_spawn with its addresses as pointers.
__attribute__((import_module("atoll"), import_name("spawn"))) int64_t
spawn(int32_t entry, const void* arguments, int32_t count, const AtollSpawnOptions* options);

enum { TAG_QUESTION, TAG_ANSWER, TAG_DONE };

static char line[64];

static void check(int right) {
  if (!right) __builtin_trap();
}

static char* put_number(char* at, uint64_t value) {
  uint64_t power = 1;
  while (value / power >= 10) power *= 10;
  for (; power; power /= 10) *at++ = (char)('0' + value / power % 10);
  return at;
}

// Prints "NAME VALUE OPERATIONS".
static void report(const char* name, uint64_t value, uint64_t operations) {
  char* at = line;
  while (*name) *at++ = *name++;
  *at++ = ' ';
  at = put_number(at, value);
  *at++ = ' ';
  at = put_number(at, operations);
  *at++ = '\n';
  check(atoll_write(ATOLL_STDOUT, line, (uint32_t)(at - line)) == at - line);
}

// Prints "at 0 NUMBER", and waits until there is a line in standard input, or its end.
static void pause_at(uint64_t number) {
  report("at", 0, number);
  check(atoll_read(ATOLL_STDIN, line, sizeof line) >= 0);
}

// As often as the mailbox is full, others are let run first.
static void deliver(int64_t pid, int32_t tag, uint64_t number) {
  int32_t error;
  while ((error = atoll_process_send(pid, tag, &number, sizeof number)) == -ATOLL_E_AGAIN) {
    atoll_process_yield();
  }
  check(error == 0);
}

static uint64_t take(int32_t tag) {
  uint64_t number;
  check(atoll_receive(tag, &number, sizeof number, -1, 0) == sizeof number);
  return number;
}

static int waits(int64_t pid) {
  AtollProcessInfo info;
  check(atoll_process_info(pid, &info) == 0);
  return info.state == ATOLL_STATE_WAITING;
}

__attribute__((export_name("waiter"))) void waiter(int64_t boss) {
  settle();
  deliver(boss, TAG_ANSWER, take(TAG_QUESTION) + 1);
}

__attribute__((export_name("boss"))) void boss(int64_t count) {
  const int32_t entry = atoll_entry_find("waiter", 6);
  int64_t* pids = room((uint32_t)count * 8);
  const int64_t self = atoll_process_self();
  pause_at(0);

  int64_t begin = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  for (int64_t i = 0; i < count; i++) {
    pids[i] = spawn(entry, &self, 1, 0);
    check(pids[i] > 0);
  }
  while (!waits(pids[count - 1])) atoll_process_yield();
  int64_t end = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  // Who was stopped on the way comes later than the last one.
  for (int64_t i = 0; i < count; i++) {
    while (!waits(pids[i])) atoll_process_yield();
  }
  report("create", (uint64_t)(end - begin), (uint64_t)count);
  pause_at(1);

  begin = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  for (int64_t i = 0; i < count; i++) deliver(pids[i], TAG_QUESTION, (uint64_t)i);
  uint64_t sum = 0;
  for (int64_t i = 0; i < count; i++) sum += take(TAG_ANSWER);
  end = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  check(sum == (uint64_t)(count * (count + 1) / 2));
  report("answer", (uint64_t)(end - begin), (uint64_t)count);
  pause_at(2);
  deliver(atoll_process_parent(), TAG_DONE, 0);
}

// The one that gets all answers is a process of its own, so that its mailbox can be larger.
static void begin(void) {
  int64_t count = 0;
  const int32_t size = atoll_args_count() > 1 ? atoll_args_get(1, line, sizeof line) : 0;
  check(size >= 0);
  for (int32_t i = 0; i < size; i++) count = count * 10 + (line[i] - '0');
  if (count == 0) count = 100000;
  static const int32_t handles[] = {ATOLL_STDIN, ATOLL_STDOUT};
  const AtollSpawnOptions options = {.handles = (uint32_t)handles,
                                     .handle_count = 2,
                                     .mailbox_messages = (int32_t)count,
                                     .mailbox_bytes = 1 << 30};
  check(spawn(atoll_entry_find("boss", 4), &count, 1, &options) > 0);
  take(TAG_DONE);
}
