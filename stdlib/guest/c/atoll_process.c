#include "atoll_process.h"

#define TAG_CALL (ATOLL_PROCESS_TAGS + 1)
#define TAG_CAST (ATOLL_PROCESS_TAGS + 2)
#define TAG_REPLY (ATOLL_PROCESS_TAGS + 3)
#define TAG_PING (ATOLL_PROCESS_TAGS + 4)
#define TAG_STOP (ATOLL_PROCESS_TAGS + 5)
#define TAG_RESULT (ATOLL_PROCESS_TAGS + 16)
#define TAG_TASK (ATOLL_PROCESS_TAGS + 17)
#define TAG_DONE (ATOLL_PROCESS_TAGS + 18)

#define MILLISECOND INT64_C(1000000)

// Addresses as the calls have them, which are i32 for those that may be 0.
static int32_t address(const void* p) { return (int32_t)(intptr_t)p; }

static uint32_t length_of(const char* text) {
  uint32_t n = 0;
  while (text[n] != 0) n++;
  return n;
}

// There may be no memcpy: the compiler must not make calls of it of these.
__attribute__((no_builtin)) static void copy(void* to, const void* from, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) ((unsigned char*)to)[i] = ((const unsigned char*)from)[i];
}
__attribute__((no_builtin)) static void clear(void* p, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) ((unsigned char*)p)[i] = 0;
}

// --- Processes ----------------------------------------------------------------------------------

// A moment of the clock; -1: never.
static int64_t deadline_of(int64_t timeout) {
  if (timeout < 0) return -1;
  const int64_t now = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  return timeout > INT64_MAX - now ? -1 : now + timeout;
}

static int64_t left_until(int64_t deadline) {
  if (deadline < 0) return -1;
  const int64_t left = deadline - atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  return left < 0 ? 0 : left;
}

int64_t atoll_process_start(const char* entry, const int64_t* arguments, int32_t count,
                            const AtollSpawnOptions* options) {
  const int32_t number = atoll_entry_find((void*)entry, length_of(entry));
  if (number < 0) return number;
  return atoll_spawn(number, address(arguments), count, address(options));
}

// Room for at least n bytes, in place of what was there. 0 or -E_NOMEM.
static int32_t make_room(unsigned char** p, uint32_t* room, uint32_t n) {
  if (n <= *room) return 0;
  uint32_t more = *room * 2 > n ? *room * 2 : n;
  more = (more + 65535) / 65536;
  const size_t old = __builtin_wasm_memory_grow(0, more);
  if (old == (size_t)-1) return -ATOLL_E_NOMEM;
  *p = (unsigned char*)(old * 65536);
  *room = more * 65536;
  return 0;
}

int32_t atoll_process_load(const char* path, char* why, uint32_t room) {
  const int32_t file = atoll_open(ATOLL_ROOT, path, length_of(path), 0, ATOLL_RIGHT_LOAD);
  if (file < 0) return file;
  const int32_t module = atoll_module_open(file, why, room);
  atoll_close(file);
  return module;
}

int64_t atoll_process_start_module(int32_t module, const char* entry, const int64_t* arguments,
                                   int32_t count, const AtollSpawnOptions* options) {
  const int32_t number = atoll_module_entry(module, (void*)entry, length_of(entry));
  if (number < 0) return number;
  AtollSpawnOptions how;
  clear(&how, sizeof how);
  if (options != 0) copy(&how, options, sizeof how);
  how.flags |= ATOLL_SPAWN_MODULE;
  how.module = (uint32_t)module;
  return atoll_spawn(number, address(arguments), count, address(&how));
}

int32_t atoll_inbox_receive(AtollInbox* inbox, int32_t tag, int64_t timeout) {
  for (;;) {
    const int32_t got = atoll_receive(tag, inbox->p, inbox->room, timeout, address(&inbox->info));
    if (got >= 0) {
      inbox->n = (uint32_t)got;
      return 0;
    }
    if (got != -ATOLL_E_RANGE) return got;
    const int32_t error = make_room(&inbox->p, &inbox->room, (uint32_t)inbox->info.size);
    if (error < 0) return error;
  }
}

// Whether the message is the one by which the monitor tells of the end of `pid`. No process can
// make such a one up.
static int is_end(const AtollInbox* inbox, int64_t pid, int64_t watch) {
  const AtollExitInfo* info = (const AtollExitInfo*)inbox->p;
  return inbox->info.sender == 0 && inbox->n == sizeof *info && info->pid == pid &&
         info->reference == watch;
}

int32_t atoll_inbox_await(AtollInbox* inbox, int64_t pid, int32_t tag, int64_t timeout) {
  const int64_t watch = atoll_process_monitor_as(pid, tag);
  if (watch < 0) return (int32_t)watch;
  const int32_t error = atoll_inbox_receive(inbox, tag, timeout);
  if (error == 0 && is_end(inbox, pid, watch)) return -ATOLL_E_SRCH;
  atoll_process_demonitor(watch);
  return error;
}

int32_t atoll_process_wait(int64_t pid, int64_t timeout) {
  // No message has this tag.
  static AtollInbox none;
  const int32_t error = atoll_inbox_await(&none, pid, ATOLL_PROCESS_TAGS, timeout);
  return error == -ATOLL_E_SRCH ? 0 : error;
}

void atoll_process_close_handles(const AtollMessageInfo* info) {
  const uint32_t handles[] = {info->handle0, info->handle1, info->handle2, info->handle3,
                              info->handle4, info->handle5, info->handle6, info->handle7};
  for (uint32_t i = 0; i < (uint32_t)info->handle_count && i < 8; i++)
    atoll_close((int32_t)handles[i]);
}

// --- Servers ------------------------------------------------------------------------------------

static int64_t calls;
static AtollInbox answers;

// Sends `reference` and n bytes.
static int32_t send(int64_t pid, int32_t tag, int64_t reference, const void* p, uint32_t n) {
  static int64_t small[32];
  static unsigned char* buffer = (unsigned char*)small;
  static uint32_t room = sizeof small;
  if (n > (16 << 20) - 8) return -ATOLL_E_TOOBIG;
  const int32_t error = make_room(&buffer, &room, n + 8);
  if (error < 0) return error;
  copy(buffer, &reference, 8);
  copy(buffer + 8, p, n);
  return atoll_process_send(pid, tag, buffer, n + 8);
}

static int64_t reference_of(const AtollInbox* inbox) {
  int64_t reference = 0;
  copy(&reference, inbox->p, 8);
  return reference;
}

static int32_t request(int64_t pid, int32_t tag, const void* p, uint32_t n, const void** answer,
                       int64_t timeout) {
  // It would wait for itself.
  if (pid == atoll_process_self()) return -ATOLL_E_INVAL;
  const int64_t reference = ++calls;
  const int64_t deadline = deadline_of(timeout);
  int32_t error = send(pid, tag, reference, p, n);
  if (error < 0) return error;
  // The answer, or the end of the server before it has answered, whatever comes first.
  const int64_t watch = atoll_process_monitor_as(pid, TAG_REPLY);
  if (watch < 0) return (int32_t)watch;
  do {
    error = atoll_inbox_receive(&answers, TAG_REPLY, left_until(deadline));
    if (error < 0) break;
    if (is_end(&answers, pid, watch)) return -ATOLL_E_SRCH;
    atoll_process_close_handles(&answers.info);
    // Others answer a call that was given up.
  } while (answers.n < 8 || reference_of(&answers) != reference);
  atoll_process_demonitor(watch);
  if (error < 0) return error;
  if (answer != 0) *answer = answers.p + 8;
  return (int32_t)answers.n - 8;
}

int32_t atoll_server_call(int64_t pid, const void* p, uint32_t n, const void** answer,
                          int64_t timeout) {
  return request(pid, TAG_CALL, p, n, answer, timeout);
}

int32_t atoll_server_cast(int64_t pid, const void* p, uint32_t n) {
  return atoll_process_send(pid, TAG_CAST, (void*)p, n);
}

int32_t atoll_server_ready(int64_t pid, int64_t timeout) {
  return request(pid, TAG_PING, 0, 0, 0, timeout);
}

int32_t atoll_server_stop(int64_t pid, int64_t timeout) {
  const int64_t deadline = deadline_of(timeout);
  const int32_t error = request(pid, TAG_STOP, 0, 0, 0, timeout);
  return error < 0 ? error : atoll_process_wait(pid, left_until(deadline));
}

int32_t atoll_server_reply(const AtollServerFrom* from, const void* p, uint32_t n) {
  return send(from->pid, TAG_REPLY, from->reference, p, n);
}

// Of a process that ends because its parent has, or was asked to.
static int32_t exit_code(const AtollExitInfo* info) {
  if (info->reason == ATOLL_EXIT_NORMAL) return 0;
  return info->reason == ATOLL_EXIT_CODE ? info->code : ATOLL_PROCESS_SHUTDOWN;
}

int32_t atoll_server_run(const AtollServer* server) {
  static AtollInbox requests;
  int32_t result = ATOLL_SERVER_GO_ON;
  while (result == ATOLL_SERVER_GO_ON) {
    result = atoll_inbox_receive(&requests, ATOLL_TAG_ANY, -1);
    if (result < 0) break;
    const AtollMessageInfo* info = &requests.info;
    const int is_request = info->tag == TAG_CALL || info->tag == TAG_PING || info->tag == TAG_STOP;
    if (info->tag == TAG_CAST && server->on_cast != 0) {
      result = server->on_cast(server->state, info, requests.p, requests.n);
    } else if (is_request && requests.n >= 8) {
      const AtollServerFrom from = {info->sender, reference_of(&requests)};
      atoll_process_close_handles(info);
      if (info->tag == TAG_CALL) {
        if (server->on_call == 0) continue;
        result = server->on_call(server->state, &from, requests.p + 8, requests.n - 8);
      } else {
        atoll_server_reply(&from, 0, 0);
        if (info->tag == TAG_STOP) break;
      }
    } else if (info->tag == ATOLL_TAG_EXIT &&
               ((const AtollExitInfo*)requests.p)->pid == atoll_process_parent()) {
      return exit_code((const AtollExitInfo*)requests.p);
    } else if (server->on_other != 0 && !is_request && info->tag != TAG_CAST &&
               info->tag != TAG_REPLY) {
      result = server->on_other(server->state, info, requests.p, requests.n);
    } else {
      atoll_process_close_handles(info);
    }
  }
  return result;
}

// --- Supervisors --------------------------------------------------------------------------------

typedef struct Supervision {
  const AtollSupervisor* supervisor;
  int64_t times[ATOLL_SUPERVISOR_INTENSITY];  // a ring of the moments of the last restarts
  int64_t restarts;
  int32_t orphan;  // 1: the parent has ended, or asked this process to
  int32_t orphan_code;
  AtollInbox exits;
} Supervision;
static Supervision supervision;

static void tell(enum AtollSupervisorEvent event, const AtollChild* child, int64_t pid,
                 int32_t reason, int32_t code) {
  const AtollSupervisor* supervisor = supervision.supervisor;
  if (supervisor->on_event != 0) {
    supervisor->on_event(event, (int32_t)(child - supervisor->children), pid, reason, code);
  }
}

static void give_up_child(int64_t pid) {
  atoll_process_unlink(pid);
  atoll_process_kill(pid);
  atoll_process_wait(pid, -1);
}

// As atoll_process_start, of a process that is linked. Without options it also shares the streams,
// if this process has them.
static int64_t start_linked(const char* entry, const int64_t* arguments, int32_t count,
                            const AtollSpawnOptions* options) {
  AtollSpawnOptions linked;
  clear(&linked, sizeof linked);
  if (options != 0) copy(&linked, options, sizeof linked);
  linked.flags |= options != 0 ? ATOLL_SPAWN_LINK : ATOLL_SPAWN_LINK | ATOLL_SPAWN_STDIO;
  const int64_t pid = atoll_process_start(entry, arguments, count, &linked);
  if (options != 0 || pid != -ATOLL_E_BADF) return pid;
  linked.flags = ATOLL_SPAWN_LINK;
  return atoll_process_start(entry, arguments, count, &linked);
}

// Who has the name may be just ending: a child of a supervisor before this one, which was killed.
static int32_t register_child(const char* name, int64_t pid) {
  const uint32_t n = length_of(name);
  const int32_t error = atoll_name_register((void*)name, n, pid);
  if (error != -ATOLL_E_EXIST) return error;
  atoll_process_wait(atoll_name_find((void*)name, n), 1000 * MILLISECOND);
  return atoll_name_register((void*)name, n, pid);
}

static int32_t start_child(AtollChild* child) {
  const int64_t pid = start_linked(child->entry, child->arguments, child->count, child->options);
  int32_t error = pid < 0 ? (int32_t)pid : 0;
  if (error == 0) {
    if (child->name != 0) error = register_child(child->name, pid);
    if (error == 0 && child->ready != 0) error = atoll_server_ready(pid, child->ready);
    if (error < 0) give_up_child(pid);
  }
  child->pid = error < 0 ? 0 : pid;
  child->ended = 0;
  tell(error < 0 ? ATOLL_CHILD_FAILED : ATOLL_CHILD_STARTED, child, child->pid, 0, error);
  return error;
}

// Notes that a child has ended, or the parent.
static void note(const AtollExitInfo* info) {
  const AtollSupervisor* supervisor = supervision.supervisor;
  for (AtollChild* child = supervisor->children; child < supervisor->children + supervisor->count;
       child++) {
    if (child->pid != info->pid) continue;
    child->pid = 0;
    child->ended = 1;
    child->reason = info->reason;
    child->code = info->code;
    tell(ATOLL_CHILD_ENDED, child, info->pid, info->reason, info->code);
    return;
  }
  if (info->pid == atoll_process_parent()) {
    supervision.orphan = 1;
    supervision.orphan_code = exit_code(info);
  }
}

// Waits until a child has ended: 1 when it has.
static int await_end(const AtollChild* child, int64_t timeout) {
  const int64_t deadline = deadline_of(timeout);
  while (child->pid != 0) {
    if (atoll_inbox_receive(&supervision.exits, ATOLL_TAG_EXIT, left_until(deadline)) < 0) return 0;
    note((const AtollExitInfo*)supervision.exits.p);
  }
  return 1;
}

static void stop_child(AtollChild* child) {
  if (child->pid != 0) {
    if (child->shutdown != 0) atoll_process_exit(child->pid, ATOLL_PROCESS_SHUTDOWN);
    if (child->shutdown == 0 || !await_end(child, child->shutdown)) {
      atoll_process_kill(child->pid);
      await_end(child, -1);
    }
  }
  child->ended = 0;
}

static int too_often(void) {
  int32_t most = supervision.supervisor->intensity;
  if (most > ATOLL_SUPERVISOR_INTENSITY) most = ATOLL_SUPERVISOR_INTENSITY;
  if (most <= 0) return 1;
  const int64_t now = atoll_clock_now(ATOLL_CLOCK_MONOTONIC);
  int64_t* oldest = &supervision.times[supervision.restarts % most];
  if (supervision.restarts >= most && now - *oldest <= supervision.supervisor->period) return 1;
  supervision.restarts++;
  *oldest = now;
  return 0;
}

static int is_normal(const AtollChild* child) {
  return child->reason == ATOLL_EXIT_NORMAL ||
         (child->reason == ATOLL_EXIT_CODE && child->code == ATOLL_PROCESS_SHUTDOWN);
}

// Starts a child again, and those that the strategy says. 0 or ATOLL_SUPERVISOR_GAVE_UP.
static int32_t restart(AtollChild* failed) {
  const AtollSupervisor* supervisor = supervision.supervisor;
  AtollChild* first = supervisor->strategy == ATOLL_ONE_FOR_ALL ? supervisor->children : failed;
  AtollChild* end = supervisor->strategy == ATOLL_ONE_FOR_ONE
                        ? failed + 1
                        : supervisor->children + supervisor->count;
  for (;;) {
    if (too_often()) return ATOLL_SUPERVISOR_GAVE_UP;
    for (AtollChild* child = end; child-- > first;) stop_child(child);
    AtollChild* child = first;
    while (child < end && supervision.orphan == 0 &&
           (child->restart == ATOLL_TEMPORARY || start_child(child) >= 0)) {
      child++;
    }
    if (child == end || supervision.orphan != 0) return 0;
  }
}

// Deals with all that have ended: what a handler gives.
static int32_t settle(void) {
  const AtollSupervisor* supervisor = supervision.supervisor;
  for (int32_t i = 0; i < supervisor->count && supervision.orphan == 0; i++) {
    AtollChild* child = &supervisor->children[i];
    if (child->ended == 0) continue;
    child->ended = 0;
    if (child->restart == ATOLL_TEMPORARY ||
        (child->restart == ATOLL_TRANSIENT && is_normal(child)))
      continue;
    const int32_t result = restart(child);
    if (result != 0) return result;
    i = -1;  // more may have ended meanwhile
  }
  return supervision.orphan != 0 ? ATOLL_SUPERVISOR_GAVE_UP : ATOLL_SERVER_GO_ON;
}

static int32_t on_exit(void* state, const AtollMessageInfo* info, const void* p, uint32_t n) {
  (void)state;
  (void)n;
  atoll_process_close_handles(info);
  if (info->tag != ATOLL_TAG_EXIT) return ATOLL_SERVER_GO_ON;
  note((const AtollExitInfo*)p);
  return settle();
}

int32_t atoll_supervisor_run(const AtollSupervisor* supervisor) {
  const AtollServer server = {0, 0, 0, on_exit};
  int32_t result = 0;
  atoll_process_trap_exit(1);
  supervision.supervisor = supervisor;
  supervision.restarts = 0;
  supervision.orphan = 0;
  for (int32_t i = 0; i < supervisor->count && result >= 0; i++)
    result = start_child(&supervisor->children[i]);
  if (result >= 0) result = atoll_server_run(&server);
  for (int32_t i = supervisor->count; i-- > 0;) stop_child(&supervisor->children[i]);
  return result == ATOLL_SUPERVISOR_GAVE_UP && supervision.orphan != 0 ? supervision.orphan_code
                                                                       : result;
}

// --- Task pools ---------------------------------------------------------------------------------

// Before a result's bytes, from a worker to its pool and from there to who submitted the task.
typedef struct Result {
  int64_t task;
  int32_t reason;
  int32_t code;
} Result;

typedef struct Pooling {
  const AtollPool* pool;
  int64_t tasks;
  int32_t barren;  // ends of workers without a task, since a task was last done
} Pooling;
static Pooling pooling;

static void start_worker(AtollPoolWorker* worker) {
  worker->pid = start_linked(pooling.pool->entry, 0, 0, pooling.pool->options);
  worker->task = 0;
}

static AtollPoolWorker* worker_of(int64_t pid) {
  for (int32_t i = 0; i < pooling.pool->count; i++) {
    if (pooling.pool->workers[i].pid == pid) return &pooling.pool->workers[i];
  }
  return 0;
}

// A task is refused while all workers have one.
static int32_t on_task_submitted(void* state, const AtollServerFrom* from, const void* p,
                                 uint32_t n) {
  (void)state;
  int64_t answer = -ATOLL_E_AGAIN;
  for (int32_t i = 0; i < pooling.pool->count; i++) {
    AtollPoolWorker* worker = &pooling.pool->workers[i];
    if (worker->pid <= 0) start_worker(worker);
    if (worker->pid <= 0 || worker->task != 0) continue;
    // One that has just ended has another one in its place soon.
    if (send(worker->pid, TAG_TASK, pooling.tasks + 1, p, n) < 0) continue;
    answer = worker->task = ++pooling.tasks;
    worker->client = from->pid;
    break;
  }
  atoll_server_reply(from, &answer, sizeof answer);
  return ATOLL_SERVER_GO_ON;
}

static int32_t on_worker(void* state, const AtollMessageInfo* info, const void* p, uint32_t n) {
  (void)state;
  atoll_process_close_handles(info);
  if (info->tag == TAG_DONE) {
    AtollPoolWorker* worker = worker_of(info->sender);
    if (worker == 0 || worker->task == 0 || n < sizeof(Result)) return ATOLL_SERVER_GO_ON;
    atoll_process_send(worker->client, TAG_RESULT, (void*)p, n);
    worker->task = 0;
    pooling.barren = 0;
  } else if (info->tag == ATOLL_TAG_EXIT) {
    const AtollExitInfo* ended = (const AtollExitInfo*)p;
    AtollPoolWorker* worker = worker_of(ended->pid);
    if (worker == 0) return ATOLL_SERVER_GO_ON;
    if (worker->task != 0) {
      // One that ended in an orderly way has not done its task either.
      Result result = {worker->task, ended->reason, ended->code};
      if (result.reason == ATOLL_EXIT_NORMAL) result.reason = ATOLL_EXIT_CODE;
      atoll_process_send(worker->client, TAG_RESULT, &result, sizeof result);
    } else if (++pooling.barren > pooling.pool->count + 8) {
      return ATOLL_POOL_GAVE_UP;
    }
    start_worker(worker);
  }
  return ATOLL_SERVER_GO_ON;
}

int32_t atoll_pool_run(const AtollPool* pool) {
  const AtollServer server = {0, on_task_submitted, 0, on_worker};
  atoll_process_trap_exit(1);
  pooling.pool = pool;
  pooling.barren = 0;
  for (int32_t i = 0; i < pool->count; i++) start_worker(&pool->workers[i]);
  const int32_t result = atoll_server_run(&server);
  for (int32_t i = 0; i < pool->count; i++) {
    if (pool->workers[i].pid > 0) give_up_child(pool->workers[i].pid);
  }
  return result;
}

int32_t atoll_pool_work(int32_t (*on_task)(const void* p, uint32_t n, void* to, uint32_t room,
                                           uint32_t* length)) {
  static AtollInbox tasks;
  static struct {
    Result head;
    unsigned char bytes[65536];
  } done;
  for (;;) {
    int32_t error = atoll_inbox_receive(&tasks, TAG_TASK, -1);
    if (error < 0) return error;
    uint32_t length = 0;
    done.head.task = reference_of(&tasks);
    done.head.reason = ATOLL_EXIT_NORMAL;
    done.head.code = on_task(tasks.p + 8, tasks.n - 8, done.bytes, sizeof done.bytes, &length);
    if (length > sizeof done.bytes) length = sizeof done.bytes;
    do {
      error = atoll_process_send(atoll_process_parent(), TAG_DONE, &done,
                                 (uint32_t)sizeof(Result) + length);
      if (error == -ATOLL_E_AGAIN) atoll_clock_sleep(MILLISECOND);
    } while (error == -ATOLL_E_AGAIN);
  }
}

int64_t atoll_pool_submit(int64_t pool, const void* p, uint32_t n, int64_t timeout) {
  const int64_t deadline = deadline_of(timeout);
  for (;;) {
    const void* answer = 0;
    int64_t task = 0;
    const int32_t length = atoll_server_call(pool, p, n, &answer, -1);
    if (length < 0) return length;
    copy(&task, answer, sizeof task);
    if (task != -ATOLL_E_AGAIN || timeout == 0) return task;
    if (left_until(deadline) == 0) return -ATOLL_E_TIMEDOUT;
    atoll_clock_sleep(MILLISECOND);
  }
}

int32_t atoll_pool_next(int64_t pool, AtollPoolResult* result, int64_t timeout) {
  static AtollInbox results;
  const int32_t error = atoll_inbox_await(&results, pool, TAG_RESULT, timeout);
  if (error < 0) return error;
  Result head = {0, 0, 0};
  copy(&head, results.p, results.n < sizeof head ? results.n : sizeof head);
  result->task = head.task;
  result->reason = head.reason;
  result->code = head.code;
  result->p = results.p + sizeof head;
  result->n = results.n < sizeof head ? 0 : results.n - (uint32_t)sizeof head;
  return 0;
}
