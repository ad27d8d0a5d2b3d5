/* A C program that embeds Atoll: runs a guest that calls it, with limits. Built by package.sh. */
#include <atoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] =
    "import func note(p: i32, n: i32) -> i32 from \"host\" \"note\"\n"
    "data text = \"from the guest\"\n"
    "export func greet() -> i32 { ret (call note(text, len(text))) }\n"
    "export func lie() -> i32 { ret (call note(text, 100000)) }\n"
    "export func spin() { loop { } }\n";

static atoll_action note(void* env, atoll_caller* caller, const atoll_value* arguments,
                         atoll_value* results) {
  const uint32_t length = (uint32_t)arguments[1].of.i32;
  const uint8_t* text = atoll_caller_memory(caller, (uint32_t)arguments[0].of.i32, length);
  if (text == NULL) return atoll_caller_trap(caller, ATOLL_TRAP_MEMORY_BOUNDS);
  printf("%s: %.*s\n", (const char*)env, (int)length, (const char*)text);
  results[0] = atoll_i32((int32_t)length);
  return ATOLL_RETURN;
}

static void must(atoll_error* error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", atoll_error_text(error));
  exit(1);
}

static atoll_process* start(const atoll_engine* engine, const atoll_module* module,
                            const atoll_options* options) {
  atoll_process* process = NULL;
  must(atoll_process_new(engine, module, options, &process));
  return process;
}

/* Calls a function; its error, which must be one. */
static void fails(atoll_process* process, const char* name, size_t results) {
  atoll_function* function = NULL;
  atoll_value result;
  atoll_error* error;
  must(atoll_process_function(process, name, &function));
  error = atoll_function_call(function, NULL, 0, &result, results);
  printf("%s\n", error == NULL ? "no error" : atoll_error_text(error));
  atoll_error_free(error);
  atoll_function_free(function);
}

/* The same guest as a process of a machine. */
static void in_machine(const atoll_engine* engine, const atoll_module* module,
                       const atoll_options* options) {
  atoll_scheduler* scheduler = NULL;
  atoll_machine* machine = NULL;
  atoll_mailbox* mailbox = NULL;
  atoll_task* task = NULL;
  atoll_message* message = NULL;
  must(atoll_scheduler_new(engine, 2, "fair", 0, &scheduler));
  must(atoll_machine_new(scheduler, options, &machine));
  must(atoll_machine_spawn(machine, module, "lie", NULL, 0, NULL, &task));
  if (atoll_task_wait(task, -1)) printf("lie: %s\n", atoll_task_text(task));
  must(atoll_mailbox_new(machine, NULL, &mailbox));
  must(atoll_machine_send(machine, atoll_mailbox_pid(mailbox), 1, "to itself", 9, NULL, 0));
  must(atoll_mailbox_receive(mailbox, ATOLL_TAG_ANY, -1, &message));
  printf("%.*s\n", (int)atoll_message_size(message), (const char*)atoll_message_bytes(message));
  atoll_message_free(message);
  atoll_machine_free(machine);
  atoll_mailbox_free(mailbox);
  atoll_task_free(task);
  atoll_scheduler_free(scheduler);
}

int main(void) {
  const atoll_type i32s[] = {ATOLL_I32, ATOLL_I32};
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_imports* imports = atoll_imports_new();
  atoll_options* options = atoll_options_new();
  atoll_module* module = NULL;
  atoll_function* greet = NULL;
  atoll_process* process;
  atoll_value result;
  must(atoll_imports_define(imports, "host", "note", i32s, 2, i32s, 1, note, "noted", NULL));
  must(atoll_module_assemble(engine, "guest.atoll", source, strlen(source), &module));
  atoll_options_imports(options, imports);
  atoll_options_time(options, 20);
  process = start(engine, module, options);
  must(atoll_process_function(process, "greet", &greet));
  must(atoll_function_call(greet, NULL, 0, &result, 1));
  printf("%d\n", (int)result.of.i32);
  atoll_function_free(greet);
  fails(process, "lie", 1);
  atoll_process_free(process);
  process = start(engine, module, options);
  fails(process, "spin", 0);
  atoll_process_free(process);
  atoll_options_time(options, 1000);
  in_machine(engine, module, options);
  atoll_module_free(module);
  atoll_options_free(options);
  atoll_imports_free(imports);
  atoll_engine_free(engine);
  return 0;
}
