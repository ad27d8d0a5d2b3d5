/* Atoll for C programs: modules, processes, host functions. The same engine as <atoll/process.hpp>.
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
typedef struct atoll_process atoll_process;
typedef struct atoll_function atoll_function;
typedef struct atoll_caller atoll_caller;
typedef struct atoll_deferred atoll_deferred;

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

/* There is no global state: a program may have several engines. `guarded_memory`: linear memories
 * reserve 4 GiB of addresses each and never move, else they have their exact size. NULL: no memory.
 */
ATOLL_API atoll_engine* atoll_engine_new(bool guarded_memory);
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

#ifdef __cplusplus
}
#endif

#endif
