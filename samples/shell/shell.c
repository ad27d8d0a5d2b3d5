// A small shell: shell [-c COMMANDS | FILE]. Reads commands from FILE or standard input.
//
// Commands are words, which end at spaces; 'quotes', "quotes" and \ keep what they hold together.
// `A ; B`, `A && B`, `A || B` and `A | B` join commands, `< FILE`, `> FILE` and `>> FILE` redirect
// them, and `*`, `?` and `[...]` stand for the names that they match. A `#` begins a comment. It
// has no variables. All its commands are its own: they work on what the operator has mounted, and
// there is nothing else.
#include "shell.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// --- What the commands share --------------------------------------------------------------------

int complain(const char* command, const char* path) {
  fprintf(stderr, "%s: %s: %s\n", command, path, strerror(errno));
  return 1;
}

int misuse(const char* command, const char* text) {
  fprintf(stderr, "%s: %s\n", command, text);
  return 2;
}

void* allocate(size_t size) {
  void* const memory = malloc(size);
  if (memory == NULL) {
    fputs("shell: out of memory\n", stderr);
    exit(3);
  }
  return memory;
}

char* copy_text(const char* text) {
  const size_t size = strlen(text) + 1;
  return memcpy(allocate(size), text, size);
}

void add_item(List* list, const char* text) {
  // Room for powers of two.
  if ((list->count & (list->count - 1)) == 0) {
    const size_t room = list->count == 0 ? 1 : list->count * 2;
    char** const items = allocate(room * sizeof *items);
    if (list->count != 0) memcpy(items, list->items, list->count * sizeof *items);
    free(list->items);
    list->items = items;
  }
  list->items[list->count++] = copy_text(text);
}

static int compare_items(const void* a, const void* b) {
  return strcmp(*(char* const*)a, *(char* const*)b);
}

void sort_items(List* list) {
  if (list->count > 1) qsort(list->items, list->count, sizeof *list->items, compare_items);
}

void free_items(List* list) {
  for (size_t i = 0; i < list->count; i++) free(list->items[i]);
  free(list->items);
  *list = (List){0};
}

bool join_path(char path[longest_path + 1], const char* folder, const char* name) {
  const char* const slash = folder[0] == '\0' || folder[strlen(folder) - 1] == '/' ? "" : "/";
  const int size = snprintf(path, longest_path + 1, "%s%s%s", folder, slash, name);
  if (size <= longest_path) return true;
  errno = ENAMETOOLONG;
  return false;
}

bool names_in(const char* folder, List* names) {
  DIR* const directory = opendir(folder);
  if (directory == NULL) return false;
  const struct dirent* entry;
  for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    add_item(names, entry->d_name);
  }
  const int error = errno;
  closedir(directory);
  sort_items(names);
  errno = error;
  return error == 0;
}

bool copy_stream(FILE* from, FILE* to) {
  static char buffer[1 << 16];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, from)) > 0;) {
    if (fwrite(buffer, 1, size, to) != size) return false;
  }
  return !ferror(from);
}

bool take_options(Options* options, const char* known, int count, char** words) {
  *options = (Options){.first = 1};
  for (; options->first < count; options->first++) {
    const char* letter = words[options->first];
    if (letter[0] != '-' || letter[1] == '\0') return true;
    if (strcmp(letter, "--") == 0) {
      options->first++;
      return true;
    }
    while (*++letter != '\0') {
      const char* const found = *letter == ':' ? NULL : strchr(known, *letter);
      if (found == NULL) {
        fprintf(stderr, "%s: there is no option -%c\n", words[0], *letter);
        return false;
      }
      const unsigned char index = (unsigned char)*letter;
      options->has[index] = true;
      if (found[1] != ':') continue;
      // The rest of this word, or the next one.
      const bool is_next = letter[1] == '\0';
      if (is_next && options->first + 1 == count) {
        fprintf(stderr, "%s: the option -%c takes a value\n", words[0], *letter);
        return false;
      }
      options->value[index] = is_next ? words[++options->first] : letter + 1;
      break;
    }
  }
  return true;
}

// --- Commands of the shell itself ---------------------------------------------------------------

static int echo_command(int count, char** words, Streams* streams) {
  for (int i = 1; i < count; i++) fprintf(streams->out, "%s%s", i > 1 ? " " : "", words[i]);
  fputc('\n', streams->out);
  return 0;
}

static int cd_command(int count, char** words, Streams* streams) {
  (void)streams;
  if (count != 2) return misuse("cd", "needs a directory");
  return chdir(words[1]) == 0 ? 0 : complain("cd", words[1]);
}

static int pwd_command(int count, char** words, Streams* streams) {
  (void)count, (void)words;
  char path[longest_path + 1];
  if (getcwd(path, sizeof path) == NULL) return complain("pwd", ".");
  fprintf(streams->out, "%s\n", path);
  return 0;
}

static int true_command(int count, char** words, Streams* streams) {
  (void)count, (void)words, (void)streams;
  return 0;
}

static int false_command(int count, char** words, Streams* streams) {
  (void)count, (void)words, (void)streams;
  return 1;
}

static int exit_command(int count, char** words, Streams* streams) {
  fflush(streams->out);
  exit(count > 1 ? atoi(words[1]) & 0xff : 0);
}

static Command help_command;

static const struct {
  const char* name;
  Command* run;
  const char* use;
} commands[] = {
    {"cat", cat_command, "[FILE...]"},
    {"cd", cd_command, "DIRECTORY"},
    {"cp", cp_command, "[-r] FROM... TO"},
    {"echo", echo_command, "[WORD...]"},
    {"exit", exit_command, "[STATUS]"},
    {"false", false_command, ""},
    {"find", find_command, "[PATH...] [-name PATTERN] [-type f|d|l]"},
    {"grep", grep_command, "[-chilnrv] PATTERN [FILE...]"},
    {"help", help_command, ""},
    {"ln", ln_command, "[-s] TARGET NAME"},
    {"ls", ls_command, "[-aldR] [PATH...]"},
    {"mkdir", mkdir_command, "[-p] DIRECTORY..."},
    {"mv", mv_command, "FROM... TO"},
    {"pwd", pwd_command, ""},
    {"rm", rm_command, "[-fr] PATH..."},
    {"rmdir", rmdir_command, "DIRECTORY..."},
    {"tar", tar_command, "-c|-x|-t [-v] [-f FILE] [-C DIRECTORY] [PATH...]"},
    {"touch", touch_command, "FILE..."},
    {"true", true_command, ""},
};

static int help_command(int count, char** words, Streams* streams) {
  (void)count, (void)words;
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(streams->out, "%s %s\n", commands[i].name, commands[i].use);
  }
  return 0;
}

static int run_command(int count, char** words, Streams* streams) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(commands[i].name, words[0]) != 0) continue;
    const int status = commands[i].run(count, words, streams);
    if (fflush(streams->out) == 0 && !ferror(streams->out)) return status;
    return complain(words[0], "output");
  }
  fprintf(stderr, "shell: there is no command `%s`; `help` lists them\n", words[0]);
  return 127;
}

// --- Words --------------------------------------------------------------------------------------

typedef enum Kind { word, semicolon, both, either, bar, input, output, append, end, wrong } Kind;

typedef struct Token {
  Kind kind;
  char* text;      // of a word, without quotes
  char* pattern;   // the same as fnmatch() takes it: quoted letters have a \ before them
  bool has_stars;  // there are letters in it that fnmatch() knows
} Token;

typedef struct Text {
  char* at;
  size_t size;
} Text;

static void add_letter(Text* text, char letter) {
  text->at[text->size++] = letter;
  text->at[text->size] = '\0';
}

// Takes a token from the line. Its texts are the caller's to free.
static Token take_token(const char** line) {
  static const struct {
    const char* text;
    Kind kind;
  } operators[] = {{"&&", both},   {"||", either}, {"|", bar},  {";", semicolon},
                   {">>", append}, {">", output},  {"<", input}};
  const char* at = *line + strspn(*line, " \t\r");
  if (*at == '\0' || *at == '#') return (Token){.kind = end};
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    const size_t size = strlen(operators[i].text);
    if (strncmp(at, operators[i].text, size) != 0) continue;
    *line = at + size;
    return (Token){.kind = operators[i].kind};
  }
  Text text = {allocate(strlen(at) + 1), 0};
  Text pattern = {allocate(2 * strlen(at) + 1), 0};
  text.at[0] = pattern.at[0] = '\0';
  Token token = {.kind = word};
  char quote = '\0';
  for (; *at != '\0' && (quote != '\0' || strchr(" \t\r;|<>", *at) == NULL); at++) {
    if (quote == '\0' && at[0] == '&' && at[1] == '&') break;
    if (*at == quote) {
      quote = '\0';
      continue;
    }
    if (quote == '\0' && (*at == '\'' || *at == '"')) {
      quote = *at;
      continue;
    }
    bool is_quoted = quote != '\0';
    if (*at == '\\' && quote != '\'' && at[1] != '\0') {
      at++;
      is_quoted = true;
    }
    if (is_quoted) {
      add_letter(&pattern, '\\');
    } else {
      token.has_stars |= strchr("*?[", *at) != NULL;
    }
    add_letter(&pattern, *at);
    add_letter(&text, *at);
  }
  *line = at;
  token.text = text.at;
  token.pattern = pattern.at;
  if (quote == '\0') return token;
  fprintf(stderr, "shell: a quote %c has no end\n", quote);
  free(token.text);
  free(token.pattern);
  return (Token){.kind = wrong};
}

// Adds what a pattern's part from `pattern` on matches in `folder`.
static void match(const char* folder, const char* pattern, List* found) {
  const size_t size = strcspn(pattern, "/");
  const char* const rest = pattern + size + strspn(pattern + size, "/");
  char* const name = allocate(size + 1);
  memcpy(name, pattern, size);
  name[size] = '\0';
  List names = {0};
  if (names_in(folder[0] == '\0' ? "." : folder, &names)) {
    for (size_t i = 0; i < names.count; i++) {
      char path[longest_path + 1];
      if (fnmatch(name, names.items[i], FNM_PERIOD) != 0) continue;
      if (!join_path(path, folder, names.items[i])) continue;
      if (*rest == '\0') {
        add_item(found, path);
      } else {
        match(path, rest, found);
      }
    }
  }
  free_items(&names);
  free(name);
}

static void add_word(List* words, const Token* token) {
  List found = {0};
  if (token->has_stars) {
    const size_t slashes = strspn(token->pattern, "/");
    match(slashes > 0 ? "/" : "", token->pattern + slashes, &found);
  }
  if (found.count == 0) add_item(words, token->text);
  for (size_t i = 0; i < found.count; i++) add_item(words, found.items[i]);
  free_items(&found);
}

// --- Lines --------------------------------------------------------------------------------------

// What a command of a pipe wrote, for the next one.
typedef struct Buffer {
  char* bytes;
  size_t size;
} Buffer;

// A command with its redirections, up to the token that ends it.
typedef struct Part {
  List words;
  char* input;
  char* output;
  bool appends;
  Kind end;
} Part;

static void free_part(Part* part) {
  free_items(&part->words);
  free(part->input);
  free(part->output);
}

static Part take_part(const char** line) {
  Part part = {.end = wrong};
  while (true) {
    Token token = take_token(line);
    const Kind kind = token.kind;
    if (kind == word) {
      add_word(&part.words, &token);
    } else if (kind == input || kind == output || kind == append) {
      token = take_token(line);
      if (token.kind != word) {
        fputs("shell: < and > need the name of a file\n", stderr);
        return part;
      }
      char** const place = kind == input ? &part.input : &part.output;
      free(*place);
      *place = copy_text(token.text);
      part.appends = kind == append;
    } else {
      part.end = kind;
      return part;
    }
    free(token.text);
    free(token.pattern);
  }
}

// Runs one command. `given` is what it reads, or null; `taken` gets what it writes, or is null.
static int run_part(const Part* part, const Buffer* given, Buffer* taken) {
  Streams streams = {stdin, stdout};
  FILE* in = NULL;
  FILE* out = NULL;
  int status = 1;
  if (part->input != NULL) {
    in = fopen(part->input, "r");
  } else if (given != NULL && given->size > 0) {
    in = fmemopen(given->bytes, given->size, "r");
  } else if (given != NULL) {
    in = fmemopen("?", 1, "r");  // none of no bytes can be made: one that is at its end
    if (in != NULL) (void)fgetc(in);
  }
  if (in == NULL && (part->input != NULL || given != NULL)) {
    return complain("shell", part->input != NULL ? part->input : "a pipe");
  }
  if (in != NULL) streams.in = in;
  if (part->output != NULL) {
    out = fopen(part->output, part->appends ? "a" : "w");
  } else if (taken != NULL) {
    out = open_memstream(&taken->bytes, &taken->size);
  }
  if (out == NULL && (part->output != NULL || taken != NULL)) {
    complain("shell", part->output != NULL ? part->output : "a pipe");
  } else {
    if (out != NULL) streams.out = out;
    status = run_command((int)part->words.count, part->words.items, &streams);
  }
  if (in != NULL) fclose(in);
  if (out != NULL && fclose(out) != 0) {
    status = complain("shell", part->output != NULL ? part->output : "a pipe");
  }
  return status;
}

// Runs the commands of a line. A mistake in it ends it with 2.
static int run_line(const char* line, int status) {
  Buffer pipe = {0};
  bool is_piped = false;
  Kind before = semicolon;
  while (true) {
    Part part = take_part(&line);
    const bool is_empty = part.words.count == 0;
    // `A ;` and an empty line are well; else a command is missing.
    const bool may_be_empty = before == semicolon && (part.end == semicolon || part.end == end) &&
                              part.input == NULL && part.output == NULL;
    if (is_empty && !may_be_empty && part.end != wrong) {
      fputs("shell: a command is missing\n", stderr);
      part.end = wrong;
    }
    if (part.end == wrong) {
      status = 2;
    } else if (!is_empty && !(before == both && status != 0) &&
               !(before == either && status == 0)) {
      Buffer next = {0};
      status = run_part(&part, is_piped ? &pipe : NULL, part.end == bar ? &next : NULL);
      free(pipe.bytes);
      pipe = next;
      is_piped = part.end == bar;
    } else if (part.end == bar) {
      // What is left out goes up to the end of its pipe.
      part.end = before;
    }
    if (part.end != bar) is_piped = false;
    before = part.end;
    free_part(&part);
    if (before == end || before == wrong) {
      free(pipe.bytes);
      return status;
    }
  }
}

int main(int count, char** words) {
  if (count > 2 && strcmp(words[1], "-c") == 0) return run_line(words[2], 0);
  FILE* source = stdin;
  if (count > 1) {
    source = fopen(words[1], "r");
    if (source == NULL) return complain("shell", words[1]);
  }
  const bool has_prompt = source == stdin && isatty(0) && isatty(1);
  char* line = NULL;
  size_t room = 0;
  int status = 0;
  while (true) {
    if (has_prompt) fputs("$ ", stdout), fflush(stdout);
    const ssize_t size = getline(&line, &room, source);
    if (size < 0) break;
    if (size > 0 && line[size - 1] == '\n') line[size - 1] = '\0';
    status = run_line(line, status);
  }
  free(line);
  return status;
}
