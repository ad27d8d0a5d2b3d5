// Counts the primes below a number: primes [NUMBER]. A pool of four workers, each a process with a
// memory of its own, counts ranges of 10,000 numbers; one in ten crashes its worker, and is
// submitted again.
#include <atoll_process.h>

// --- Workers and their pool ---------------------------------------------------------------------

typedef struct Range {
  int64_t from;
  int64_t to;
  int32_t again;  // how often it was submitted before
} Range;

static int is_prime(int64_t n) {
  if (n < 4) return n > 1;
  if (n % 2 == 0) return 0;
  for (int64_t d = 3; d * d <= n; d += 2) {
    if (n % d == 0) return 0;
  }
  return 1;
}

static int32_t count_range(const void* p, uint32_t n, void* to, uint32_t room, uint32_t* length) {
  const Range* range = p;
  if (n != sizeof *range || room < sizeof *range) return 1;
  if (range->from / 10000 % 10 == 7 && range->again == 0) __builtin_trap();
  int64_t count = 0;
  for (int64_t i = range->from; i < range->to; i++) count += is_prime(i);
  *(int64_t*)to = count;
  *length = sizeof count;
  return 0;
}

__attribute__((export_name("worker"))) void worker(void) {
  atoll_exit(atoll_pool_work(count_range));
}

__attribute__((export_name("pool"))) void pool(void) {
  static AtollPoolWorker workers[4];
  const AtollPool options = {"worker", 0, workers, 4};
  atoll_exit(atoll_pool_run(&options));
}

// --- The program --------------------------------------------------------------------------------

static void print(const char* text) {
  uint32_t n = 0;
  while (text[n] != 0) n++;
  while (n > 0) {
    const int32_t written = atoll_write(ATOLL_STDOUT, text, n);
    if (written < 0) atoll_exit(1);
    text += written;
    n -= (uint32_t)written;
  }
}

static void print_number(int64_t number) {
  char digits[24];
  char* p = digits + sizeof digits;
  *--p = 0;
  do {
    *--p = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  print(p);
}

static int64_t argument(void) {
  char text[24];
  const int32_t n = atoll_args_get(1, text, sizeof text);
  int64_t number = 0;
  for (int32_t i = 0; i < n; i++) {
    if (text[i] < '0' || text[i] > '9' || number > 100000000) return -1;
    number = number * 10 + (text[i] - '0');
  }
  return n < 0 ? 200000 : number;
}

// The ranges under way, by the number of their task; as many as there are workers at most.
typedef struct Task {
  int64_t task;  // 0: none
  Range range;
} Task;
static Task tasks[4];
static int64_t crashed;

static void submit(int64_t to, Range range) {
  Task* task = tasks;
  while (task->task != 0) task++;
  task->range = range;
  task->task = atoll_pool_submit(to, &range, sizeof range, -1);
  if (task->task < 0) atoll_exit(1);
}

// Waits for a result: how many primes there are. A task whose worker crashed is submitted again.
static int64_t take(int64_t from) {
  for (;;) {
    AtollPoolResult result;
    if (atoll_pool_next(from, &result, -1) < 0) atoll_exit(1);
    Task* task = tasks;
    while (task->task != result.task) task++;
    task->task = 0;
    if (result.reason == ATOLL_EXIT_NORMAL) return result.n == 8 ? *(const int64_t*)result.p : 0;
    crashed++;
    Range range = task->range;
    range.again++;
    submit(from, range);
  }
}

__attribute__((export_name("main"))) int32_t run(void) {
  const int64_t limit = argument();
  if (limit < 0) return 2;
  const int64_t pid = atoll_process_start("pool", 0, 0, 0);
  if (pid < 0 || atoll_server_ready(pid, -1) < 0) return 1;
  int64_t count = 0;
  int under_way = 0;
  for (int64_t from = 0; from < limit; from += 10000) {
    if (under_way == 4) {
      count += take(pid);
      under_way--;
    }
    const Range range = {from, from + 10000 < limit ? from + 10000 : limit, 0};
    submit(pid, range);
    under_way++;
  }
  for (; under_way > 0; under_way--) count += take(pid);
  print_number(count);
  print(" primes below ");
  print_number(limit);
  print(", ");
  print_number(crashed);
  print(" crashes\n");
  return atoll_server_stop(pid, -1) < 0;
}
