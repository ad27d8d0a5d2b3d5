/* A host with a key-value store for its guests: kvstore [-n COPIES] [-t MS] [-d MS] LOG GUEST...
 *
 * Each guest (a source, module file or WebAssembly module with a `main`) has a name space of the
 * store, named as its file; with -n, that many guests of each file run, each with its own. All run
 * at once, one thread each; a guest that waits for the store costs nothing. -t: the time that a
 * guest has (10000); -d: the least time that the disk takes. The report at the end has the guests
 * in the order given. Exit code 1 when the store is not as it must be. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "functions.h"

typedef struct run {
  const atoll_engine* engine;
  const atoll_module* module;
  uint64_t time;
  guest* of;
  pthread_t thread;
  bool has_thread;
  char ended[200]; /* how */
} run;

static void note(run* of, const char* what, const char* why) {
  snprintf(of->ended, sizeof of->ended, "%s%s", what, why);
}

static void note_error(run* of, atoll_error* error) {
  note(of, "stopped: ", atoll_error_text(error));
  atoll_error_free(error);
}

static void* run_guest(void* env) {
  run* the = env;
  atoll_options* options = atoll_options_new();
  atoll_imports* imports = guest_imports(the->of);
  atoll_process* process = NULL;
  atoll_error* error = NULL;
  uint32_t code = 0;
  if (options == NULL || imports == NULL) {
    note(the, "stopped: no memory", "");
  } else {
    atoll_options_memory(options, 1 << 20);
    atoll_options_stack(options, 64 << 10);
    atoll_options_handles(options, 4);
    atoll_options_time(options, the->time);
    atoll_options_imports(options, imports);
    error = atoll_process_new(the->engine, the->module, options, &process);
    if (error == NULL) error = atoll_process_run(process, &code);
    if (error != NULL) {
      note_error(the, error);
    } else {
      char text[20];
      snprintf(text, sizeof text, "%u", (unsigned)code);
      note(the, "exit ", text);
    }
  }
  atoll_process_free(process);
  atoll_imports_free(imports);
  atoll_options_free(options);
  return NULL;
}

static atoll_module* load(const atoll_engine* engine, const char* path) {
  atoll_module* module = NULL;
  atoll_error* error = atoll_module_open(engine, path, &module);
  if (error != NULL) fprintf(stderr, "kvstore: %s\n", atoll_error_text(error));
  atoll_error_free(error);
  return module;
}

/* "guests/notes.atoll" is "notes", its second copy "notes.2". */
static guest* make_guest(store* s, const char* path, int copy) {
  char name[most_name + 1];
  const char* slash = strrchr(path, '/');
  const char* base = slash == NULL ? path : slash + 1;
  const int length = (int)strcspn(base, ".");
  if (copy == 1) {
    snprintf(name, sizeof name, "%.*s", length, base);
  } else {
    snprintf(name, sizeof name, "%.*s.%d", length < 50 ? length : 50, base, copy);
  }
  return guest_new(s, name);
}

static int report(store* s, const char* path, run* runs, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    printf("%s: %s\n", guest_name(runs[i].of), runs[i].ended);
    for (const char* line = guest_said(runs[i].of); *line != 0;) {
      const int length = (int)strcspn(line, "\n");
      printf("  %.*s\n", length, line);
      line += length + 1;
    }
    guest_free(runs[i].of);
  }
  const totals all = store_check(s, path);
  printf("the store: %zu spaces, %zu keys, %zu bytes, %s\n", all.spaces, all.keys, all.bytes,
         all.right ? "all right" : "WRONG");
  return all.right ? 0 : 1;
}

int main(int count, char** arguments) {
  long copies = 1, time = 10000, delay = 0;
  for (int option; (option = getopt(count, arguments, "n:t:d:")) != -1;) {
    long* number = option == 'n' ? &copies : option == 't' ? &time : &delay;
    if (option == '?') return 2;
    *number = atol(optarg);
  }
  const int files = count - optind - 1;
  if (files < 1 || copies < 1 || copies > 1000 || time < 1 || delay < 0 || delay > 10000) {
    fputs("usage: kvstore [-n COPIES] [-t MS] [-d MS] LOG GUEST...\n", stderr);
    return 2;
  }
  const char* path = arguments[optind];
  size_t cut = 0;
  store* s = store_open(path, (unsigned)delay, &cut);
  if (s == NULL) {
    fprintf(stderr, "kvstore: %s: %s\n", path, strerror(errno));
    return 2;
  }
  if (cut > 0) printf("%zu bytes were not whole at the log's end: cut off\n", cut);
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_module** modules = calloc((size_t)files, sizeof *modules);
  run* runs = calloc((size_t)files * (size_t)copies, sizeof *runs);
  size_t started = 0;
  int status = engine == NULL || modules == NULL || runs == NULL ? 2 : 0;
  for (int i = 0; i < files && status == 0; ++i) {
    modules[i] = load(engine, arguments[optind + 1 + i]);
    if (modules[i] == NULL) status = 2;
  }
  for (int i = 0; i < files && status == 0; ++i) {
    for (int copy = 1; copy <= copies && status == 0; ++copy) {
      run* the = &runs[started];
      *the = (run){.engine = engine, .module = modules[i], .time = (uint64_t)time};
      the->of = make_guest(s, arguments[optind + 1 + i], copy);
      if (the->of == NULL) {
        fputs("kvstore: no memory\n", stderr);
        status = 2;
        break;
      }
      ++started;
      the->has_thread = pthread_create(&the->thread, NULL, run_guest, the) == 0;
      if (!the->has_thread) note(the, "stopped: no thread", "");
    }
  }
  for (size_t i = 0; i < started; ++i) {
    if (runs[i].has_thread) pthread_join(runs[i].thread, NULL);
  }
  store_wait(s); /* for what guests left under way */
  if (started > 0) {
    const int checked = report(s, path, runs, started);
    if (status == 0) status = checked;
  }
  for (int i = 0; modules != NULL && i < files; ++i) atoll_module_free(modules[i]);
  free(modules);
  free(runs);
  atoll_engine_free(engine);
  store_close(s);
  return status;
}
