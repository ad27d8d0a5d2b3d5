// Servers, supervisors and task pools for guests in C and C++, on top of the processes of atoll.h:
// what std.process, std.server, std.supervisor and std.pool are in assembly, with the same rules.
// Compile atoll_process.c with the program. It needs no C library; for messages beyond a few
// hundred bytes it lets the memory grow, and uses that again.
//
// A process is an exported function that runs beside others, with a memory of its own:
//
//   __attribute__((export_name("child"))) void child(int64_t number) { ... }
//   int64_t pid = atoll_process_start("child", &number, 1, &options);
//
// Times are in nanoseconds; below 0 means for ever. Errors are -ATOLL_E_....
#pragma once

#include <atoll.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- Processes ---

// Tags from here on belong to this library.
#define ATOLL_PROCESS_TAGS 0x7f000000
// The exit code that asks a process to end in an orderly way (atoll_process_exit). Supervisors take
// it for a normal end.
#define ATOLL_PROCESS_SHUTDOWN 143

// Starts the exported function `entry` with `count` arguments. `options` may be NULL. The new
// process, or an error: -E_NOENT: no such export, else those of atoll_spawn.
int64_t atoll_process_start(const char* entry, const int64_t* arguments, int32_t count,
                            const AtollSpawnOptions* options);
// Loads the module file or WebAssembly module at a path. A handle to it, or an error of atoll_open,
// atoll_module_open; where that is -E_NOEXEC, `why` (room for `room` bytes; may be
// NULL with 0) says what is wrong.
int32_t atoll_process_load(const char* path, char* why, uint32_t room);
// As atoll_process_start, of a function that such a module exports. The options have no
// ATOLL_SPAWN_MODULE.
int64_t atoll_process_start_module(int32_t module, const char* entry, const int64_t* arguments,
                                   int32_t count, const AtollSpawnOptions* options);
// Where messages go: `n` bytes at `p` of the last one, until the next, and what is known of it. All
// zero is an empty one.
typedef struct AtollInbox {
  unsigned char* p;
  uint32_t n;
  uint32_t room;
  AtollMessageInfo info;
} AtollInbox;
// Takes the oldest message with a tag (ATOLL_TAG_ANY: any) and waits for one. 0, or an error, and
// the message stays: -E_TIMEDOUT, -E_NOMEM, -E_MFILE.
int32_t atoll_inbox_receive(AtollInbox* inbox, int32_t tag, int64_t timeout);
// The same, and -E_SRCH when the process `pid` has ended and sent nothing with this tag before.
// Messages with other tags stay.
int32_t atoll_inbox_await(AtollInbox* inbox, int64_t pid, int32_t tag, int64_t timeout);
// Waits until a process has ended. 0 or -E_TIMEDOUT.
int32_t atoll_process_wait(int64_t pid, int64_t timeout);
// Closes the handles that came with a message.
void atoll_process_close_handles(const AtollMessageInfo* info);

// --- Servers ---

// Whom to answer: may be copied, and used once at any time.
typedef struct AtollServerFrom {
  int64_t pid;
  int64_t reference;
} AtollServerFrom;

// What a handler gives for the server to go on; all else ends atoll_server_run, which gives it.
#define ATOLL_SERVER_GO_ON 0

typedef struct AtollServer {
  void* state;  // for the handlers
  // Each may be NULL: then such messages are dropped. What is at p stays until the handler returns;
  // handles that came with a cast or another message are the handler's.
  int32_t (*on_call)(void* state, const AtollServerFrom* from, const void* p, uint32_t n);
  int32_t (*on_cast)(void* state, const AtollMessageInfo* info, const void* p, uint32_t n);
  int32_t (*on_other)(void* state, const AtollMessageInfo* info, const void* p, uint32_t n);
} AtollServer;

// Handles what comes until a handler ends it; 0 after atoll_server_stop; and when the process traps
// exits and its parent has ended or asked it to end, the exit code of that. An error of
// atoll_inbox_receive ends it too.
int32_t atoll_server_run(const AtollServer* server);
// Answers a call with n bytes. 0 or an error of atoll_process_send.
int32_t atoll_server_reply(const AtollServerFrom* from, const void* p, uint32_t n);
// Sends a request of n bytes and waits for the answer. Its length, and its place in *answer (unless
// that is NULL), where it stays until the next call; or an error: -E_TIMEDOUT, -E_SRCH: the server
// has ended, -E_AGAIN: its mailbox is full, -E_TOOBIG, -E_NOMEM, -E_INVAL: it is the caller itself.
// Where that mailbox has the rule OVERFLOW_WAIT the time until there is room comes on top.
int32_t atoll_server_call(int64_t pid, const void* p, uint32_t n, const void** answer,
                          int64_t timeout);
// Sends n bytes and does not wait. 0 or an error of atoll_process_send.
int32_t atoll_server_cast(int64_t pid, const void* p, uint32_t n);
// Waits until a server has come to atoll_server_run. 0 or an error as of atoll_server_call.
int32_t atoll_server_ready(int64_t pid, int64_t timeout);
// Lets a server end after what it was sent before, and waits for that. 0 or an error as of
// atoll_server_call.
int32_t atoll_server_stop(int64_t pid, int64_t timeout);

// --- Supervisors ---

enum AtollStrategy { ATOLL_ONE_FOR_ONE, ATOLL_ONE_FOR_ALL, ATOLL_REST_FOR_ONE };
// When a child is started again: always; unless it ended normally; never.
enum AtollRestart { ATOLL_PERMANENT, ATOLL_TRANSIENT, ATOLL_TEMPORARY };
enum AtollSupervisorEvent { ATOLL_CHILD_STARTED, ATOLL_CHILD_ENDED, ATOLL_CHILD_FAILED };

typedef struct AtollChild {
  const char* entry;  // an exported function
  const int64_t* arguments;
  int32_t count;  // of arguments
  enum AtollRestart restart;
  const AtollSpawnOptions* options;  // NULL: shares the streams, if there are some. A link is added
  const char* name;                  // to register it under, or NULL
  int64_t shutdown;  // the time that it has to end when it is asked to; 0: killed at once
  int64_t ready;     // 0, or a server: the time that it has to come to atoll_server_run
  // The supervisor's: 0 at first.
  int64_t pid;
  int32_t ended;
  int32_t reason;
  int32_t code;
} AtollChild;

typedef struct AtollSupervisor {
  AtollChild* children;
  int32_t count;
  enum AtollStrategy strategy;
  int32_t intensity;  // more restarts than that, at most ATOLL_SUPERVISOR_INTENSITY, within
  int64_t period;     // that time are too many
  // Is told what happens to a child; may be NULL. reason and code: EXIT_ and its code, or the
  // error.
  void (*on_event)(enum AtollSupervisorEvent event, int32_t child, int64_t pid, int32_t reason,
                   int32_t code);
} AtollSupervisor;

#define ATOLL_SUPERVISOR_INTENSITY 64
// What atoll_supervisor_run gives when there were too many restarts.
#define ATOLL_SUPERVISOR_GAVE_UP 70

// Starts the children in their order and keeps them running, as a server: atoll_server_ready waits
// until all run, atoll_server_stop stops them, in the reverse order. Gives an exit code for the
// supervisor: 0 after atoll_server_stop; that of the parent's exit signal;
// ATOLL_SUPERVISOR_GAVE_UP; or the error of a child that could not be started at first. The process
// traps exits from then on. One at a time in a process.
int32_t atoll_supervisor_run(const AtollSupervisor* supervisor);

// --- Task pools ---

// A pool's own: 0 at first.
typedef struct AtollPoolWorker {
  int64_t pid;
  int64_t client;
  int64_t task;  // 0: none
} AtollPoolWorker;

typedef struct AtollPool {
  const char* entry;                 // the workers' function, which runs atoll_pool_work
  const AtollSpawnOptions* options;  // of the workers, as of an AtollChild
  AtollPoolWorker* workers;
  int32_t count;
} AtollPool;

#define ATOLL_POOL_GAVE_UP 71

// A pool's process: gives a task to each worker that has none; while all have one, tasks are
// refused, and wait with who submits them. A worker that crashes is replaced, and its task has that
// as its result. Gives an exit code, as atoll_supervisor_run; ATOLL_POOL_GAVE_UP: workers crash
// without a task, again and again. One at a time in a process.
int32_t atoll_pool_run(const AtollPool* pool);
// A worker: does tasks, each with n bytes at p, by a function that writes its result to `to`, at
// most `room` bytes, sets *length (0 before), and gives a code. `room` is at most 65536. Returns
// with an error alone.
int32_t atoll_pool_work(int32_t (*on_task)(const void* p, uint32_t n, void* to, uint32_t room,
                                           uint32_t* length));
// Submits a task; waits while all workers have one. Its number, or an error: -E_AGAIN (timeout 0),
// -E_TIMEDOUT, others of atoll_server_call.
int64_t atoll_pool_submit(int64_t pool, const void* p, uint32_t n, int64_t timeout);

typedef struct AtollPoolResult {
  int64_t task;
  int32_t reason;  // ATOLL_EXIT_NORMAL: it was done; else how its worker ended
  int32_t code;    // what the worker's function gave; else the exit code or trap
  const void* p;   // the result's n bytes, which stay until the next result
  uint32_t n;
} AtollPoolResult;
// Waits for the next result of what this process has submitted. 0, or an error: -E_TIMEDOUT,
// -E_NOMEM, -E_SRCH: the pool has ended.
int32_t atoll_pool_next(int64_t pool, AtollPoolResult* result, int64_t timeout);

#ifdef __cplusplus
}
#endif
