// Servers, supervisors and pools in C: prints "ok NAME" or "not ok NAME" for each check.
#include <atoll_process.h>

#define SECOND INT64_C(1000000000)
#define EXPORT(name) __attribute__((export_name(#name)))

static void print(const char* text) {
  uint32_t n = 0;
  while (text[n] != 0) n++;
  atoll_write(ATOLL_STDOUT, text, n);
}

static int failures;
static void check(const char* name, int64_t got, int64_t expected) {
  if (got != expected) failures++;
  print(got == expected ? "ok c/" : "not ok c/");
  print(name);
  print(got == expected ? "\n" : ": another number was expected\n");
}

static const AtollSpawnOptions plain = {.flags = ATOLL_SPAWN_STDIO};

// --- A server -----------------------------------------------------------------------------------

enum { ADD, SLEEP, TRAP, LEAVE, LATER, FILL };
typedef struct Ask {
  int64_t what;
  int64_t value;
} Ask;

static AtollServerFrom kept;
static unsigned char filled[300000];

static int32_t on_call(void* state, const AtollServerFrom* from, const void* p, uint32_t n) {
  int64_t* total = state;
  const Ask* ask = p;
  if (n != sizeof *ask) {
    const int64_t length = n;
    atoll_server_reply(from, &length, sizeof length);
    return ATOLL_SERVER_GO_ON;
  }
  switch (ask->what) {
    case ADD:
      *total += ask->value;
      break;
    case SLEEP:
      atoll_clock_sleep(ask->value);
      break;
    case TRAP:
      __builtin_trap();
    case LATER:
      kept = *from;
      return ATOLL_SERVER_GO_ON;
    case FILL:
      for (uint32_t i = 0; i < sizeof filled; i++) filled[i] = (unsigned char)i;
      atoll_server_reply(from, filled, sizeof filled);
      return ATOLL_SERVER_GO_ON;
    default:
      break;
  }
  atoll_server_reply(from, total, sizeof *total);
  return ask->what == LEAVE;
}

static int32_t on_cast(void* state, const AtollMessageInfo* info, const void* p, uint32_t n) {
  (void)state;
  (void)info;
  atoll_server_reply(&kept, p, n);
  return ATOLL_SERVER_GO_ON;
}

EXPORT(counter) void counter(int64_t first) {
  const AtollServer server = {&first, on_call, on_cast, 0};
  atoll_exit(atoll_server_run(&server));
}

EXPORT(caster) void caster(int64_t to) {
  atoll_clock_sleep(SECOND / 50);
  atoll_server_cast(to, "hello", 5);
}

static int64_t ask(int64_t pid, int64_t what, int64_t value, int64_t timeout) {
  const Ask request = {what, value};
  const void* answer = 0;
  const int32_t n = atoll_server_call(pid, &request, sizeof request, &answer, timeout);
  return n == 8 ? *(const int64_t*)answer : n;
}

static int64_t start_counter(int64_t first) {
  return atoll_process_start("counter", &first, 1, &plain);
}

static void servers(void) {
  int64_t pid = start_counter(40);
  check("call", ask(pid, ADD, 2, -1), 42);
  check("timeout", ask(pid, SLEEP, SECOND / 30, SECOND / 500), -ATOLL_E_TIMEDOUT);
  check("late answer", ask(pid, ADD, 1, -1), 43);
  check("other request", atoll_server_call(pid, filled, 3, 0, -1), 8);
  const void* answer = 0;
  const Ask fill = {FILL, 0};
  int32_t n = atoll_server_call(pid, &fill, sizeof fill, &answer, -1);
  check("long answer", n, sizeof filled);
  int differ = 0;
  for (int32_t i = 0; i < n; i++) differ += ((const unsigned char*)answer)[i] != (unsigned char)i;
  check("long answer's bytes", differ, 0);
  n = atoll_server_call(pid, filled, sizeof filled, &answer, -1);
  check("long request", n == 8 ? *(const int64_t*)answer : n, sizeof filled);
  check("too long", atoll_server_call(pid, filled, 16 << 20, 0, -1), -ATOLL_E_TOOBIG);
  atoll_process_start("caster", &pid, 1, &plain);
  const Ask later = {LATER, 0};
  n = atoll_server_call(pid, &later, sizeof later, &answer, -1);
  check("later answer", n == 5 && *(const char*)answer == 'h', 1);
  check("stop", atoll_server_stop(pid, -1), 0);
  check("stopped", ask(pid, ADD, 1, -1), -ATOLL_E_SRCH);
  pid = start_counter(0);
  check("crash", ask(pid, TRAP, 1, -1), -ATOLL_E_SRCH);
  pid = start_counter(7);
  check("leave", ask(pid, LEAVE, 0, -1), 7);
  check("left", atoll_process_wait(pid, -1), 0);
  check("self", ask(atoll_process_self(), ADD, 0, -1), -ATOLL_E_INVAL);
  check("no such entry", atoll_process_start("nobody", 0, 0, 0), -ATOLL_E_NOENT);
}

// --- A supervisor -------------------------------------------------------------------------------

#define TAG_EVENT 9
static int64_t events;

static void on_event(enum AtollSupervisorEvent event, int32_t child, int64_t pid, int32_t reason,
                     int32_t code) {
  const int64_t told[] = {event, child, pid, reason, code};
  atoll_process_send(events, TAG_EVENT, (void*)told, sizeof told);
}

// Restarts its second child and those that the strategy says.
EXPORT(top) void top(int64_t strategy, int64_t intensity, int64_t to) {
  static const int64_t zero = 0;
  static AtollChild children[3];
  static const char* const names[] = {"zero", "one", "two"};
  for (int32_t i = 0; i < 3; i++) {
    children[i].entry = "counter";
    children[i].arguments = &zero;
    children[i].count = 1;
    children[i].name = names[i];
    children[i].shutdown = SECOND;
    children[i].ready = SECOND;
  }
  children[2].restart = ATOLL_TRANSIENT;
  events = to;
  const AtollSupervisor supervisor = {children,           3,           (enum AtollStrategy)strategy,
                                      (int32_t)intensity, 60 * SECOND, on_event};
  atoll_exit(atoll_supervisor_run(&supervisor));
}

// The next event: its kind, child and code in decimal digits.
static int64_t event(void) {
  static AtollInbox inbox;
  if (atoll_inbox_receive(&inbox, TAG_EVENT, 5 * SECOND) < 0) return -1;
  const int64_t* told = (const int64_t*)inbox.p;
  return told[0] * 100000 + told[1] * 10000 + told[3] * 1000 + told[4];
}

static void expect(const char* name, const int32_t* codes) {
  int64_t wrong = 0;
  for (int32_t i = 0; codes[i] >= 0; i++) {
    if (event() != codes[i]) wrong = i + 1;
  }
  check(name, wrong, 0);
}

static int64_t child(const char* name, uint32_t n) { return atoll_name_find((void*)name, n); }

static int64_t start_top(int64_t strategy, int64_t intensity) {
  const int64_t arguments[] = {strategy, intensity, atoll_process_self()};
  const int64_t pid = atoll_process_start("top", arguments, 3, &plain);
  check("supervisor starts", atoll_server_ready(pid, -1), 0);
  expect("children start", (const int32_t[]){0, 10000, 20000, -1});
  return pid;
}

static void supervisors(void) {
  int64_t pid = start_top(ATOLL_ONE_FOR_ONE, 5);
  check("crash", ask(child("one", 3), TRAP, 0, -1), -ATOLL_E_SRCH);
  expect("one for one", (const int32_t[]){112000, 10000, -1});
  check("new one", ask(child("one", 3), ADD, 5, -1), 5);
  check("transient child stops", atoll_server_stop(child("two", 3), -1), 0);
  expect("and stays so", (const int32_t[]){120000, -1});
  check("supervisor stops", atoll_server_stop(pid, -1), 0);
  expect("children stop", (const int32_t[]){111143, 101143, -1});

  pid = start_top(ATOLL_ONE_FOR_ALL, 5);
  check("crash", ask(child("one", 3), TRAP, 0, -1), -ATOLL_E_SRCH);
  expect("one for all", (const int32_t[]){112000, 121143, 101143, 0, 10000, 20000, -1});
  // Its children end with it, a moment later; the next one's wait for their names.
  atoll_process_kill(pid);
  atoll_process_wait(pid, -1);

  pid = start_top(ATOLL_REST_FOR_ONE, 1);
  check("crash", ask(child("one", 3), TRAP, 0, -1), -ATOLL_E_SRCH);
  expect("rest for one", (const int32_t[]){112000, 121143, 10000, 20000, -1});
  check("crash again", ask(child("one", 3), TRAP, 0, -1), -ATOLL_E_SRCH);
  expect("too often", (const int32_t[]){112000, 121143, 101143, -1});
  check("supervisor gives up", atoll_process_wait(pid, 5 * SECOND), 0);
}

// --- A pool -------------------------------------------------------------------------------------

static int32_t on_task(const void* p, uint32_t n, void* to, uint32_t room, uint32_t* length) {
  const Ask* task = p;
  if (task->what == TRAP) __builtin_trap();
  if (task->what == SLEEP) atoll_clock_sleep(task->value);
  *(int64_t*)to = task->value * task->value;
  *length = 8;
  return (int32_t)(n + (room > 0));
}

EXPORT(worker) void worker(void) { atoll_exit(atoll_pool_work(on_task)); }
EXPORT(barren) void barren(void) { __builtin_trap(); }

EXPORT(pool) void pool(int64_t is_barren) {
  static AtollPoolWorker workers[3];
  const AtollPool options = {is_barren ? "barren" : "worker", 0, workers, 3};
  atoll_exit(atoll_pool_run(&options));
}

static int64_t submit(int64_t to, int64_t what, int64_t value, int64_t timeout) {
  const Ask task = {what, value};
  return atoll_pool_submit(to, &task, sizeof task, timeout);
}

static void pools(void) {
  int64_t is_barren = 0;
  int64_t pid = atoll_process_start("pool", &is_barren, 1, &plain);
  AtollPoolResult result;
  int64_t sum = 0, crashed = 0, wrong = 0;
  for (int64_t i = 1; i <= 100; i++) {
    wrong += submit(pid, i % 10 == 0 ? TRAP : ADD, i, -1) != i;
    if (atoll_pool_next(pid, &result, 5 * SECOND) < 0) wrong++;
    if (result.reason == ATOLL_EXIT_NORMAL) {
      wrong += result.code != 17 || result.n != 8;
      sum += *(const int64_t*)result.p;
    } else {
      wrong += result.reason != ATOLL_EXIT_TRAP || result.task % 10 != 0 || result.n != 0;
      crashed++;
    }
  }
  check("tasks", wrong, 0);
  check("results", sum, 100 * 101 * 201 / 6 - 38500);
  check("crashes", crashed, 10);
  for (int32_t i = 0; i < 3; i++) check("submitted", submit(pid, SLEEP, SECOND / 20, -1), 101 + i);
  check("full", submit(pid, ADD, 1, 0), -ATOLL_E_AGAIN);
  check("full, with a timeout", submit(pid, ADD, 1, SECOND / 500), -ATOLL_E_TIMEDOUT);
  check("waited", submit(pid, ADD, 1, -1), 104);
  for (int32_t i = 0; i < 4; i++) check("result", atoll_pool_next(pid, &result, 5 * SECOND), 0);
  check("no more", atoll_pool_next(pid, &result, 0), -ATOLL_E_TIMEDOUT);
  check("stop", atoll_server_stop(pid, -1), 0);
  check("stopped", atoll_pool_next(pid, &result, -1), -ATOLL_E_SRCH);
  is_barren = 1;
  pid = atoll_process_start("pool", &is_barren, 1, &plain);
  check("gives up", atoll_process_wait(pid, 5 * SECOND), 0);
}

// --- Other modules ------------------------------------------------------------------------------

// This program, loaded once more.
static void modules(void) {
  static char why[100];
  const int32_t module = atoll_process_load("processes.wasm", why, sizeof why);
  check("load", module > 0, 1);
  const int64_t first = 40;
  const int64_t pid = atoll_process_start_module(module, "counter", &first, 1, &plain);
  check("its process", ask(pid, ADD, 2, -1), 42);
  check("its end", atoll_server_stop(pid, -1), 0);
  check("no such entry", atoll_process_start_module(module, "nobody", 0, 0, 0), -ATOLL_E_NOENT);
  check("no such file", atoll_process_load("nothing", 0, 0), -ATOLL_E_NOENT);
  check("no module", atoll_process_load("text", why, sizeof why), -ATOLL_E_NOEXEC);
  check("why", why[0] == 'o' && why[sizeof why - 1] == 0, 1);
}

EXPORT(main) int32_t run(void) {
  servers();
  supervisors();
  pools();
  modules();
  return failures > 0;
}
