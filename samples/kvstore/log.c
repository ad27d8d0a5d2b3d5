#define _POSIX_C_SOURCE 200809L
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file begins with `magic`. A record, little-endian:
 *   u32 CRC-32 of all that follows   u8 kind (1: value, 2: deleted)   u8 size of the space
 *   u16 size of the key   u32 size of the value   space, key, value */
static const uint8_t magic[8] = {'K', 'V', 'L', 'O', 'G', 0, 0, 1};
enum { head_size = 12, kind_value = 1, kind_deleted = 2 };

struct log_file {
  int descriptor;
  off_t good; /* bytes that are synced */
  bool failed;
  uint8_t* waiting; /* appended, not yet written */
  size_t size, room;
};

/* As in IEEE 802.3, a bit at a time: records are short. */
static uint32_t crc32(const uint8_t* at, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

static void put(uint8_t* at, uint32_t number, int size) {
  for (int i = 0; i < size; ++i) at[i] = (uint8_t)(number >> 8 * i);
}
static uint32_t take(const uint8_t* at, int size) {
  uint32_t number = 0;
  for (int i = 0; i < size; ++i) number |= (uint32_t)at[i] << 8 * i;
  return number;
}

/* Reads one record; its size, 0 if there is no whole and right one. */
static size_t parse(const uint8_t* at, size_t size, change* found) {
  if (size < head_size) return 0;
  const uint32_t space = at[5], key = take(at + 6, 2), value = take(at + 8, 4);
  if (space == 0 || space > most_name || key == 0 || key > most_key || value > most_value) return 0;
  const size_t all = head_size + (size_t)space + key + value;
  if (size < all || take(at, 4) != crc32(at + 4, all - 4)) return 0;
  if (at[4] != kind_value && (at[4] != kind_deleted || value != 0)) return 0;
  found->space = (bytes){at + head_size, space};
  found->key = (bytes){at + head_size + space, key};
  found->value = (bytes){at + head_size + space + key, value};
  found->deleted = at[4] == kind_deleted;
  return all;
}

static bool write_all(int descriptor, const uint8_t* at, size_t size, off_t where) {
  while (size > 0) {
    const ssize_t done = pwrite(descriptor, at, size, where);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    size -= (size_t)done;
    where += done;
  }
  return true;
}

static uint8_t* read_all(int descriptor, size_t* size) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return NULL;
  uint8_t* all = malloc((size_t)status.st_size + 1);
  *size = 0;
  while (all != NULL && *size < (size_t)status.st_size) {
    const ssize_t done =
        pread(descriptor, all + *size, (size_t)status.st_size - *size, (off_t)*size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      free(all);
      return NULL;
    }
    if (done == 0) break;
    *size += (size_t)done;
  }
  return all;
}

/* Reads the file, and makes it end after its last whole record. */
static bool recover(log_file* file, replay_function replay, void* env, size_t* cut) {
  size_t size;
  uint8_t* all = read_all(file->descriptor, &size);
  if (all == NULL) return false;
  const bool torn_magic = size < sizeof magic && memcmp(all, magic, size) == 0;
  if (!torn_magic && (size < sizeof magic || memcmp(all, magic, sizeof magic) != 0)) {
    free(all);
    errno = EINVAL;
    return false;
  }
  size_t good = torn_magic ? 0 : sizeof magic, step;
  change found;
  while (!torn_magic && (step = parse(all + good, size - good, &found)) != 0) {
    if (!replay(env, &found)) {
      free(all);
      errno = ENOMEM;
      return false;
    }
    good += step;
  }
  free(all);
  *cut = size - good;
  if (*cut > 0 && ftruncate(file->descriptor, (off_t)good) != 0) return false;
  if (torn_magic) {
    if (!write_all(file->descriptor, magic, sizeof magic, 0)) return false;
    good = sizeof magic;
  }
  file->good = (off_t)good;
  return fsync(file->descriptor) == 0;
}

log_file* log_open(const char* path, replay_function replay, void* env, size_t* cut) {
  log_file* file = calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file->descriptor >= 0 && recover(file, replay, env, cut)) return file;
  const int why = errno;
  log_close(file);
  errno = why;
  return NULL;
}

bool log_append(log_file* file, const change* made) {
  const size_t all = head_size + made->space.size + made->key.size + made->value.size;
  if (file->room - file->size < all) {
    const size_t room = 2 * (file->room + all);
    uint8_t* moved = realloc(file->waiting, room);
    if (moved == NULL) return false;
    file->waiting = moved;
    file->room = room;
  }
  uint8_t* at = file->waiting + file->size;
  at[4] = made->deleted ? kind_deleted : kind_value;
  at[5] = (uint8_t)made->space.size;
  put(at + 6, (uint32_t)made->key.size, 2);
  put(at + 8, (uint32_t)made->value.size, 4);
  uint8_t* body = at + head_size;
  memcpy(body, made->space.at, made->space.size);
  memcpy(body + made->space.size, made->key.at, made->key.size);
  if (made->value.size > 0) {
    memcpy(body + made->space.size + made->key.size, made->value.at, made->value.size);
  }
  put(at, crc32(at + 4, all - 4), 4);
  file->size += all;
  return true;
}

bool log_sync(log_file* file) {
  if (file->size == 0) return !file->failed;
  if (!file->failed) {
    /* After a failed fsync nobody knows what the disk has: no second try. */
    file->failed = !write_all(file->descriptor, file->waiting, file->size, file->good) ||
                   fdatasync(file->descriptor) != 0;
    if (!file->failed) file->good += (off_t)file->size;
  }
  file->size = 0;
  return !file->failed;
}

void log_close(log_file* file) {
  if (file->descriptor >= 0) close(file->descriptor);
  free(file->waiting);
  free(file);
}
