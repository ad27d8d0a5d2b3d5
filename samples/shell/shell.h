// What the parts of the shell share.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { longest_path = 4095 };

// Where a command reads and writes. Messages go to standard error.
typedef struct Streams {
  FILE* in;
  FILE* out;
} Streams;

// A command's status: 0 is success, 1 a no (grep found nothing) or a failure, 2 a wrong use.
typedef int Command(int count, char** words, Streams* streams);
Command ls_command, cat_command, cp_command, mv_command, rm_command, mkdir_command, rmdir_command,
    ln_command, touch_command, find_command, grep_command, tar_command;

// "WORD: PATH: what errno means" and 1.
int complain(const char* command, const char* path);
// "WORD: TEXT" and 2.
int misuse(const char* command, const char* text);

void* allocate(size_t size);
char* copy_text(const char* text);

// A list of texts that grows.
typedef struct List {
  char** items;
  size_t count;
} List;
void add_item(List* list, const char* text);
void sort_items(List* list);
void free_items(List* list);

// FOLDER/NAME, or NAME where FOLDER is "". False, with errno set: it would be too long.
bool join_path(char path[longest_path + 1], const char* folder, const char* name);
// The names in a folder, in the order of their bytes, without "." and "..". False, with errno set:
// it can't be read.
bool names_in(const char* folder, List* names);
// Copies what is left of `from`. False, with errno set: not all of it.
bool copy_stream(FILE* from, FILE* to);

// Options of one letter, up to the first word that is none; "--" ends them. A letter with a ':'
// after it in `known` takes a value, of which the last counts.
typedef struct Options {
  bool has[128];
  const char* value[128];
  int first;  // the first word after them
} Options;
// False: a letter is not known, which has been complained of.
bool take_options(Options* options, const char* known, int count, char** words);
