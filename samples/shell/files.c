// Commands that work on files and directories.
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell.h"

static char letter_of(const struct stat* about) {
  if (S_ISDIR(about->st_mode)) return 'd';
  if (S_ISLNK(about->st_mode)) return 'l';
  return S_ISREG(about->st_mode) ? 'f' : '?';
}

// The last name of a path.
static const char* name_of(const char* path) {
  const char* const slash = strrchr(path, '/');
  return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

static bool is_directory(const char* path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

// --- ls, find -----------------------------------------------------------------------------------

static int show(const char* path, const char* name, const Options* options, FILE* out) {
  if (!options->has['l']) {
    fprintf(out, "%s\n", name);
    return 0;
  }
  struct stat about;
  if (lstat(path, &about) != 0) return complain("ls", path);
  fprintf(out, "%c %12lld %s", letter_of(&about), (long long)about.st_size, name);
  if (S_ISLNK(about.st_mode)) {
    char target[longest_path + 1];
    const ssize_t size = readlink(path, target, sizeof target - 1);
    if (size >= 0) fprintf(out, " -> %.*s", (int)size, target);
  }
  fputc('\n', out);
  return 0;
}

static int list(const char* folder, const Options* options, FILE* out) {
  List names = {0};
  int status = names_in(folder, &names) ? 0 : complain("ls", folder);
  for (size_t i = 0; i < names.count; i++) {
    char path[longest_path + 1];
    if (names.items[i][0] == '.' && !options->has['a']) continue;
    if (!join_path(path, folder, names.items[i])) {
      status = complain("ls", names.items[i]);
    } else {
      status |= show(path, names.items[i], options, out);
    }
  }
  for (size_t i = 0; options->has['R'] && i < names.count; i++) {
    char path[longest_path + 1];
    struct stat about;
    if (names.items[i][0] == '.' && !options->has['a']) continue;
    if (!join_path(path, folder, names.items[i]) || lstat(path, &about) != 0) continue;
    if (!S_ISDIR(about.st_mode)) continue;
    fprintf(out, "\n%s:\n", path);
    status |= list(path, options, out);
  }
  free_items(&names);
  return status;
}

// Names in their order, one a line. -a: also those with a dot; -l: type, size and targets; -d:
// directories themselves; -R: also what is below them.
int ls_command(int count, char** words, Streams* streams) {
  Options options;
  if (!take_options(&options, "aldR", count, words)) return 2;
  static char here[] = ".";
  char* const* paths = words + options.first;
  size_t paths_count = (size_t)(count - options.first);
  char* const only_here[] = {here};
  if (paths_count == 0) paths = only_here, paths_count = 1;
  int status = 0;
  bool has_shown = false;
  for (size_t i = 0; i < paths_count; i++) {
    struct stat about;
    if (lstat(paths[i], &about) != 0) {
      status = complain("ls", paths[i]);
    } else if (options.has['d'] || !is_directory(paths[i])) {
      status |= show(paths[i], paths[i], &options, streams->out);
      has_shown = true;
    }
  }
  for (size_t i = 0; i < paths_count && !options.has['d']; i++) {
    if (!is_directory(paths[i])) continue;
    const bool has_heading = paths_count > 1 || options.has['R'];
    if (has_heading) fprintf(streams->out, "%s%s:\n", has_shown ? "\n" : "", paths[i]);
    status |= list(paths[i], &options, streams->out);
    has_shown = true;
  }
  return status;
}

typedef struct Search {
  const char* name;  // a pattern, or null
  char type;         // or 0
} Search;

static int find_in(const char* path, const Search* search, FILE* out) {
  struct stat about;
  if (lstat(path, &about) != 0) return complain("find", path);
  const bool has_name = search->name == NULL || fnmatch(search->name, name_of(path), 0) == 0;
  if (has_name && (search->type == 0 || search->type == letter_of(&about))) {
    fprintf(out, "%s\n", path);
  }
  if (!S_ISDIR(about.st_mode)) return 0;
  List names = {0};
  int status = names_in(path, &names) ? 0 : complain("find", path);
  for (size_t i = 0; i < names.count; i++) {
    char below[longest_path + 1];
    const bool has_path = join_path(below, path, names.items[i]);
    status |= has_path ? find_in(below, search, out) : complain("find", names.items[i]);
  }
  free_items(&names);
  return status;
}

int find_command(int count, char** words, Streams* streams) {
  Search search = {0};
  int first = 1;
  while (first < count && words[first][0] != '-') first++;
  for (int i = first; i < count; i += 2) {
    if (i + 1 == count) return misuse("find", "-name and -type take a value");
    if (strcmp(words[i], "-name") == 0) {
      search.name = words[i + 1];
    } else if (strcmp(words[i], "-type") == 0 && strlen(words[i + 1]) == 1 &&
               strchr("fdl", words[i + 1][0]) != NULL) {
      search.type = words[i + 1][0];
    } else {
      return misuse("find", "there are only -name PATTERN and -type f, d or l");
    }
  }
  if (first == 1) return find_in(".", &search, streams->out);
  int status = 0;
  for (int i = 1; i < first; i++) status |= find_in(words[i], &search, streams->out);
  return status;
}

// --- cat, cp, mv, rm, ln, touch -----------------------------------------------------------------

int cat_command(int count, char** words, Streams* streams) {
  if (count == 1) return copy_stream(streams->in, streams->out) ? 0 : complain("cat", "input");
  int status = 0;
  for (int i = 1; i < count; i++) {
    const bool is_input = strcmp(words[i], "-") == 0;
    FILE* const file = is_input ? streams->in : fopen(words[i], "r");
    if (file == NULL || !copy_stream(file, streams->out)) status = complain("cat", words[i]);
    if (file != NULL && !is_input) fclose(file);
  }
  return status;
}

static int remove_all(const char* command, const char* path) {
  struct stat about;
  if (lstat(path, &about) != 0) return complain(command, path);
  if (!S_ISDIR(about.st_mode)) return unlink(path) == 0 ? 0 : complain(command, path);
  List names = {0};
  int status = names_in(path, &names) ? 0 : complain(command, path);
  for (size_t i = 0; i < names.count; i++) {
    char below[longest_path + 1];
    const bool has_path = join_path(below, path, names.items[i]);
    status |= has_path ? remove_all(command, below) : complain(command, names.items[i]);
  }
  free_items(&names);
  if (status == 0 && rmdir(path) != 0) status = complain(command, path);
  return status;
}

static int copy_file(const char* command, const char* from, const char* to) {
  FILE* const source = fopen(from, "r");
  if (source == NULL) return complain(command, from);
  FILE* const target = fopen(to, "w");
  if (target == NULL) {
    fclose(source);
    return complain(command, to);
  }
  int status = copy_stream(source, target) ? 0 : complain(command, from);
  fclose(source);
  if (fclose(target) != 0) status = complain(command, to);
  return status;
}

// Copies what is there, links as links. `into` is the directory that is copied first, which is not
// copied into itself.
static int copy_all(const char* command, const char* from, const char* to,
                    const struct stat* into) {
  struct stat about;
  if (lstat(from, &about) != 0) return complain(command, from);
  if (S_ISLNK(about.st_mode)) {
    char target[longest_path + 1];
    const ssize_t size = readlink(from, target, sizeof target - 1);
    if (size < 0) return complain(command, from);
    target[size] = '\0';
    return symlink(target, to) == 0 ? 0 : complain(command, to);
  }
  if (!S_ISDIR(about.st_mode)) return copy_file(command, from, to);
  if (mkdir(to, 0777) != 0 && !(errno == EEXIST && is_directory(to))) return complain(command, to);
  struct stat made;
  if (into == NULL) {
    if (stat(to, &made) != 0) return complain(command, to);
    into = &made;
  }
  List names = {0};
  int status = names_in(from, &names) ? 0 : complain(command, from);
  for (size_t i = 0; i < names.count; i++) {
    char source[longest_path + 1];
    char target[longest_path + 1];
    if (!join_path(source, from, names.items[i]) || !join_path(target, to, names.items[i])) {
      status = complain(command, names.items[i]);
    } else if (lstat(source, &about) == 0 && about.st_ino == into->st_ino &&
               about.st_dev == into->st_dev) {
      fprintf(stderr, "%s: %s: can't be copied into itself\n", command, source);
      status = 1;
    } else {
      status |= copy_all(command, source, target, into);
    }
  }
  free_items(&names);
  return status;
}

// Where `from` goes that is moved or copied to `to`: below it, where that is a directory.
static bool target_of(const char* from, const char* to, char path[longest_path + 1]) {
  char name[longest_path + 1];
  if (!join_path(name, "", from)) return false;
  // A slash at the end is not of the name.
  for (size_t size = strlen(name); size > 1 && name[size - 1] == '/'; size--) name[size - 1] = '\0';
  return is_directory(to) ? join_path(path, to, name_of(name)) : join_path(path, "", to);
}

static bool is_same(const char* a, const char* b) {
  struct stat one, other;
  return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

int cp_command(int count, char** words, Streams* streams) {
  (void)streams;
  Options options;
  if (!take_options(&options, "r", count, words)) return 2;
  if (count - options.first < 2) return misuse("cp", "needs what to copy, and where to");
  const char* const to = words[count - 1];
  if (count - options.first > 2 && !is_directory(to))
    return misuse("cp", "the last is no directory");
  int status = 0;
  for (int i = options.first; i < count - 1; i++) {
    char path[longest_path + 1];
    if (!target_of(words[i], to, path)) {
      status = complain("cp", words[i]);
    } else if (is_same(words[i], path)) {
      status = misuse("cp", "a file can't be copied to itself") - 1;
    } else if (options.has['r']) {
      status |= copy_all("cp", words[i], path, NULL);
    } else if (is_directory(words[i])) {
      errno = EISDIR;
      status = complain("cp", words[i]);
    } else {
      status |= copy_file("cp", words[i], path);
    }
  }
  return status;
}

// Between file systems, and where a backend can't move a directory, by copying.
int mv_command(int count, char** words, Streams* streams) {
  (void)streams;
  Options options;
  if (!take_options(&options, "", count, words)) return 2;
  if (count - options.first < 2) return misuse("mv", "needs what to move, and where to");
  const char* const to = words[count - 1];
  if (count - options.first > 2 && !is_directory(to))
    return misuse("mv", "the last is no directory");
  int status = 0;
  for (int i = options.first; i < count - 1; i++) {
    char path[longest_path + 1];
    if (!target_of(words[i], to, path)) {
      status = complain("mv", words[i]);
    } else if (rename(words[i], path) != 0) {
      if (errno != EXDEV) {
        status = complain("mv", words[i]);
      } else {
        const int copied = copy_all("mv", words[i], path, NULL);
        status |= copied != 0 ? copied : remove_all("mv", words[i]);
      }
    }
  }
  return status;
}

int rm_command(int count, char** words, Streams* streams) {
  (void)streams;
  Options options;
  if (!take_options(&options, "fr", count, words)) return 2;
  int status = 0;
  for (int i = options.first; i < count; i++) {
    struct stat about;
    if (options.has['f'] && lstat(words[i], &about) != 0 && errno == ENOENT) continue;
    if (options.has['r']) {
      status |= remove_all("rm", words[i]);
    } else if (unlink(words[i]) != 0) {
      status = complain("rm", words[i]);
    }
  }
  return status;
}

// -p: also those above it, and it may be there.
int mkdir_command(int count, char** words, Streams* streams) {
  (void)streams;
  Options options;
  if (!take_options(&options, "p", count, words)) return 2;
  int status = 0;
  for (int i = options.first; i < count; i++) {
    char* const path = words[i];
    for (char* slash = path; options.has['p'] && (slash = strchr(slash + 1, '/')) != NULL;) {
      *slash = '\0';
      (void)mkdir(path, 0777);  // the last one says what is wrong
      *slash = '/';
    }
    const bool is_made = mkdir(path, 0777) == 0;
    if (!is_made && !(options.has['p'] && is_directory(path))) status = complain("mkdir", path);
  }
  return status;
}

int rmdir_command(int count, char** words, Streams* streams) {
  (void)streams;
  int status = 0;
  for (int i = 1; i < count; i++) {
    if (rmdir(words[i]) != 0) status = complain("rmdir", words[i]);
  }
  return status;
}

int ln_command(int count, char** words, Streams* streams) {
  (void)streams;
  Options options;
  if (!take_options(&options, "s", count, words)) return 2;
  if (count - options.first != 2) return misuse("ln", "needs a target and a name");
  const char* const target = words[options.first];
  const char* const name = words[options.first + 1];
  const int failed = options.has['s'] ? symlink(target, name) : link(target, name);
  return failed == 0 ? 0 : complain("ln", name);
}

// Makes files that are not there, and gives the others the time of now.
int touch_command(int count, char** words, Streams* streams) {
  (void)streams;
  int status = 0;
  for (int i = 1; i < count; i++) {
    const int file = open(words[i], O_WRONLY | O_CREAT, 0666);
    if (file < 0 || futimens(file, NULL) != 0) status = complain("touch", words[i]);
    if (file >= 0) close(file);
  }
  return status;
}
