#define _POSIX_C_SOURCE 200809L
#include "store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct entry {
  uint8_t* key; /* the value follows it */
  size_t key_size, value_size;
} entry;

struct space {
  store* owner;
  space* next;
  char name[most_name + 1];
  unsigned requests; /* under the store's lock */
  /* By key, in order; the worker's alone while it runs. */
  entry* entries;
  size_t count, room, bytes;
};

struct request {
  request* next;
  space* of;
  op what;
  done_function done;
  void* env;
  int32_t result;
  bytes found; /* into `copy` */
  uint8_t* copy;
  size_t key_size, value_size;
  uint8_t data[]; /* key, value */
};

struct store {
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  pthread_t worker;
  bool has_worker, closing, busy;
  request *first, **last; /* waiting */
  space* spaces;
  log_file* log;
  unsigned delay_ms;
};

/* --- Spaces and their entries ------------------------------------------------------------------
 */

static int compare(bytes a, bytes b) {
  const size_t both = a.size < b.size ? a.size : b.size;
  const int order = both == 0 ? 0 : memcmp(a.at, b.at, both);
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}
static bytes key_of(const entry* of) { return (bytes){of->key, of->key_size}; }
static bytes value_of(const entry* of) { return (bytes){of->key + of->key_size, of->value_size}; }

/* The position of the first key that is `key` or behind it; `*same` if it is the key. */
static size_t position(const space* in, bytes key, bool* same) {
  size_t low = 0, high = in->count;
  *same = false;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = compare(key_of(&in->entries[middle]), key);
    if (order == 0) {
      *same = true;
      return middle;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static void remove_at(space* in, size_t at) {
  in->bytes -= in->entries[at].key_size + in->entries[at].value_size;
  free(in->entries[at].key);
  memmove(in->entries + at, in->entries + at + 1, (in->count - at - 1) * sizeof(entry));
  --in->count;
}

/* Gives a key its value; false: no memory, and nothing has changed. */
static bool set(space* in, bytes key, bytes value) {
  entry made = {malloc(key.size + value.size), key.size, value.size};
  bool same;
  const size_t at = position(in, key, &same);
  if (made.key == NULL) return false;
  if (!same && in->count == in->room) {
    entry* moved = realloc(in->entries, (2 * in->room + 8) * sizeof(entry));
    if (moved == NULL) {
      free(made.key);
      return false;
    }
    in->entries = moved;
    in->room = 2 * in->room + 8;
  }
  memcpy(made.key, key.at, key.size);
  if (value.size > 0) memcpy(made.key + key.size, value.at, value.size);
  if (same) remove_at(in, at);
  memmove(in->entries + at + 1, in->entries + at, (in->count - at) * sizeof(entry));
  in->entries[at] = made;
  ++in->count;
  in->bytes += key.size + value.size;
  return true;
}

static space* find_space(store* s, bytes name) {
  for (space* each = s->spaces; each != NULL; each = each->next) {
    if (compare((bytes){(const uint8_t*)each->name, strlen(each->name)}, name) == 0) return each;
  }
  space* made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  made->owner = s;
  memcpy(made->name, name.at, name.size);
  made->next = s->spaces;
  s->spaces = made;
  return made;
}

space* store_space(store* s, const char* name) {
  const bytes wanted = {(const uint8_t*)name, strlen(name)};
  if (wanted.size == 0 || wanted.size > most_name) return NULL;
  pthread_mutex_lock(&s->lock);
  space* found = find_space(s, wanted);
  pthread_mutex_unlock(&s->lock);
  return found;
}

bool space_enter(space* of) {
  pthread_mutex_lock(&of->owner->lock);
  const bool may = of->requests < quota_requests;
  if (may) ++of->requests;
  pthread_mutex_unlock(&of->owner->lock);
  return may;
}
void space_leave(space* of) {
  pthread_mutex_lock(&of->owner->lock);
  --of->requests;
  pthread_mutex_unlock(&of->owner->lock);
}

/* --- The worker --------------------------------------------------------------------------------
 */

static int32_t put(space* in, bytes key, bytes value) {
  bool same;
  const size_t at = position(in, key, &same);
  const size_t before = same ? key.size + in->entries[at].value_size : 0;
  if (in->bytes - before + key.size + value.size > quota_bytes) return kv_quota;
  if (!same && in->count >= quota_keys) return kv_quota;
  const change record = {{(const uint8_t*)in->name, strlen(in->name)}, key, value, false};
  return log_append(in->owner->log, &record) && set(in, key, value) ? 0 : kv_io;
}

static int32_t delete(space* in, bytes key) {
  bool same;
  const size_t at = position(in, key, &same);
  if (!same) return kv_missing;
  const change record = {{(const uint8_t*)in->name, strlen(in->name)}, key, {NULL, 0}, true};
  if (!log_append(in->owner->log, &record)) return kv_io;
  remove_at(in, at);
  return 0;
}

/* A copy, as later requests of the batch may change it. */
static int32_t give(request* to, bytes found) {
  to->copy = malloc(found.size + 1);
  if (to->copy == NULL) return kv_io;
  if (found.size > 0) memcpy(to->copy, found.at, found.size);
  to->found = (bytes){to->copy, found.size};
  return (int32_t)found.size;
}

static int32_t perform(request* each) {
  const bytes key = {each->data, each->key_size};
  const bytes value = {each->data + each->key_size, each->value_size};
  space* in = each->of;
  bool same;
  size_t at;
  switch (each->what) {
    case op_put:
      return put(in, key, value);
    case op_delete:
      return delete (in, key);
    case op_get:
      at = position(in, key, &same);
      return same ? give(each, value_of(&in->entries[at])) : kv_missing;
    case op_scan:
      /* Behind the last key, but not before the prefix. */
      at = position(in, compare(value, key) > 0 ? value : key, &same);
      if (same && compare(value, key_of(&in->entries[at])) == 0) ++at;
      if (at == in->count || in->entries[at].key_size < key.size ||
          (key.size > 0 && memcmp(in->entries[at].key, key.at, key.size) != 0)) {
        return kv_missing;
      }
      return give(each, key_of(&in->entries[at]));
  }
  return kv_io;
}

static void* work(void* env) {
  store* s = env;
  for (;;) {
    pthread_mutex_lock(&s->lock);
    s->busy = false;
    if (s->first == NULL) pthread_cond_broadcast(&s->idle);
    while (s->first == NULL && !s->closing) pthread_cond_wait(&s->work, &s->lock);
    request* batch = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->busy = true;
    pthread_mutex_unlock(&s->lock);
    if (batch == NULL) return NULL;
    for (request* each = batch; each != NULL; each = each->next) each->result = perform(each);
    if (s->delay_ms > 0) {
      struct timespec time = {s->delay_ms / 1000, (long)(s->delay_ms % 1000) * 1000000};
      nanosleep(&time, NULL);
    }
    /* When the disk fails, nobody is told that anything went well, from then on. */
    const bool synced = log_sync(s->log);
    while (batch != NULL) {
      request* each = batch;
      batch = each->next;
      each->done(each->env, synced ? each->result : kv_io, each->found);
      free(each->copy);
      free(each);
    }
  }
}

void store_request(space* of, op what, bytes key, bytes value, done_function done, void* env) {
  const bytes nothing = {NULL, 0};
  const size_t most_after = what == op_scan ? most_key : most_value;
  if ((key.size == 0 && what != op_scan) || key.size > most_key || value.size > most_after) {
    done(env, kv_too_large, nothing);
    return;
  }
  request* made = calloc(1, sizeof *made + key.size + value.size);
  if (made == NULL) {
    done(env, kv_io, nothing);
    return;
  }
  made->of = of;
  made->what = what;
  made->done = done;
  made->env = env;
  made->key_size = key.size;
  made->value_size = value.size;
  if (key.size > 0) memcpy(made->data, key.at, key.size);
  if (value.size > 0) memcpy(made->data + key.size, value.at, value.size);
  store* s = of->owner;
  pthread_mutex_lock(&s->lock);
  *s->last = made;
  s->last = &made->next;
  pthread_cond_signal(&s->work);
  pthread_mutex_unlock(&s->lock);
}

/* --- Opening, closing, checking ----------------------------------------------------------------
 */

static bool replay(void* env, const change* made) {
  space* in = find_space(env, made->space);
  bool same;
  if (in == NULL) return false;
  const size_t at = position(in, made->key, &same);
  if (!made->deleted) return set(in, made->key, made->value);
  if (same) remove_at(in, at);
  return true;
}

/* Without its worker. */
static store* open_log(const char* path, size_t* cut) {
  store* s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->work, NULL);
  pthread_cond_init(&s->idle, NULL);
  s->last = &s->first;
  s->log = log_open(path, replay, s, cut);
  if (s->log != NULL) return s;
  store_close(s);
  return NULL;
}

store* store_open(const char* path, unsigned delay_ms, size_t* cut) {
  store* s = open_log(path, cut);
  if (s == NULL) return NULL;
  s->delay_ms = delay_ms;
  s->has_worker = pthread_create(&s->worker, NULL, work, s) == 0;
  if (s->has_worker) return s;
  store_close(s);
  return NULL;
}

void store_close(store* s) {
  if (s->has_worker) {
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->worker, NULL);
  }
  while (s->spaces != NULL) {
    space* each = s->spaces;
    s->spaces = each->next;
    while (each->count > 0) remove_at(each, each->count - 1);
    free(each->entries);
    free(each);
  }
  if (s->log != NULL) log_close(s->log);
  pthread_cond_destroy(&s->work);
  pthread_cond_destroy(&s->idle);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

static bool check_space(const space* of, const space* other) {
  size_t all = 0;
  if (of->requests != 0 || of->count > quota_keys || of->bytes > quota_bytes) return false;
  if (other->count != of->count) return false;
  for (size_t i = 0; i < of->count; ++i) {
    const entry *each = &of->entries[i], *same = &other->entries[i];
    all += each->key_size + each->value_size;
    if (i > 0 && compare(key_of(each - 1), key_of(each)) >= 0) return false;
    if (compare(key_of(each), key_of(same)) != 0) return false;
    if (compare(value_of(each), value_of(same)) != 0) return false;
  }
  return all == of->bytes;
}

void store_wait(store* s) {
  pthread_mutex_lock(&s->lock);
  while (s->first != NULL || s->busy) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

totals store_check(store* s, const char* path) {
  totals all = {0, 0, 0, true};
  size_t cut = 0;
  store* other = open_log(path, &cut);
  if (other == NULL || cut != 0) all.right = false;
  pthread_mutex_lock(&s->lock);
  for (const space* each = s->spaces; each != NULL && other != NULL; each = each->next) {
    all.spaces += each->count > 0;
    all.keys += each->count;
    all.bytes += each->bytes;
    const bytes name = {(const uint8_t*)each->name, strlen(each->name)};
    const space* same = find_space(other, name);
    if (same == NULL || !check_space(each, same)) all.right = false;
  }
  pthread_mutex_unlock(&s->lock);
  if (other != NULL) store_close(other);
  return all;
}
