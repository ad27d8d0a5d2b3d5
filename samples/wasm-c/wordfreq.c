// Counts words: wordfreq [-n COUNT] [FILE...]. Prints the most frequent ones first, equal ones by
// name. Without files it reads standard input. A word is a run of letters; case does not count.
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Word {
  struct Word* next;  // in its bucket
  unsigned long count;
  char text[];
} Word;

enum { bucket_count = 1 << 14, longest_word = 255 };
static Word* buckets[bucket_count];
static size_t word_count;

static void* allocate(size_t size) {
  void* p = malloc(size);
  if (!p) {
    fputs("wordfreq: out of memory\n", stderr);
    exit(2);
  }
  return p;
}

static void count(const char* text, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  Word** bucket = &buckets[hash % bucket_count];
  for (Word* word = *bucket; word; word = word->next) {
    if (strcmp(word->text, text) == 0) {
      word->count++;
      return;
    }
  }
  Word* word = allocate(sizeof *word + length + 1);
  memcpy(word->text, text, length + 1);
  word->count = 1;
  word->next = *bucket;
  *bucket = word;
  word_count++;
}

// What is longer than the longest word counts as several.
static void count_words(FILE* file) {
  char text[longest_word + 1];
  size_t length = 0;
  for (int c; (c = getc(file)) != EOF;) {
    const int is_letter = c < 128 && isalpha(c);
    if (is_letter) text[length++] = (char)tolower(c);
    if (length > 0 && (!is_letter || length == longest_word)) {
      text[length] = 0;
      count(text, length);
      length = 0;
    }
  }
  if (length > 0) {
    text[length] = 0;
    count(text, length);
  }
}

static int by_frequency(const void* left, const void* right) {
  const Word* a = *(Word* const*)left;
  const Word* b = *(Word* const*)right;
  if (a->count != b->count) return a->count < b->count ? 1 : -1;
  return strcmp(a->text, b->text);
}

int main(int argc, char** argv) {
  size_t shown = SIZE_MAX;
  int first = 1;
  if (argc > 2 && strcmp(argv[1], "-n") == 0) {
    shown = strtoul(argv[2], NULL, 10);
    first = 3;
  }
  int status = 0;
  if (first == argc) count_words(stdin);
  for (int i = first; i < argc; i++) {
    FILE* file = fopen(argv[i], "r");
    if (!file) {
      fprintf(stderr, "wordfreq: %s: %s\n", argv[i], strerror(errno));
      status = 1;
      continue;
    }
    count_words(file);
    fclose(file);
  }

  Word** words = allocate((word_count + 1) * sizeof *words);
  size_t filled = 0;
  for (size_t i = 0; i < bucket_count; i++) {
    for (Word* word = buckets[i]; word; word = word->next) words[filled++] = word;
  }
  qsort(words, filled, sizeof *words, by_frequency);
  for (size_t i = 0; i < filled && i < shown; i++) {
    printf("%7lu %s\n", words[i]->count, words[i]->text);
  }
  return status;
}
