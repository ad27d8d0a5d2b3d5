/* The key-value store: name spaces with quotas, kept in a log file. One worker thread does all
 * requests; it writes what several of them change with one sync, and completes them when the disk
 * has it. */
#ifndef KVSTORE_STORE_H
#define KVSTORE_STORE_H

#include "log.h"

/* What requests give: 0 and up, or one of these, which are WASI's numbers. */
enum {
  kv_too_large = -1, /* or an empty key */
  kv_again = -6,     /* as many requests as the space may have are under way */
  kv_quota = -19,
  kv_unknown = -28, /* no such ticket */
  kv_io = -29,      /* nobody knows whether it is done */
  kv_missing = -44
};

/* Of one name space. */
enum { quota_bytes = 64 << 10, quota_keys = 100, quota_requests = 8 };

typedef struct store store;
typedef struct space space;
typedef struct request request;

/* Opens the log and starts the worker. Each batch of requests takes at least `delay_ms`, as on a
 * slow disk. NULL: see log_open. */
store* store_open(const char* path, unsigned delay_ms, size_t* cut);
/* Does what is still asked for, then ends the worker. */
void store_close(store* s);

/* A name space by its name, of 1 to most_name bytes; made if it is new. Belongs to the store.
 * NULL: no memory. Threads: any. */
space* store_space(store* s, const char* name);

/* Requests. `done` is called once, by the worker, or by store_request itself when the request can't
 * be done (space full of requests, sizes, no memory); `value` is for a get or scan, and valid
 * during the call. Key and value are copied. Threads: any. */
typedef enum { op_get, op_put, op_delete, op_scan } op;
typedef void (*done_function)(void* env, int32_t result, bytes value);
/* op_scan: `key` is a prefix, and `value` the key after which to look: the result is the first key
 * that begins with the prefix and is behind it, kv_missing if there is none. */
void store_request(space* of, op what, bytes key, bytes value, done_function done, void* env);

/* Counts a request of the space in; false if it has quota_requests already. And out. Threads: any.
 */
bool space_enter(space* of);
void space_leave(space* of);

/* Waits until no request is under way. */
void store_wait(store* s);

typedef struct totals {
  size_t spaces, keys, bytes;
  bool right; /* all that must hold of the spaces does, and the log says the same */
} totals;
/* Looks at everything, while no request is under way, and none is counted. */
totals store_check(store* s, const char* path);

#endif
