/* Counts the words of a text in the store, one key a word, and tells them in order. */
#include "kv.h"

static const char text[] = "the cat and the dog and the owl";

__attribute__((export_name("main"))) int run(void) {
  char line[64], key[64];
  int size = 0;
  for (const char* at = text; *at != 0;) {
    int length = 0, count = 0;
    while (at[length] != 0 && at[length] != ' ') ++length;
    if (kv_get(at, length, &count, sizeof count) < 0) count = 0;
    ++count;
    if (kv_put(at, length, &count, sizeof count) != 0) return 1;
    at += length;
    while (*at == ' ') ++at;
  }
  while ((size = kv_scan("", 0, key, size, key, sizeof key)) > 0) {
    int count = 0;
    if (kv_get(key, size, &count, sizeof count) != sizeof count || count > 9) return 2;
    for (int i = 0; i < size; ++i) line[i] = key[i];
    line[size] = ' ';
    line[size + 1] = (char)('0' + count);
    kv_say(line, size + 2);
    if (kv_delete(key, size) != 0) return 3;
  }
  return 0;
}
