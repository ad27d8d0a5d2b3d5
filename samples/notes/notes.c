// Notes: add, list, show, search, edit, delete. Each note is a file that is named by its number;
// its first line is its title. A change is written beside it, brought to the disk, and takes its
// place by a rename: whenever the program is killed, each note is there as it was or as it became.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { most_bytes = 1 << 20 };

static const char* const fresh = "new";  // a change that is being written

static int fail(const char* what) {
  fprintf(stderr, "notes: %s: %s\n", what, strerror(errno));
  return 1;
}

// The number that a name is; 0: it is none.
static long number_of(const char* name) {
  char* end;
  if (!isdigit((unsigned char)name[0]) || name[0] == '0') return 0;
  errno = 0;
  const long number = strtol(name, &end, 10);
  return *end == '\0' && errno == 0 && number > 0 ? number : 0;
}

static int by_value(const void* one, const void* other) {
  const long a = *(const long*)one, b = *(const long*)other;
  return (a > b) - (a < b);
}

// All numbers, sorted; the caller frees them. -1: an error, which was printed.
static long numbers(long** all) {
  long count = 0, room = 0;
  *all = NULL;
  DIR* folder = opendir(".");
  if (folder == NULL) return fail("."), -1;
  struct dirent* entry;
  while ((entry = readdir(folder)) != NULL) {
    const long number = number_of(entry->d_name);
    if (number == 0) continue;
    if (count == room) {
      room = room * 2 + 16;
      long* more = realloc(*all, (size_t)room * sizeof **all);
      if (more == NULL) return fail("memory"), closedir(folder), -1;
      *all = more;
    }
    (*all)[count++] = number;
  }
  closedir(folder);
  if (count > 1) qsort(*all, (size_t)count, sizeof **all, by_value);
  return count;
}

// A note's text; the caller frees it. NULL: an error, which was printed.
static char* text_of(long number) {
  char name[32];
  snprintf(name, sizeof name, "%ld", number);
  FILE* file = fopen(name, "r");
  char* text = file == NULL ? NULL : malloc(most_bytes + 1);
  if (text == NULL) {
    fail(name);
  } else {
    text[fread(text, 1, most_bytes, file)] = '\0';
  }
  if (file != NULL) fclose(file);
  return text;
}

static int write_all(int fd, const char* text, size_t size) {
  while (size > 0) {
    const ssize_t some = write(fd, text, size);
    if (some <= 0) return -1;
    text += some;
    size -= (size_t)some;
  }
  return 0;
}

// The text takes the note's place, and is on the disk when this returns.
static int put(long number, const char* text) {
  char name[32];
  snprintf(name, sizeof name, "%ld", number);
  const int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return fail(fresh);
  if (write_all(fd, text, strlen(text)) != 0 || write_all(fd, "\n", 1) != 0 || fsync(fd) != 0 ||
      rename(fresh, name) != 0 || fsync(fd) != 0) {
    const int status = fail(name);
    close(fd);
    unlink(fresh);
    return status;
  }
  close(fd);
  return 0;
}

// The words with blanks between them, or standard input for "-"; the caller frees it.
static char* words(int count, char** words) {
  char* text = calloc(1, most_bytes + 1);
  if (text == NULL) return fail("memory"), NULL;
  if (count == 1 && strcmp(words[0], "-") == 0) {
    size_t size = fread(text, 1, most_bytes, stdin);
    while (size > 0 && text[size - 1] == '\n') text[--size] = '\0';
    return text;
  }
  size_t size = 0;
  for (int i = 0; i < count; ++i) {
    const size_t length = strlen(words[i]);
    if (size + length + 1 > most_bytes) {
      errno = EFBIG;
      free(text);
      return fail("text"), NULL;
    }
    if (i > 0) text[size++] = ' ';
    memcpy(text + size, words[i], length);
    size += length;
  }
  return text;
}

static int add(int count, char** arguments) {
  long* all;
  const long notes = numbers(&all);
  char* text = notes < 0 ? NULL : words(count, arguments);
  int status = 1;
  if (text != NULL) {
    const long number = notes == 0 ? 1 : all[notes - 1] + 1;
    status = put(number, text);
    if (status == 0) printf("%ld\n", number);
  }
  free(text);
  free(all);
  return status;
}

// All notes, or those with `part` in them.
static int list(const char* part) {
  long* all;
  const long notes = numbers(&all);
  int status = notes < 0;
  for (long i = 0; i < notes; ++i) {
    char* text = text_of(all[i]);
    if (text == NULL) {
      status = 1;
    } else if (part == NULL || strcasestr(text, part) != NULL) {
      printf("%4ld  %.*s\n", all[i], (int)strcspn(text, "\n"), text);
    }
    free(text);
  }
  free(all);
  return status;
}

static int show(long number) {
  char* text = text_of(number);
  if (text == NULL) return 1;
  fputs(text, stdout);
  free(text);
  return 0;
}

static int edit(const char* name, int count, char** arguments) {
  if (access(name, F_OK) != 0) return fail(name);
  char* text = words(count, arguments);
  if (text == NULL) return 1;
  const int status = put(number_of(name), text);
  free(text);
  return status;
}

static int delete(const char* name) { return unlink(name) == 0 ? 0 : fail(name); }

int main(int count, char** arguments) {
  const char* const what = count > 1 ? arguments[1] : "";
  int status = 2;
  if (strcmp(what, "add") == 0 && count > 2) {
    status = add(count - 2, arguments + 2);
  } else if (strcmp(what, "list") == 0 && count == 2) {
    status = list(NULL);
  } else if (strcmp(what, "search") == 0 && count == 3) {
    status = list(arguments[2]);
  } else if (count > 2 && number_of(arguments[2]) != 0) {
    if (strcmp(what, "show") == 0 && count == 3) status = show(number_of(arguments[2]));
    if (strcmp(what, "delete") == 0 && count == 3) status = delete (arguments[2]);
    if (strcmp(what, "edit") == 0 && count > 3) {
      status = edit(arguments[2], count - 3, arguments + 3);
    }
  }
  if (status == 2) {
    fputs(
        "usage: notes add TEXT... | list | search TEXT | show N | edit N TEXT... | delete N\n"
        "TEXT `-` is standard input\n",
        stderr);
  } else if (fflush(stdout) != 0) {
    status = fail("standard output");
  }
  return status;
}
