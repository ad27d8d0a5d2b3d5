// Lines that match a pattern.
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shell.h"

typedef struct Search {
  const Options* options;
  regex_t pattern;
  bool has_names;  // of files, before the lines
  FILE* out;
  char* line;
  size_t room;
} Search;

// Whether anything matched: 0; nothing: 1.
static int search_stream(Search* search, FILE* file, const char* name) {
  const bool* const has = search->options->has;
  const char* const prefix = search->has_names ? name : "";
  const char* const colon = search->has_names ? ":" : "";
  unsigned long long number = 0;
  unsigned long long found = 0;
  for (ssize_t size; (size = getline(&search->line, &search->room, file)) >= 0;) {
    if (size > 0 && search->line[size - 1] == '\n') search->line[--size] = '\0';
    number++;
    // To regexec() a NUL byte is the end.
    bool matches = false;
    for (ssize_t at = 0; !matches && at <= size; at += (ssize_t)strlen(search->line + at) + 1) {
      matches = regexec(&search->pattern, search->line + at, 0, NULL, 0) == 0;
    }
    if (matches == has['v']) continue;
    found++;
    if (has['l']) break;
    if (has['c']) continue;
    fprintf(search->out, "%s%s", prefix, colon);
    if (has['n']) fprintf(search->out, "%llu:", number);
    fwrite(search->line, 1, (size_t)size, search->out);
    fputc('\n', search->out);
  }
  if (has['c']) fprintf(search->out, "%s%s%llu\n", prefix, colon, found);
  if (has['l'] && found > 0) fprintf(search->out, "%s\n", name);
  return found > 0 ? 0 : 1;
}

// 2: something could not be read.
static int search_path(Search* search, const char* path) {
  struct stat about;
  if (stat(path, &about) != 0) return complain("grep", path) + 1;
  if (!S_ISDIR(about.st_mode)) {
    FILE* const file = fopen(path, "r");
    if (file == NULL) return complain("grep", path) + 1;
    const int status = search_stream(search, file, path);
    fclose(file);
    return status;
  }
  if (!search->options->has['r']) {
    errno = EISDIR;
    return complain("grep", path) + 1;
  }
  List names = {0};
  int status = names_in(path, &names) ? 1 : complain("grep", path) + 1;
  for (size_t i = 0; i < names.count; i++) {
    char below[longest_path + 1];
    int one = 2;
    if (!join_path(below, path, names.items[i])) {
      complain("grep", names.items[i]);
    } else if (lstat(below, &about) == 0 && S_ISLNK(about.st_mode)) {
      continue;
    } else {
      one = search_path(search, below);
    }
    if (one == 2 || (one == 0 && status == 1)) status = one;
  }
  free_items(&names);
  return status;
}

// Extended regular expressions, for lines of UTF-8. -c: how many lines; -h: without names;
// -i: letters of either case; -l: names only; -n: with numbers; -r: directories; -v: those that
// don't match.
int grep_command(int count, char** words, Streams* streams) {
  Options options;
  if (!take_options(&options, "chilnrvE", count, words)) return 2;
  if (options.first == count) return misuse("grep", "needs a pattern");
  const int files = count - options.first - 1;
  Search search = {.options = &options, .out = streams->out};
  search.has_names = !options.has['h'] && (files > 1 || options.has['r']);
  const int flags = REG_EXTENDED | REG_NOSUB | (options.has['i'] ? REG_ICASE : 0);
  const int error = regcomp(&search.pattern, words[options.first], flags);
  if (error != 0) {
    char text[200];
    regerror(error, &search.pattern, text, sizeof text);
    return misuse("grep", text);
  }
  int status = 1;
  if (files == 0) {
    status = options.has['r'] ? search_path(&search, ".")
                              : search_stream(&search, streams->in, "(standard input)");
  }
  for (int i = options.first + 1; i < count; i++) {
    const int one = search_path(&search, words[i]);
    if (one == 2 || (one == 0 && status == 1)) status = one;
  }
  regfree(&search.pattern);
  free(search.line);
  return status;
}
