/* The store's log: a file of records, each with a checksum, that only grows. What was synced is
 * there after any crash; what was not may be there in part, and is cut off at the next start.
 * Threads: one at a time. */
#ifndef KVSTORE_LOG_H
#define KVSTORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { most_name = 64, most_key = 256, most_value = 16 << 10 }; /* bytes */

typedef struct bytes {
  const uint8_t* at;
  size_t size;
} bytes;

/* A key of a name space gets a value, or is deleted. */
typedef struct change {
  bytes space;
  bytes key;
  bytes value;
  bool deleted;
} change;

typedef struct log_file log_file;

/* False: no memory. */
typedef bool (*replay_function)(void* env, const change* made);

/* Opens or makes a file, and gives each change that it holds to `replay`, in order. `*cut` is the
 * number of bytes at its end that were no whole record: they are gone then. NULL: no such file
 * could be made, it is another program's, or no memory; errno says more. */
log_file* log_open(const char* path, replay_function replay, void* env, size_t* cut);
/* Puts a change behind the others, in memory; false: no memory. */
bool log_append(log_file* file, const change* made);
/* Writes what was appended, and waits until the disk has it. False: it has not, and from then on
 * takes nothing more. */
bool log_sync(log_file* file);
void log_close(log_file* file);

#endif
