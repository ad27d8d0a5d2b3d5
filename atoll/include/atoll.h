/* Atoll for C programs: modules, processes, host functions, machines. The same engine as
 * <atoll/process.hpp> and <atoll/machine.hpp>.
 *
 * Rules for everything here:
 *  - Every object is opaque. What a function `..._new`, `..._load`, `..._assemble` or `..._defer`
 *    gives is the caller's, and is freed by its `..._free`, which takes NULL too. Objects keep
 *    alive what they need of others: an engine may be freed before its modules, a module before
 *    its processes.
 *  - What can fail gives an atoll_error: NULL for success, else the caller's to free. Nothing ends
 *    the program, and no C++ exception leaves the library.
 *  - Text goes in as bytes and a length where a guest may have a hand in it, else as C strings; it
 *    comes out as C strings that belong to the object they were asked of.
 *  - Threads: engines, modules, imports (once nobody changes them) and deferred calls may be used
 *    from any thread at once. A process, its functions and its outcome belong to one thread at a
 *    time, but for atoll_process_interrupt. A caller is valid during the host call that it was
 *    given to, on that thread.
 *    Schedulers, machines, tasks, mailboxes, messages and grants may be used from any thread at
 *    once, and are freed when no other thread uses them.
 *  - The ABI only grows: enumerators keep their numbers, structures their layout.
 */
#ifndef ATOLL_H
#define ATOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ATOLL_API __attribute__((visibility("default")))
#else
#define ATOLL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct atoll_error atoll_error;
typedef struct atoll_engine atoll_engine;
typedef struct atoll_module atoll_module;
typedef struct atoll_imports atoll_imports;
typedef struct atoll_options atoll_options;
typedef struct atoll_image atoll_image;
typedef struct atoll_process atoll_process;
typedef struct atoll_function atoll_function;
typedef struct atoll_caller atoll_caller;
typedef struct atoll_deferred atoll_deferred;
typedef struct atoll_scheduler atoll_scheduler;
typedef struct atoll_machine atoll_machine;
typedef struct atoll_task atoll_task;
typedef struct atoll_mailbox atoll_mailbox;
typedef struct atoll_message atoll_message;
typedef struct atoll_grant atoll_grant;

/* "major.minor.patch". */
ATOLL_API const char* atoll_version(void);

/* --- Errors ---------------------------------------------------------------------------------- */

typedef enum atoll_code {
  ATOLL_MALFORMED = 0,   /* bytes or text do not follow their format */
  ATOLL_INVALID = 1,     /* well-formed, but breaks a rule of the verifier or the language */
  ATOLL_UNSUPPORTED = 2, /* a feature or version that this build does not have */
  ATOLL_NOT_FOUND = 3,   /* a file, import or export that does not exist */
  ATOLL_LIMIT = 4,       /* a stated limit, or the machine's memory */
  ATOLL_IO = 5,          /* the operating system refused */
  ATOLL_DENIED = 6,      /* no capability for it */
  ATOLL_USAGE = 7,       /* the caller broke a contract */
  ATOLL_TRAPPED = 8      /* guest code was stopped; atoll_process_outcome_... say how */
} atoll_code;

ATOLL_API atoll_code atoll_error_code(const atoll_error* error);
/* "place: what, and what to do", for people. */
ATOLL_API const char* atoll_error_text(const atoll_error* error);
ATOLL_API void atoll_error_free(atoll_error* error);

/* --- Values ---------------------------------------------------------------------------------- */

/* What programs give is of fixed size: a number that is none of these is an error. */
typedef int32_t atoll_type;
enum {
  ATOLL_I32 = 0,
  ATOLL_I64 = 1,
  ATOLL_F32 = 2,
  ATOLL_F64 = 3,
  ATOLL_FUNCREF = 4, /* null alone goes into guests from outside */
  ATOLL_EXTERNREF = 5
};

typedef struct atoll_value {
  atoll_type type;
  union {
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
    uint64_t ref; /* 0: null */
  } of;
} atoll_value;

static inline atoll_value atoll_i32(int32_t number) {
  atoll_value value;
  value.type = ATOLL_I32;
  value.of.i64 = 0;
  value.of.i32 = number;
  return value;
}
static inline atoll_value atoll_i64(int64_t number) {
  atoll_value value;
  value.type = ATOLL_I64;
  value.of.i64 = number;
  return value;
}
static inline atoll_value atoll_f32(float number) {
  atoll_value value;
  value.type = ATOLL_F32;
  value.of.i64 = 0;
  value.of.f32 = number;
  return value;
}
static inline atoll_value atoll_f64(double number) {
  atoll_value value;
  value.type = ATOLL_F64;
  value.of.f64 = number;
  return value;
}

/* --- Engines and modules --------------------------------------------------------------------- */

/* How code is executed; the results are the same for a guest. Where the host has no compiled tier
 * code is interpreted whatever this says; where fuel is counted AUTO is as JIT. */
typedef int32_t atoll_tier;
enum {
  ATOLL_TIER_AUTO = 0,   /* interpreted at first, compiled where it is used more */
  ATOLL_TIER_INTERP = 1, /* interpreted */
  ATOLL_TIER_JIT = 2     /* each function is compiled when it is first called */
};

/* There is no global state: a program may have several engines. `guarded_memory`: linear memories
 * reserve 4 GiB of addresses each and never move, else they have their exact size; compiled code
 * then needs a handler of SIGSEGV, which it sets (atoll/engine.hpp says more). NULL: no memory, or
 * no such tier.
 */
ATOLL_API atoll_engine* atoll_engine_new(atoll_tier tier, bool guarded_memory);
/* The same, with more options. `hardened`: machine code is hardened against who wrote the programs,
 * at some cost (docs/rationale.md, "Hardened code"); AUTO is as JIT then. A limit of compiled code
 * in bytes, for all that the engine runs: where it is full, code that was not used of late is
 * thrown away; 0: nothing is compiled. And the calls and turns of loops, about, that AUTO
 * interprets of a function before it compiles it. Otherwise they are false, 256 MiB and 2000. */
ATOLL_API atoll_engine* atoll_engine_with(atoll_tier tier, bool guarded_memory, bool hardened,
                                          uint64_t code_memory, uint32_t warm_up);
ATOLL_API void atoll_engine_free(atoll_engine* engine);

/* Reads and verifies a module file or a WebAssembly module; the bytes are copied. `*module` is set
 * on success alone. Errors: malformed, unsupported, invalid, limit. */
ATOLL_API atoll_error* atoll_module_load(const atoll_engine* engine, const void* bytes, size_t size,
                                         atoll_module** module);
/* Assembles and verifies a source; `name` is for messages. Files that it uses are not looked for,
 * Atoll's own library (`use std.NAME`) is there. Errors: invalid, with the first mistake. */
ATOLL_API atoll_error* atoll_module_assemble(const atoll_engine* engine, const char* name,
                                             const char* text, size_t size, atoll_module** module);
/* Does the one or the other with what is in a file; messages begin with its path. Errors: also
 * not_found, denied, io (also: no regular file), limit (256 MiB). */
ATOLL_API atoll_error* atoll_module_open(const atoll_engine* engine, const char* path,
                                         atoll_module** module);
ATOLL_API void atoll_module_free(atoll_module* module);

/* --- Host functions -------------------------------------------------------------------------- */

/* What a host function gives back, by the functions below. */
typedef int32_t atoll_action;
enum {
  ATOLL_RETURN = 0, /* the results are set */
  ATOLL_TRAP = 1,   /* atoll_caller_fail, atoll_caller_trap */
  ATOLL_EXIT = 2,   /* atoll_caller_exit */
  ATOLL_PENDING = 3 /* atoll_caller_defer was called */
};

/* A host function: arguments have the types that it was defined with, and so have `results`, which
 * are zero when it begins. The arguments' numbers come from a guest and may be anything. It must
 * not block for long. It may call functions of the process that calls it (atoll_function_call says
 * how), but not run or free it. `env` is as it was defined. */
typedef atoll_action (*atoll_callback)(void* env, atoll_caller* caller,
                                       const atoll_value* arguments, atoll_value* results);

/* A set of host functions. NULL: no memory. */
ATOLL_API atoll_imports* atoll_imports_new(void);
ATOLL_API void atoll_imports_free(atoll_imports* imports);
/* Lets guests import `name` of `module`; takes the place of an earlier one. `free_env`, if not
 * NULL, is called with `env` when no set and no process has the function any more, and also if this
 * fails. Errors: usage (a NULL, or a type that is none), limit. */
ATOLL_API atoll_error* atoll_imports_define(atoll_imports* imports, const char* module,
                                            const char* name, const atoll_type* parameters,
                                            size_t parameter_count, const atoll_type* results,
                                            size_t result_count, atoll_callback function, void* env,
                                            void (*free_env)(void* env));

/* `length` bytes of memory 0 of the calling module at `address`; NULL if they are not all inside.
 * Valid until the host function returns. */
ATOLL_API uint8_t* atoll_caller_memory(const atoll_caller* caller, uint64_t address,
                                       uint64_t length);
ATOLL_API uint64_t atoll_caller_memory_size(const atoll_caller* caller);

/* The calling process's number in its machine; 0: it is in none. */
ATOLL_API uint64_t atoll_caller_pid(const atoll_caller* caller);

/* The guest traps as host_error; the text is for who runs it. Give back what this gives. */
ATOLL_API atoll_action atoll_caller_fail(atoll_caller* caller, const char* text);
/* The guest traps; see atoll_trap. */
ATOLL_API atoll_action atoll_caller_trap(atoll_caller* caller, int trap);
/* The process ends with an exit code. */
ATOLL_API atoll_action atoll_caller_exit(atoll_caller* caller, uint32_t code);

/* Objects of the program, which guests name by handles. `type` is any address that stands for the
 * object's type, and only who knows it gets the object. `free_object`, if not NULL, is called when
 * the last handle is gone, also if inserting fails. Errors: usage (no type), limit. */
ATOLL_API atoll_error* atoll_caller_insert(atoll_caller* caller, void* object, const void* type,
                                           void (*free_object)(void* object), uint32_t* handle);
/* The object; NULL if the handle names none of that type, or was revoked. */
ATOLL_API void* atoll_caller_object(const atoll_caller* caller, uint32_t handle, const void* type);
/* Forgets a handle to an object of the program; false if it names none. */
ATOLL_API bool atoll_caller_close(atoll_caller* caller, uint32_t handle);

/* Parks the call: give back ATOLL_PENDING. `canceled`, if not NULL, is called on the process's
 * thread if the process ends before the call was completed. NULL: no memory. */
ATOLL_API atoll_deferred* atoll_caller_defer(atoll_caller* caller, void (*canceled)(void* env),
                                             void* env);
/* Any thread, also before the host function has returned. The first of these counts; later ones do
 * nothing, also after the process ended. `results` are copied; their types and number must be the
 * function's (else the guest traps as host_error). */
ATOLL_API void atoll_deferred_complete(const atoll_deferred* deferred, const atoll_value* results,
                                       size_t count);
/* `function` runs on the process's thread before the guest goes on, with no arguments: it may write
 * into the guest's memory. `free_env`, if not NULL, is called with `env` after that, or when it is
 * known that it won't run. */
ATOLL_API void atoll_deferred_complete_with(const atoll_deferred* deferred, atoll_callback function,
                                            void* env, void (*free_env)(void* env));
ATOLL_API void atoll_deferred_fail(const atoll_deferred* deferred, const char* text);
/* The call stays parked if nothing completed it. */
ATOLL_API void atoll_deferred_free(atoll_deferred* deferred);

/* --- Processes ------------------------------------------------------------------------------- */

/* What a process may have; nothing else. NULL: no memory. Setters that are not given keep: no
 * arguments, variables, directories or streams; 4 GiB of memory, 1 MiB of stack, 1024 handles; no
 * limit of time or fuel. Setters give false without memory. */
ATOLL_API atoll_options* atoll_options_new(void);
ATOLL_API void atoll_options_free(atoll_options* options);
ATOLL_API bool atoll_options_argument(atoll_options* options, const char* argument);
ATOLL_API bool atoll_options_variable(atoll_options* options, const char* name, const char* value);
/* A directory of the host, opened when the process is made; no path of the guest leaves it. */
ATOLL_API bool atoll_options_directory(atoll_options* options, const char* host, const char* guest,
                                       bool writable);
/* A file system, as the command line has it: "memory::/tmp:size=16M" (docs/file-systems.md). It is
 * made, or opened, when the process is. Errors: usage. */
ATOLL_API atoll_error* atoll_options_mount(atoll_options* options, const char* mount);
/* The host's network, behind rules: "connect:example.org:443,dns" (docs/networks.md). What is
 * refused goes to `log`, a line at a time without a newline, if that is not NULL: on threads that
 * run guests, one at a time. `env` must live as long as what is made with the options. Errors:
 * usage. */
ATOLL_API atoll_error* atoll_options_network(atoll_options* options, const char* rules,
                                             void (*log)(void* env, const char* line), void* env);
/* A socket that takes connections at an address, "127.0.0.1:8080" or "[::1]:0", made for the guest
 * when the process is. With port 0 the host chooses one, which the `log` of the network is told;
 * rules can be NULL there. Errors: usage. */
ATOLL_API atoll_error* atoll_options_listener(atoll_options* options, const char* address);
/* File descriptors for the standard streams; -1: none. They must stay open as the process does. */
ATOLL_API void atoll_options_streams(atoll_options* options, int input, int output, int error);
ATOLL_API void atoll_options_memory(atoll_options* options, uint64_t bytes);
ATOLL_API void atoll_options_stack(atoll_options* options, uint64_t bytes);
ATOLL_API void atoll_options_handles(atoll_options* options, uint32_t count);
ATOLL_API void atoll_options_table_elements(atoll_options* options, uint64_t count);
/* Exact units of work; atoll_process_add_fuel gives more. */
ATOLL_API void atoll_options_fuel(atoll_options* options, uint64_t fuel);
/* Wall time of each run and call, milliseconds. */
ATOLL_API void atoll_options_time(atoll_options* options, uint64_t milliseconds);
ATOLL_API void atoll_options_imports(atoll_options* options, const atoll_imports* imports);
/* Imports that nobody provides trap when they are called; else such a module has no process. */
ATOLL_API void atoll_options_trap_unknown_imports(atoll_options* options, bool trap);

/* --- Images ---------------------------------------------------------------------------------- */

/* Images are programs in one file, with their files and what they ask for: docs/images.md, and
 * atoll/image.hpp, which says more of each of these. An image may be used from any thread at once.
 */
/* Whether a file begins as an image does. */
ATOLL_API bool atoll_image_is(const char* path);
/* `public_key`: NULL, or PEM text of the ed25519 key by which it must be signed; then every byte of
 * it is checked and held in memory. Else the file must stay as it is while the image, or a process
 * of it, is there. Errors: not_found, io, malformed, invalid, limit, unsupported, denied (its
 * signature), usage (no such key). */
ATOLL_API atoll_error* atoll_image_open(const char* path, const char* public_key,
                                        atoll_image** image);
ATOLL_API void atoll_image_free(atoll_image* image);
ATOLL_API const char* atoll_image_name(const atoll_image* image);
/* Whether it has a signature, of whomever. */
ATOLL_API bool atoll_image_is_signed(const atoll_image* image);

/* What its manifest says, but for the mounts that it asks for. Numbers are 0 where it says none. */
typedef struct atoll_image_manifest {
  bool has_root;   /* files of its own, at "/" */
  bool is_overlay; /* changes to them are kept in memory */
  uint64_t size;   /* limit of these changes, bytes */
  uint64_t memory; /* limits that it is content with: bytes, bytes, */
  uint64_t stack;  /* number, units */
  uint64_t handles;
  uint64_t fuel;
  size_t argument_count; /* behind the program's name */
  size_t variable_count;
  size_t mount_count;
} atoll_image_manifest;
ATOLL_API void atoll_image_get_manifest(const atoll_image* image, atoll_image_manifest* manifest);
/* By their position; NULL beyond the counts. */
ATOLL_API const char* atoll_image_argument(const atoll_image* image, size_t position);
ATOLL_API const char* atoll_image_variable_name(const atoll_image* image, size_t position);
ATOLL_API const char* atoll_image_variable_value(const atoll_image* image, size_t position);

/* A file system that it asks for. */
typedef struct atoll_image_mount {
  const char* guest; /* path by which the guest names it */
  const char* type;  /* "dir", "memory", "overlay" or "archive" */
  const char* about; /* what it is for; "" */
  bool writable;
  bool required;
  uint64_t size; /* of "memory": what it asks for, bytes; 0: nothing */
} atoll_image_mount;
/* False beyond the count. */
ATOLL_API bool atoll_image_get_mount(const atoll_image* image, size_t position,
                                     atoll_image_mount* mount);

typedef int32_t atoll_image_file_type;
enum { ATOLL_IMAGE_FILE = 0, ATOLL_IMAGE_DIRECTORY = 1, ATOLL_IMAGE_LINK = 2 };
/* Calls `visit` with each name below its root, by their paths, until it gives false: the path as
 * the guest names it, of a file its bytes, of a symbolic link where it leads to. The texts are
 * valid during the call. Errors: io, limit. */
ATOLL_API atoll_error* atoll_image_files(const atoll_image* image,
                                         bool (*visit)(void* env, const char* path,
                                                       atoll_image_file_type type, uint64_t size,
                                                       const char* target),
                                         void* env);
/* The bytes of a file by its path, to be freed by atoll_bytes_free. Errors: not_found, io, limit
 * (256 MiB). */
ATOLL_API atoll_error* atoll_image_read(const atoll_image* image, const char* path, uint8_t** bytes,
                                        size_t* size);
/* The module that it runs. Errors: as atoll_module_load, io. */
ATOLL_API atoll_error* atoll_image_module(const atoll_image* image, const atoll_engine* engine,
                                          atoll_module** module);

/* What is granted of that which it asks for. */
typedef struct atoll_image_grant {
  const char* guest;  /* the path that the manifest has */
  const char* source; /* path on the host; of "memory" "" or NULL */
  bool writable;      /* no more than the image asks for */
} atoll_image_grant;
/* Puts what the image has and what it was granted into the options: mounts; arguments where there
 * is no more than the program's name; variables that are not set; limits, which become no greater.
 * Nothing changes where it fails. The image must be there until the process has been made. Errors:
 * usage (a grant of what it does not ask for), denied (something required has no grant). */
ATOLL_API atoll_error* atoll_image_apply(const atoll_image* image, const atoll_image_grant* grants,
                                         size_t count, atoll_options* options);

/* An image of a manifest, which names its parts by paths relative to it: the same inputs give the
 * same bytes, to be freed by atoll_bytes_free. With `private_key` (PEM text, ed25519; NULL: none)
 * it is signed. Errors: not_found, io, malformed, invalid, limit (1 GiB), unsupported, usage (no
 * such key). */
ATOLL_API atoll_error* atoll_image_pack(const char* manifest, const char* private_key,
                                        uint8_t** bytes, size_t* size);
ATOLL_API void atoll_bytes_free(uint8_t* bytes);

/* --- Running --------------------------------------------------------------------------------- */

/* Makes a process and runs nothing. `options` may be NULL. Errors: not_found (an import, a
 * directory), io, denied, limit, invalid, usage. */
ATOLL_API atoll_error* atoll_process_new(const atoll_engine* engine, const atoll_module* module,
                                         const atoll_options* options, atoll_process** process);
/* Not from a host function that it calls. */
ATOLL_API void atoll_process_free(atoll_process* process);

/* Runs the module's entry (`_start` or `main`) until it ends. Success: it ended itself, with
 * `*exit_code`. Errors: trapped, not_found (no entry), usage (it has ended already). */
ATOLL_API atoll_error* atoll_process_run(atoll_process* process, uint32_t* exit_code);

/* An exported function. It belongs to the process, and is freed before it. Errors: not_found. */
ATOLL_API atoll_error* atoll_process_function(atoll_process* process, const char* name,
                                              atoll_function** function);
ATOLL_API void atoll_function_free(atoll_function* function);
ATOLL_API size_t atoll_function_parameter_count(const atoll_function* function);
ATOLL_API size_t atoll_function_result_count(const atoll_function* function);
/* Types by their position; -1 beyond the counts. */
ATOLL_API atoll_type atoll_function_parameter(const atoll_function* function, size_t position);
ATOLL_API atoll_type atoll_function_result(const atoll_function* function, size_t position);
/* Calls it with as many arguments as it has parameters, of their types, and leaves its results in
 * `results`. Either may be NULL if there are none. The first call of a process runs what must run
 * before. From a host function: a call of the guest that waits for it, within its limits. At most
 * 64 may wait, and none after atoll_caller_defer. A trap in it is an error, and the guest that
 * waits goes on; a time limit, an interrupt, lack of fuel and an exit concern the whole process.
 * Memory of the guest must be asked for again after it. Errors: trapped, limit (its frame is larger
 * than the stack may be), usage (arguments; the process has ended; such a call is refused), io. */
ATOLL_API atoll_error* atoll_function_call(const atoll_function* function,
                                           const atoll_value* arguments, size_t argument_count,
                                           atoll_value* results, size_t result_count);

/* More fuel for a process whose fuel is counted. A call that ran out of it goes on when it is made
 * again. */
ATOLL_API void atoll_process_add_fuel(atoll_process* process, uint64_t fuel);
/* Ends the run or call under way, or the next one, within milliseconds. Any thread, and
 * async-signal-safe; the process must not be freed meanwhile. */
ATOLL_API void atoll_process_interrupt(atoll_process* process);

/* `length` bytes of the module's memory at `address`; NULL if they are not all inside. Valid until
 * guest code runs again. */
ATOLL_API uint8_t* atoll_process_memory(const atoll_process* process, uint64_t address,
                                        uint64_t length);
ATOLL_API uint64_t atoll_process_memory_size(const atoll_process* process);
/* An exported global. Errors: not_found, usage. */
ATOLL_API atoll_error* atoll_process_global(const atoll_process* process, const char* name,
                                            atoll_value* value);
ATOLL_API atoll_error* atoll_process_set_global(atoll_process* process, const char* name,
                                                atoll_value value);
/* As atoll_caller_insert. */
ATOLL_API atoll_error* atoll_process_insert(atoll_process* process, void* object, const void* type,
                                            void (*free_object)(void* object), uint32_t* handle);
/* Takes an object away: closes all handles of the guest to it, those too that the guest made of
 * others, whichever it closed itself. Gives their number. */
ATOLL_API uint32_t atoll_process_revoke(atoll_process* process, const void* object,
                                        const void* type);
/* As atoll_caller_object and atoll_caller_close, between runs and calls: for handles that guests
 * give back. */
ATOLL_API void* atoll_process_object(const atoll_process* process, uint32_t handle,
                                     const void* type);
ATOLL_API bool atoll_process_close(atoll_process* process, uint32_t handle);

/* How the run or call before ended. */
typedef enum atoll_outcome {
  ATOLL_EXITED = 0,      /* the guest ended itself: exit_code */
  ATOLL_RETURNED = 1,    /* the function came back */
  ATOLL_STOPPED = 2,     /* trap says why */
  ATOLL_OUT_OF_FUEL = 3, /* goes on after atoll_process_add_fuel */
  ATOLL_TIME_LIMIT = 4,
  ATOLL_INTERRUPTED = 5
} atoll_outcome;
typedef enum atoll_trap {
  ATOLL_TRAP_UNREACHABLE = 0,
  ATOLL_TRAP_DIVIDE_BY_ZERO = 1,
  ATOLL_TRAP_INTEGER_OVERFLOW = 2,
  ATOLL_TRAP_INVALID_CONVERSION = 3,
  ATOLL_TRAP_MEMORY_BOUNDS = 4,
  ATOLL_TRAP_TABLE_BOUNDS = 5,
  ATOLL_TRAP_UNDEFINED_ELEMENT = 6,
  ATOLL_TRAP_NULL_REFERENCE = 7,
  ATOLL_TRAP_TYPE_MISMATCH = 8,
  ATOLL_TRAP_INVALID_REFERENCE = 9,
  ATOLL_TRAP_STACK_OVERFLOW = 10,
  ATOLL_TRAP_OUT_OF_FUEL = 11,
  ATOLL_TRAP_TIME_LIMIT = 12,
  ATOLL_TRAP_INTERRUPTED = 13,
  ATOLL_TRAP_OUT_OF_MEMORY = 14,
  ATOLL_TRAP_HOST_ERROR = 15,
  ATOLL_TRAP_UNKNOWN_IMPORT = 16
} atoll_trap;
ATOLL_API atoll_outcome atoll_process_outcome(const atoll_process* process);
ATOLL_API uint32_t atoll_process_outcome_exit_code(const atoll_process* process);
ATOLL_API atoll_trap atoll_process_outcome_trap(const atoll_process* process);
/* What the host function said (atoll_caller_fail), or "". */
ATOLL_API const char* atoll_process_outcome_message(const atoll_process* process);
/* The guest's stack then, innermost first: function names, and "file:line:column" or "". NULL
 * beyond the last. Valid until the next run or call. */
ATOLL_API const char* atoll_process_trace_function(const atoll_process* process, size_t frame);
ATOLL_API const char* atoll_process_trace_location(const atoll_process* process, size_t frame);
/* "integer divide by zero"; "" for a number that is no trap. */
ATOLL_API const char* atoll_trap_text(int trap);

/* --- Machines -------------------------------------------------------------------------------- */

/* Many processes on a few threads. A scheduler's threads, its workers, run the processes of
 * machines: tenants that share limits and a part of the CPU. A process is an exported function with
 * a memory of its own; guests start others, send messages, link and monitor, and the program takes
 * part by mailboxes. Processes have numbers above 0, which mean something in their machine alone.
 *
 * Host functions of machines, and functions that are told of ends and messages, run on workers,
 * several at once, and must not block for long. What waits (pause, waiting for a task or a message)
 * is refused there. */

/* `workers`: 1 to 256; 0: one for each CPU. `policy`: "fair" (also for NULL), "rr", "fcfs", "sjf",
 * "priority". `slice`: microseconds for which a process runs while others are ready; 0: 1000.
 * Errors: not_found (no such policy), usage, io (no threads). */
ATOLL_API atoll_error* atoll_scheduler_new(const atoll_engine* engine, uint32_t workers,
                                           const char* policy, uint64_t slice,
                                           atoll_scheduler** scheduler);
/* Its threads end with the last of its machines. */
ATOLL_API void atoll_scheduler_free(atoll_scheduler* scheduler);
ATOLL_API uint32_t atoll_scheduler_workers(const atoll_scheduler* scheduler);

/* What becomes of a message that does not fit into a mailbox. */
typedef int32_t atoll_overflow;
enum {
  ATOLL_REFUSE = 0, /* the sender gets an error */
  ATOLL_NEWEST = 1, /* it is dropped */
  ATOLL_OLDEST = 2, /* the oldest ones are dropped */
  ATOLL_KILL = 3,   /* the receiver ends */
  ATOLL_WAIT = 4    /* a guest that sends waits until there is room; the program gets an error */
};

/* Why a process ended; the numbers of guests (ExitInfo). */
typedef int32_t atoll_reason;
enum {
  ATOLL_END_NORMAL = 0,  /* returned, or exit code 0 */
  ATOLL_END_CODE = 1,    /* another exit code */
  ATOLL_END_TRAP = 2,    /* the code is the atoll_trap */
  ATOLL_END_KILLED = 3,  /* by somebody else */
  ATOLL_END_FUEL = 4,    /* its fuel was used up */
  ATOLL_END_TIME = 5,    /* its CPU time was, or that of its machine */
  ATOLL_END_MEMORY = 6,  /* the host had no memory for it */
  ATOLL_END_MAILBOX = 7, /* its mailbox was full */
  ATOLL_END_NOPROC = 8,  /* it was bound to a process that was not there */
  ATOLL_END_STOPPED = 9  /* its machine was freed */
};

/* Options for machines, processes in machines, and mailboxes; each looks at what concerns it.
 * Of a machine: arguments, variables, directories, streams and imports, which are for all of its
 * processes; atoll_options_memory, _handles, _time (CPU time), _io and _io_rate, which limit all
 * processes together (without: 4 GiB, 1,000,000 handles); _processes, _weight, _on_end.
 * Of a process: _memory, _stack, _handles, _table_elements, _fuel, _time (CPU time), _io and
 * _io_rate, which are its limits; _weight, _priority, _mailbox, _standard_handles, _grant, _parent.
 * Of a mailbox: _handles (in messages that wait), _weight, _priority, _mailbox, _on_message,
 * _traps_exits. */
/* What is read and written by handles: bytes, and calls. */
ATOLL_API void atoll_options_io(atoll_options* options, uint64_t bytes, uint64_t operations);
/* The same in a second, beyond which calls wait. At least 1; UINT64_MAX: no limit. */
ATOLL_API void atoll_options_io_rate(atoll_options* options, uint64_t bytes, uint64_t operations);
/* At once, mailboxes included. Without: 100,000. */
ATOLL_API void atoll_options_processes(atoll_options* options, uint32_t count);
/* A share under the policy "fair": 1 to 1,000,000. Without: 100. */
ATOLL_API void atoll_options_weight(atoll_options* options, uint32_t weight);
/* Under the policy "priority": 0 to 31, the most urgent. Without: 16. */
ATOLL_API void atoll_options_priority(atoll_options* options, uint8_t priority);
/* Messages that wait, and their bytes. Without: 100,000, 64 MiB, ATOLL_REFUSE. */
ATOLL_API void atoll_options_mailbox(atoll_options* options, uint32_t messages, uint64_t bytes,
                                     atoll_overflow overflow);
/* Whether the process begins with the machine's streams and directories. Without: true. */
ATOLL_API void atoll_options_standard_handles(atoll_options* options, bool given);
/* The next handle that the process begins with. */
ATOLL_API bool atoll_options_grant(atoll_options* options, const atoll_grant* grant);
/* The process's parent, as it may ask for it: a mailbox or process of the machine. `linked`: when
 * one of both ends otherwise than normally, the other does, or is told. */
ATOLL_API void atoll_options_parent(atoll_options* options, uint64_t pid, bool linked);
/* Called on a worker when a process of the machine has ended, whoever started it; `text` says it
 * for people. `free_env`, if not NULL, is called with `env` when no options and no machine have it
 * any more, and also if this fails. */
ATOLL_API bool atoll_options_on_end(atoll_options* options,
                                    void (*function)(void* env, uint64_t pid, atoll_reason reason,
                                                     uint32_t code, const char* text),
                                    void* env, void (*free_env)(void* env));
/* Called on a worker with each message, one at a time, in place of atoll_mailbox_receive; both
 * objects are the library's, and valid during the call. */
ATOLL_API bool atoll_options_on_message(atoll_options* options,
                                        void (*function)(void* env, atoll_mailbox* mailbox,
                                                         const atoll_message* message),
                                        void* env, void (*free_env)(void* env));
/* Whether ends of linked processes come as messages; else one that is not normal ends the mailbox.
 * Without: true. */
ATOLL_API void atoll_options_traps_exits(atoll_options* options, bool traps);

/* `options` may be NULL. Errors: io, not_found and denied (a directory), usage, limit. */
ATOLL_API atoll_error* atoll_machine_new(const atoll_scheduler* scheduler,
                                         const atoll_options* options, atoll_machine** machine);
/* Ends all its processes and mailboxes and waits for that; on a worker it does not wait. Tasks and
 * mailboxes are to be freed all the same. */
ATOLL_API void atoll_machine_free(atoll_machine* machine);

/* Starts a process: an exported function, or the module's entry if `function` is NULL. `options`
 * may be NULL. Errors: not_found (the function, an import), usage (arguments, options), limit,
 * invalid. */
ATOLL_API atoll_error* atoll_machine_spawn(atoll_machine* machine, const atoll_module* module,
                                           const char* function, const atoll_value* arguments,
                                           size_t argument_count, const atoll_options* options,
                                           atoll_task** task);
/* The process goes on. */
ATOLL_API void atoll_task_free(atoll_task* task);
ATOLL_API uint64_t atoll_task_pid(const atoll_task* task);
/* Waits for its end, so many nanoseconds at most; below 0: for ever. On a worker it does not wait.
 * Gives whether it has ended. */
ATOLL_API bool atoll_task_wait(atoll_task* task, int64_t timeout);
/* False: it has ended. */
ATOLL_API bool atoll_task_kill(atoll_task* task);
/* Of a process that has ended, as atoll_task_wait said; else 0, NULL and nothing. */
ATOLL_API atoll_reason atoll_task_reason(const atoll_task* task);
ATOLL_API uint32_t atoll_task_code(const atoll_task* task); /* the exit code, or the atoll_trap */
/* "exit code 3", "trap: integer divide by zero", "killed": for people. */
ATOLL_API const char* atoll_task_text(const atoll_task* task);
/* Its results, as many as there is room for. Gives their number. */
ATOLL_API size_t atoll_task_results(const atoll_task* task, atoll_value* results, size_t room);
ATOLL_API uint64_t atoll_task_cpu_time(const atoll_task* task); /* nanoseconds */
/* As atoll_process_trace_function and _location. */
ATOLL_API const char* atoll_task_trace_function(const atoll_task* task, size_t frame);
ATOLL_API const char* atoll_task_trace_location(const atoll_task* task, size_t frame);

/* Ends a process or mailbox, whoever made it. False: there is none. */
ATOLL_API bool atoll_machine_kill(atoll_machine* machine, uint64_t pid);
/* Lets no process of it run until it is resumed; when it comes back, none does. Errors: usage (on a
 * worker). */
ATOLL_API atoll_error* atoll_machine_pause(atoll_machine* machine);
ATOLL_API void atoll_machine_resume(atoll_machine* machine);
/* Names by which guests and the program find processes. Errors: usage (taken, too long, empty),
 * not_found, limit. */
ATOLL_API atoll_error* atoll_machine_register(atoll_machine* machine, const char* name,
                                              uint64_t pid);
ATOLL_API bool atoll_machine_unregister(atoll_machine* machine, const char* name);
/* 0: nobody has it. */
ATOLL_API uint64_t atoll_machine_find(const atoll_machine* machine, const char* name);

typedef struct atoll_process_state {
  uint64_t pid;
  uint64_t parent; /* 0: none */
  int32_t state;   /* 0 ready, 1 running, 2 waiting, 3 paused */
  int32_t mailbox; /* 1: one of the program's */
  uint32_t weight;
  uint32_t priority;
  uint64_t links;
  uint64_t cpu_time; /* ns; this, memory, stack and handles as of its last slice's end */
  uint64_t memory;   /* bytes of linear memories */
  uint64_t stack;    /* bytes */
  uint64_t mailbox_bytes;
  uint32_t messages; /* that wait */
  uint32_t handles;
} atoll_process_state;
/* Fills `size` bytes, of which the structure may have more one day: sizeof *state. False: there is
 * no such process. */
ATOLL_API bool atoll_machine_process(const atoll_machine* machine, uint64_t pid,
                                     atoll_process_state* state, size_t size);
/* The numbers of its processes, as many as there is room for. Gives how many there are. */
ATOLL_API size_t atoll_machine_processes(const atoll_machine* machine, uint64_t* pids, size_t room);

typedef struct atoll_machine_state {
  uint64_t processes;
  uint64_t cpu_time; /* ns; about a slice for each worker behind */
  uint64_t memory;   /* bytes: all that the limit counts */
  uint64_t handles;
  uint64_t io_bytes;
  uint64_t io_operations;
  int32_t paused;
  int32_t reserved;
} atoll_machine_state;
ATOLL_API void atoll_machine_look(const atoll_machine* machine, atoll_machine_state* state,
                                  size_t size);

/* --- Messages -------------------------------------------------------------------------------- */

/* Something that a process may hold by a handle. An object of the program, as with
 * atoll_caller_insert. Errors: usage (no type). */
ATOLL_API atoll_error* atoll_grant_new(void* object, const void* type,
                                       void (*free_object)(void* object), atoll_grant** grant);
/* A module, for guests of this machine to start processes of, as module_load gives it. Errors:
 * not_found and invalid (an import), limit. */
ATOLL_API atoll_error* atoll_machine_grant(const atoll_machine* machine, const atoll_module* module,
                                           atoll_grant** grant);
ATOLL_API void atoll_grant_free(atoll_grant* grant);
/* NULL: it is none of that type. */
ATOLL_API void* atoll_grant_object(const atoll_grant* grant, const void* type);

/* Tags of guests and the program are 0 and above. */
enum {
  ATOLL_TAG_ANY = INT32_MIN, /* receive: whatever comes */
  ATOLL_TAG_EXIT = -1,       /* a linked process has ended */
  ATOLL_TAG_DOWN = -2        /* a monitored process has ended */
};

/* Sends to a process of the machine, from nobody. At most 16 MiB and 8 grants. Errors: not_found
 * (no such process), limit (its mailbox is full; the machine's memory or handles), usage. */
ATOLL_API atoll_error* atoll_machine_send(atoll_machine* machine, uint64_t to, int32_t tag,
                                          const void* bytes, size_t size,
                                          const atoll_grant* const* grants, size_t grant_count);

/* The program's own process in a machine, which guests send to, link, monitor, find by a name and
 * may kill. `options` may be NULL. Errors: usage, limit. */
ATOLL_API atoll_error* atoll_mailbox_new(atoll_machine* machine, const atoll_options* options,
                                         atoll_mailbox** mailbox);
/* It ends normally, before or after its machine. Waits until its on_message function has come back,
 * which is not called again; on a worker it does not wait. */
ATOLL_API void atoll_mailbox_free(atoll_mailbox* mailbox);
ATOLL_API uint64_t atoll_mailbox_pid(const atoll_mailbox* mailbox);
/* As atoll_machine_send, from the mailbox. */
ATOLL_API atoll_error* atoll_mailbox_send(atoll_mailbox* mailbox, uint64_t to, int32_t tag,
                                          const void* bytes, size_t size,
                                          const atoll_grant* const* grants, size_t grant_count);
/* The oldest message with the tag; the others stay. Waits so many nanoseconds at most; below 0: for
 * ever; on a worker it does not wait. `*message` is NULL if none came. Errors: usage (the mailbox
 * has ended, or has a function for messages; below 0 on a worker). */
ATOLL_API atoll_error* atoll_mailbox_receive(atoll_mailbox* mailbox, int32_t tag, int64_t timeout,
                                             atoll_message** message);
/* The end of the mailbox or the process is told to the other; a process that is not there has ended
 * as ATOLL_END_NOPROC. Errors: usage (the mailbox has ended), limit. */
ATOLL_API atoll_error* atoll_mailbox_link(atoll_mailbox* mailbox, uint64_t pid);
ATOLL_API void atoll_mailbox_unlink(atoll_mailbox* mailbox, uint64_t pid);
/* A message with ATOLL_TAG_DOWN when the process has ended. Errors: as atoll_mailbox_link. */
ATOLL_API atoll_error* atoll_mailbox_monitor(atoll_mailbox* mailbox, uint64_t pid,
                                             uint64_t* reference);
ATOLL_API void atoll_mailbox_demonitor(atoll_mailbox* mailbox, uint64_t reference);

ATOLL_API void atoll_message_free(atoll_message* message);
/* 0: the program, or the system. */
ATOLL_API uint64_t atoll_message_sender(const atoll_message* message);
ATOLL_API int32_t atoll_message_tag(const atoll_message* message);
/* Valid as long as the message. */
ATOLL_API const uint8_t* atoll_message_bytes(const atoll_message* message);
ATOLL_API size_t atoll_message_size(const atoll_message* message);
/* The handles that came with it, by their position; NULL beyond the last, or without memory. */
ATOLL_API atoll_grant* atoll_message_grant(const atoll_message* message, size_t position);
/* What a message about an end says; `reference` is 0 for a link. Each may be NULL. False: it is
 * another message. */
ATOLL_API bool atoll_message_end(const atoll_message* message, uint64_t* pid, uint64_t* reference,
                                 atoll_reason* reason, uint32_t* code);

#ifdef __cplusplus
}
#endif

#endif
