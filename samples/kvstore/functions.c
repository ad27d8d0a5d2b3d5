#define _POSIX_C_SOURCE 200809L
#include "functions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A put_later that nobody has waited for. */
typedef struct ticket {
  guest* of;
  int32_t number; /* 0: none */
  bool done;
  int32_t result;
  atoll_deferred* waiting;
} ticket;

struct guest {
  space* space;
  char* name;
  pthread_mutex_t lock; /* of the tickets, which the worker changes too */
  ticket tickets[quota_requests];
  int32_t next_ticket;
  size_t said_size;
  char said[most_said + 1];
};

/* A call that is parked. */
typedef struct parked {
  guest* of;
  atoll_deferred* deferred;
  uint32_t into, room; /* in the guest's memory */
} parked;

/* What comes back to one, on the guest's thread. */
typedef struct answer {
  int32_t result;
  uint32_t into;
  size_t size;
  uint8_t copy[];
} answer;

static bool argument_bytes(const atoll_caller* caller, const atoll_value* at, bytes* found) {
  const uint32_t size = (uint32_t)at[1].of.i32;
  const uint8_t* memory = atoll_caller_memory(caller, (uint32_t)at[0].of.i32, size);
  *found = (bytes){memory, size};
  return memory != NULL;
}
static atoll_action outside(atoll_caller* caller) {
  return atoll_caller_trap(caller, ATOLL_TRAP_MEMORY_BOUNDS);
}
static atoll_action give(atoll_value* results, int32_t result) {
  results[0] = atoll_i32(result);
  return ATOLL_RETURN;
}

/* --- Calls that wait ---------------------------------------------------------------------------
 */

static atoll_action deliver(void* env, atoll_caller* caller, const atoll_value* arguments,
                            atoll_value* results) {
  const answer* the = env;
  uint8_t* into = atoll_caller_memory(caller, the->into, the->size);
  (void)arguments;
  if (into == NULL) return outside(caller);
  if (the->size > 0) memcpy(into, the->copy, the->size);
  return give(results, the->result);
}

/* By the worker. The process may have ended: then completing does nothing. */
static void finish_parked(void* env, int32_t result, bytes value) {
  parked* the = env;
  const size_t size = value.size < the->room ? value.size : the->room;
  answer* made = malloc(sizeof *made + size);
  /* First: the guest may ask for more as soon as it goes on. */
  space_leave(the->of->space);
  if (made == NULL) {
    atoll_deferred_fail(the->deferred, "no memory");
  } else {
    *made = (answer){result, the->into, size};
    if (size > 0) memcpy(made->copy, value.at, size);
    atoll_deferred_complete_with(the->deferred, deliver, made, free);
  }
  atoll_deferred_free(the->deferred);
  free(the);
}

static atoll_action park(guest* of, atoll_caller* caller, op what, bytes key, bytes value,
                         const atoll_value* into, atoll_value* results) {
  if (!space_enter(of->space)) return give(results, kv_again);
  parked* the = malloc(sizeof *the);
  atoll_deferred* deferred = the == NULL ? NULL : atoll_caller_defer(caller, NULL, NULL);
  if (deferred == NULL) {
    free(the);
    space_leave(of->space);
    return give(results, kv_io);
  }
  *the = (parked){of, deferred, 0, 0};
  if (into != NULL) {
    the->into = (uint32_t)into[0].of.i32;
    the->room = (uint32_t)into[1].of.i32;
  }
  store_request(of->space, what, key, value, finish_parked, the);
  return ATOLL_PENDING;
}

static atoll_action kv_put(void* env, atoll_caller* caller, const atoll_value* arguments,
                           atoll_value* results) {
  bytes key, value;
  if (!argument_bytes(caller, arguments, &key)) return outside(caller);
  if (!argument_bytes(caller, arguments + 2, &value)) return outside(caller);
  return park(env, caller, op_put, key, value, NULL, results);
}

static atoll_action kv_get(void* env, atoll_caller* caller, const atoll_value* arguments,
                           atoll_value* results) {
  bytes key, into;
  if (!argument_bytes(caller, arguments, &key)) return outside(caller);
  if (!argument_bytes(caller, arguments + 2, &into)) return outside(caller);
  return park(env, caller, op_get, key, (bytes){NULL, 0}, arguments + 2, results);
}

static atoll_action kv_delete(void* env, atoll_caller* caller, const atoll_value* arguments,
                              atoll_value* results) {
  bytes key;
  if (!argument_bytes(caller, arguments, &key)) return outside(caller);
  return park(env, caller, op_delete, key, (bytes){NULL, 0}, NULL, results);
}

static atoll_action kv_scan(void* env, atoll_caller* caller, const atoll_value* arguments,
                            atoll_value* results) {
  bytes prefix, after, into;
  if (!argument_bytes(caller, arguments, &prefix)) return outside(caller);
  if (!argument_bytes(caller, arguments + 2, &after)) return outside(caller);
  if (!argument_bytes(caller, arguments + 4, &into)) return outside(caller);
  return park(env, caller, op_scan, prefix, after, arguments + 4, results);
}

/* --- Tickets -----------------------------------------------------------------------------------
 */

/* By the worker, or by store_request. */
static void finish_ticket(void* env, int32_t result, bytes value) {
  ticket* the = env;
  guest* of = the->of;
  (void)value;
  pthread_mutex_lock(&of->lock);
  atoll_deferred* waiting = the->waiting;
  if (waiting == NULL) {
    the->done = true;
    the->result = result;
  } else {
    *the = (ticket){of, 0, false, 0, NULL};
  }
  pthread_mutex_unlock(&of->lock);
  if (waiting == NULL) return;
  space_leave(of->space);
  const atoll_value given = atoll_i32(result);
  atoll_deferred_complete(waiting, &given, 1);
  atoll_deferred_free(waiting);
}

static atoll_action kv_put_later(void* env, atoll_caller* caller, const atoll_value* arguments,
                                 atoll_value* results) {
  guest* of = env;
  bytes key, value;
  if (!argument_bytes(caller, arguments, &key)) return outside(caller);
  if (!argument_bytes(caller, arguments + 2, &value)) return outside(caller);
  if (!space_enter(of->space)) return give(results, kv_again);
  pthread_mutex_lock(&of->lock);
  ticket* the = of->tickets;
  while (the->number != 0) ++the; /* there is one: as many as requests */
  of->next_ticket = of->next_ticket == INT32_MAX ? 1 : of->next_ticket + 1;
  const int32_t number = of->next_ticket;
  *the = (ticket){of, number, false, 0, NULL};
  pthread_mutex_unlock(&of->lock);
  store_request(of->space, op_put, key, value, finish_ticket, the);
  return give(results, number);
}

static atoll_action kv_wait(void* env, atoll_caller* caller, const atoll_value* arguments,
                            atoll_value* results) {
  guest* of = env;
  const int32_t number = arguments[0].of.i32;
  ticket* the = NULL;
  atoll_action action = ATOLL_RETURN;
  bool left = false;
  int32_t result = kv_unknown;
  pthread_mutex_lock(&of->lock);
  for (int i = 0; i < quota_requests; ++i) {
    if (number != 0 && of->tickets[i].number == number) the = &of->tickets[i];
  }
  if (the != NULL && the->done) {
    result = the->result;
    *the = (ticket){of, 0, false, 0, NULL};
    left = true;
  } else if (the != NULL) {
    the->waiting = atoll_caller_defer(caller, NULL, NULL);
    action = the->waiting == NULL ? ATOLL_RETURN : ATOLL_PENDING;
    result = kv_io;
  }
  pthread_mutex_unlock(&of->lock);
  if (left) space_leave(of->space);
  return action == ATOLL_PENDING ? action : give(results, result);
}

/* --- The rest ----------------------------------------------------------------------------------
 */

static atoll_action kv_say(void* env, atoll_caller* caller, const atoll_value* arguments,
                           atoll_value* results) {
  guest* of = env;
  bytes text;
  if (!argument_bytes(caller, arguments, &text)) return outside(caller);
  if (text.size + 1 > most_said - of->said_size) {
    return atoll_caller_fail(caller, "it says too much");
  }
  for (size_t i = 0; i < text.size; ++i) { /* what a guest says may be anything */
    const uint8_t each = text.at[i];
    of->said[of->said_size++] = (char)(each >= ' ' && each <= '~' ? each : '?');
  }
  of->said[of->said_size++] = '\n';
  of->said[of->said_size] = 0;
  return give(results, 0);
}

guest* guest_new(store* s, const char* name) {
  guest* made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  pthread_mutex_init(&made->lock, NULL);
  made->space = store_space(s, name);
  made->name = strdup(name);
  if (made->space != NULL && made->name != NULL) return made;
  guest_free(made);
  return NULL;
}
const char* guest_name(const guest* of) { return of->name; }
const char* guest_said(const guest* of) { return of->said; }

void guest_free(guest* of) {
  for (int i = 0; i < quota_requests; ++i) {
    if (of->tickets[i].number != 0) space_leave(of->space);
  }
  pthread_mutex_destroy(&of->lock);
  free(of->name);
  free(of);
}

atoll_imports* guest_imports(guest* of) {
  static const struct {
    const char* name;
    size_t parameters;
    atoll_callback function;
  } all[] = {{"put", 4, kv_put},
             {"get", 4, kv_get},
             {"delete", 2, kv_delete},
             {"scan", 6, kv_scan},
             {"put_later", 4, kv_put_later},
             {"wait", 1, kv_wait},
             {"say", 2, kv_say}};
  static const atoll_type i32s[6] = {ATOLL_I32, ATOLL_I32, ATOLL_I32,
                                     ATOLL_I32, ATOLL_I32, ATOLL_I32};
  atoll_imports* imports = atoll_imports_new();
  for (size_t i = 0; imports != NULL && i < sizeof all / sizeof *all; ++i) {
    atoll_error* error = atoll_imports_define(imports, "kv", all[i].name, i32s, all[i].parameters,
                                              i32s, 1, all[i].function, of, NULL);
    if (error != NULL) {
      atoll_error_free(error);
      atoll_imports_free(imports);
      imports = NULL;
    }
  }
  return imports;
}
