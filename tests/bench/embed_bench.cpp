// What an embedding program pays, beside Lua: calls of empty functions both ways, and a new engine
// with a small script. Prints "NAME NANOSECONDS" lines; of CPU time;
// each the least of several rounds.
#include <time.h>
#include <atoll/module.hpp>
#include <atoll/process.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#if ATOLL_LUA
extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}
#endif

namespace {

constexpr int rounds = 7;

// Of this thread.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "embed_bench: %s\n", what);
  std::exit(1);
}

// The least time of one of `count` turns of `turn`.
template <class F>
void figure(const char* name, long count, F turn) {
  double least = 1e300;
  for (int i = 0; i < rounds; ++i) {
    const double begin = cpu_ns();
    turn(count);
    least = std::min(least, (cpu_ns() - begin) / static_cast<double>(count));
  }
  std::printf("%s %.2f\n", name, least);
}

constexpr const char* script = R"(
import func nothing() from "bench" "nothing"
import func add(a: i32, b: i32) -> i32 from "bench" "add"
export func empty() { ret }
export func sum(a: i32, b: i32) -> i32 { ret (i32.add a, b) }
export func count(n: i32) {
    for i: i32 in 0 .. n { }
    ret
}
export func call_nothing(n: i32) {
    for i: i32 in 0 .. n { call nothing() }
    ret
}
export func call_add(n: i32) -> i32 {
    var s: i32
    for i: i32 in 0 .. n { call add(s, i) -> s }
    ret s
}
)";

void atoll_figures() {
  using namespace atollvm;
  Imports imports;
  imports.define("bench", "nothing", [] {});
  imports.define("bench", "add", [](std::int32_t a, std::int32_t b) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
  });
  const Engine engine;
  auto module = Module::assemble(engine, {"bench.atoll", script}, no_source_files);
  check(module.ok(), module.ok() ? "" : module.error().text().c_str());
  ProcessOptions options;
  options.imports = imports;
  auto process = Process::create(engine, *module, options);
  check(process.ok(), "no process");
  const auto empty = process->function<void()>("empty");
  const auto sum = process->function<std::int32_t(std::int32_t, std::int32_t)>("sum");
  const auto loop = process->function<void(std::int32_t)>("count");
  const auto nothing = process->function<void(std::int32_t)>("call_nothing");
  const auto add = process->function<std::int32_t(std::int32_t)>("call_add");
  check(empty && sum && loop && nothing && add, "no function");
  figure("atoll.host_to_guest.empty", 2'000'000, [&](long n) {
    for (long i = 0; i < n; ++i) check((*empty)().ok(), "empty");
  });
  figure("atoll.host_to_guest.add", 2'000'000, [&](long n) {
    for (long i = 0; i < n; ++i) check(*(*sum)(static_cast<int>(i), 1) == i + 1, "sum");
  });
  figure("atoll.loop", 5'000'000,
         [&](long n) { check((*loop)(static_cast<int>(n)).ok(), "loop"); });
  figure("atoll.guest_to_host.empty", 5'000'000,
         [&](long n) { check((*nothing)(static_cast<int>(n)).ok(), "nothing"); });
  figure("atoll.guest_to_host.add", 5'000'000,
         [&](long n) { check((*add)(static_cast<int>(n)).ok(), "add"); });
  const std::string bytes = module->bytes();
  figure("atoll.start", 2'000, [&](long n) {
    for (long i = 0; i < n; ++i) {
      const Engine fresh;
      auto loaded = Module::load(fresh, bytes);
      check(loaded.ok(), "load");
      ProcessOptions with;
      with.imports = imports;
      auto made = Process::create(fresh, *loaded, with);
      check(made.ok(), "create");
      const auto first = made->function<std::int32_t(std::int32_t, std::int32_t)>("sum");
      check(first.ok() && *(*first)(1, 2) == 3, "first call");
    }
  });
  figure("atoll.process", 2'000, [&](long n) {
    for (long i = 0; i < n; ++i) check(Process::create(engine, *module, options).ok(), "create");
  });
}

#if ATOLL_LUA
constexpr const char* lua_script = R"(
function empty() end
function sum(a, b) return a + b end
function loop(n) for i = 1, n do end end
function call_nothing(n) local f = nothing for i = 1, n do f() end end
function call_add(n) local f, s = add, 0 for i = 1, n do s = f(s, i) end return s end
)";

int lua_nothing(lua_State*) { return 0; }
int lua_add(lua_State* state) {
  lua_pushinteger(state, lua_tointeger(state, 1) + lua_tointeger(state, 2));
  return 1;
}

lua_State* lua_start() {
  lua_State* state = luaL_newstate();
  luaL_openlibs(state);
  lua_register(state, "nothing", lua_nothing);
  lua_register(state, "add", lua_add);
  check(luaL_loadbuffer(state, lua_script, std::char_traits<char>::length(lua_script), "s") == 0 &&
            lua_pcall(state, 0, 0, 0) == 0,
        "lua");
  return state;
}

void lua_figures() {
  lua_State* state = lua_start();
  const auto run = [&](const char* name, long n) {
    lua_getglobal(state, name);
    lua_pushinteger(state, n);
    lua_call(state, 1, 0);
  };
  figure("lua.host_to_guest.empty", 2'000'000, [&](long n) {
    lua_getglobal(state, "empty");
    for (long i = 0; i < n; ++i) {
      lua_pushvalue(state, -1);
      lua_call(state, 0, 0);
    }
    lua_pop(state, 1);
  });
  figure("lua.host_to_guest.add", 2'000'000, [&](long n) {
    lua_getglobal(state, "sum");
    for (long i = 0; i < n; ++i) {
      lua_pushvalue(state, -1);
      lua_pushinteger(state, i);
      lua_pushinteger(state, 1);
      lua_call(state, 2, 1);
      check(lua_tointeger(state, -1) == i + 1, "lua sum");
      lua_pop(state, 1);
    }
    lua_pop(state, 1);
  });
  figure("lua.loop", 5'000'000, [&](long n) { run("loop", n); });
  figure("lua.guest_to_host.empty", 5'000'000, [&](long n) { run("call_nothing", n); });
  figure("lua.guest_to_host.add", 5'000'000, [&](long n) { run("call_add", n); });
  lua_close(state);
  figure("lua.start", 2'000, [&](long n) {
    for (long i = 0; i < n; ++i) {
      lua_State* fresh = lua_start();
      lua_getglobal(fresh, "sum");
      lua_pushinteger(fresh, 1);
      lua_pushinteger(fresh, 2);
      lua_call(fresh, 2, 1);
      check(lua_tointeger(fresh, -1) == 3, "lua first call");
      lua_close(fresh);
    }
  });
}
#endif

}  // namespace

int main() {
  atoll_figures();
#if ATOLL_LUA
  lua_figures();
#endif
}
