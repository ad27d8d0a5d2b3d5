// Processes of modules that guests load.
#include <string>

#include "tests/support/engine.hpp"
#include "tests/unit/machines.hpp"
#include "vm/runtime/module_object.hpp"

using namespace atollvm;
using namespace atollvm::test;

namespace {

constexpr const char* squarer = R"(
reserve cell 8 align 8
global calls: mut i64 = 0
export func child(x: i64) {
    var error: i32
    global.set calls, (i64.add (global.get calls), 1)
    i64.store [cell], (i64.mul (i64.mul x, x), (global.get calls))
    call process_send((call process_parent()), 1, cell, 8) -> error
    ret
}
data again_name = "child"
// Starts a process of its own module.
export func parent(x: i64) {
    var error: i32
    i64.store [cell], x
    call is(90, (i64.gt_s (call start(again_name, len(again_name), cell, 1, 0)), 0), 1)
    call is(91, (call receive(1, cell, 8, -1, 0)), 8)
    call process_send((call process_parent()), 1, cell, 8) -> error
    ret
}
)";

std::string bytes_of(const std::string& body) {
  return assembled(Engine(test::engine_options()), body).bytes();
}

// Exports `child`, which takes an i64 and does nothing.
std::string plain_wasm() {
  constexpr unsigned char bytes[] = {0,   'a',  's', 'm', 1, 0, 0,    0, 1, 5, 1, 0x60,
                                     1,   0x7e, 0,   3,   2, 1, 0,    7, 9, 1, 5, 'c',
                                     'h', 'i',  'l', 'd', 0, 0, 0x0a, 4, 1, 2, 0, 0x0b};
  return {std::begin(bytes), std::end(bytes)};
}

// As plain_wasm, with a byte of data that lies behind its memory of one page.
std::string overlong_wasm() {
  constexpr unsigned char bytes[] = {
      0, 'a', 's', 'm', 1,    0,    0, 0, 1, 5,    1,    0x60, 1,   0x7e, 0,   3,  2, 1,
      0, 5,   3,   1,   0,    1,    7, 9, 1, 5,    'c',  'h',  'i', 'l',  'd', 0,  0, 0x0a,
      4, 1,   2,   0,   0x0b, 0x0b, 9, 1, 0, 0x41, 0x80, 0x80, 4,   0x0b, 1,   'x'};
  return {std::begin(bytes), std::end(bytes)};
}

std::string common() {
  return data_of("square", bytes_of(squarer)) + R"(
data child_name = "child"
data parent_name = "parent"
data other_name = "other"
data main_name = "main"
reserve how sizeof(SpawnOptions) align 8
reserve argument 8 align 8
reserve inbox 64 align 8
reserve info sizeof(MessageInfo) align 8
reserve words 256 align 8
func load_square() -> i32 { ret (call module_load(square, square_size, words, 256)) }
func begin_as(module_handle: i32, p: i32, n: i32, x: i64, flags: i32) -> i64 {
    i64.store [argument], x
    i32.store [how + SpawnOptions.flags], (i32.or flags, SPAWN_MODULE)
    i32.store [how + SpawnOptions.module], module_handle
    ret (call spawn((call module_entry(module_handle, p, n)), argument, 1, how))
}
func begin(module_handle: i32, x: i64, flags: i32) -> i64 {
    tail begin_as(module_handle, child_name, len(child_name), x, flags)
}
)";
}

}  // namespace

TEST_CASE("processes: of modules that a guest loads") {
  check_guest(common() + data_of("plain", plain_wasm()) + R"(
export func other(x: i64) {
    // A module's handle that came by a message is as good.
    call is(40, (call receive(2, inbox, 0, -1, info)), 0)
    var pid: i64
    call begin((i32.load [info + MessageInfo.handle0]), x, 0) -> pid
    call is(41, (call receive(1, inbox, 8, -1, 0)), 8)
    call is64(42, (i64.load [inbox]), (i64.mul x, x))
    ret
}
export func main() -> i32 {
    var module_handle: i32, again: i32, pid: i64
    call load_square() -> module_handle
    if i32.lt_s module_handle, 0 { ret 1 }
    call is(2, (call handle_rights(module_handle)), RIGHT_READ)
    // Each has globals and memory of its own.
    for i: i32 in 1 .. 50 {
        call begin(module_handle, (i64.extend_i32_s i), 0) -> pid
        call is(3, (call receive(1, inbox, 8, -1, info)), 8)
        call is64(4, (i64.load [info + MessageInfo.sender]), pid)
        call is64(5, (i64.load [inbox]), (i64.extend_i32_s (i32.mul i, i)))
    }
    call load_square() -> again
    call is(6, (call close(module_handle)), 0)
    call begin(again, 9, SPAWN_MONITOR) -> pid
    call is(7, (call receive(1, inbox, 8, -1, 0)), 8)
    call is_end(8, TAG_DOWN, pid, EXIT_NORMAL, 0)
    // One that starts others of its module, whose handle is gone meanwhile.
    call begin_as(again, parent_name, len(parent_name), 8, SPAWN_MONITOR) -> pid
    i64.store [argument], 5
    call start(other_name, len(other_name), argument, 1, 0) -> pid
    i32.store [inbox], again
    call is(9, (call process_send_handles(pid, 2, inbox, 0, inbox, 1)), 0)
    call is(10, (call module_entry(again, child_name, len(child_name))), -E_BADF)
    call is(11, (call receive(1, inbox, 8, -1, 0)), 8)
    call is64(12, (i64.load [inbox]), 64)
    call is(13, (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), -1, 0)), sizeof(ExitInfo))
    call is(14, (i32.load [exit_info + ExitInfo.reason]), EXIT_NORMAL)
    call process_monitor(pid) -> pid
    call is(15, (call receive(TAG_DOWN, exit_info, sizeof(ExitInfo), -1, 0)), sizeof(ExitInfo))
    if i32.ne (i32.load [exit_info + ExitInfo.reason]), EXIT_NORMAL and
        i32.ne (i32.load [exit_info + ExitInfo.reason]), EXIT_NOPROC { ret 16 }
    call module_load(plain, plain_size, 0, 0) -> module_handle
    call begin(module_handle, 9, SPAWN_MONITOR) -> pid
    call is_end(17, TAG_DOWN, pid, EXIT_NORMAL, 0)
    ret 0
}
)");
}

TEST_CASE("processes: what is no module, or can't be started, is an error with words") {
  std::string cut = bytes_of(squarer);
  cut.resize(cut.size() / 2);
  std::string changed = bytes_of(squarer);
  changed[changed.size() / 2] = static_cast<char>(~changed[changed.size() / 2]);
  const std::string foreign = bytes_of(
      "import func f() from \"elsewhere\" \"f\"\nexport func child(x: i64) { call f()\n ret }\n");
  const std::string crooked = bytes_of(
      "import func f(x: i64) -> i64 from \"atoll\" \"close\"\n"
      "export func child(x: i64) { call f(x) -> x\n ret }\n");
  std::string many;
  for (usize i = 0; i <= runtime::ModuleObject::max_imports; ++i) {
    const std::string number = std::to_string(i);
    many += "import func of" + number + "() from \"many\" \"f" + number + "\"\n";
  }
  many += "export func child(x: i64) {\n";
  for (usize i = 0; i <= runtime::ModuleObject::max_imports; ++i) {
    many += "call of" + std::to_string(i) + "()\n";
  }
  many += "ret }\n";
  check_guest(common() + data_of("cut", cut) + data_of("foreign", foreign) +
              data_of("crooked", crooked) + data_of("many", bytes_of(many)) +
              data_of("broken", changed) + data_of("overlong", overlong_wasm()) + R"(
memory 65536 .. 1 << 26
func refused(check: i32, p: i32, n: i32) {
    i64.store [words], 0
    call is(check, (call module_load(p, n, words, 256)), -E_NOEXEC)
    // A letter, and a zero somewhere behind it.
    if i32.lt_u (i32.load8_u [words]), 32 { call exit(check) }
    for i: i32 in 1 .. 256 { if i32.eqz (i32.load8_u [words + i]) { ret } }
    call exit(check)
    ret
}
export func main() -> i32 {
    var module_handle: i32, weak: i32, ignored: i32
    call refused(1, main_name, len(main_name))
    call refused(2, 0, 0)
    call refused(3, cut, cut_size)
    call refused(4, foreign, foreign_size)
    call refused(5, crooked, crooked_size)
    call refused(6, square, square_size + 1)
    call refused(7, many, many_size)
    // Harmless, whatever was changed.
    call module_load(broken, broken_size, words, 256) -> ignored
    // The words are cut to the room.
    i64.store [words], -1
    call is(8, (call module_load(cut, cut_size, words, 3)), -E_NOEXEC)
    call is(9, (i32.load8_u [words + 3]), 255)
    call is(10, (i32.eqz (i32.load8_u [words + 2])), 0)
    call is(11, (call module_load(cut, cut_size, 0, 0)), -E_NOEXEC)
    // Addresses and sizes.
    call is(12, (call module_load(-8, 16, words, 256)), -E_FAULT)
    call is(13, (call module_load(square, square_size, -8, 16)), -E_FAULT)
    call is(14, (call module_load(square, -1, words, 256)), -E_FAULT)
    memory.grow ignored, 300 << 16
    memory.size ignored
    call is(15, (call module_load(0, (16 << 20) + 1, words, 256)), -E_FBIG)
    call is(16, (call module_load(0, 16 << 20, words, 256)), -E_NOEXEC)
    // Handles and rights.
    call load_square() -> module_handle
    call is(20, (call module_entry(ROOT, child_name, len(child_name))), -E_BADF)
    call is(21, (call module_entry(99, child_name, len(child_name))), -E_BADF)
    call is(22, (call module_entry(module_handle, main_name, 4)), -E_NOENT)
    call is(23, (call module_entry(module_handle, -4, 8)), -E_FAULT)
    call is(24, (call read(module_handle, words, 8)), -E_BADF)
    call handle_attenuate(module_handle, 0) -> weak
    call is(25, (call module_entry(weak, child_name, len(child_name))), -E_NOTCAPABLE)
    i32.store [how + SpawnOptions.module], weak
    i32.store [how + SpawnOptions.flags], SPAWN_MODULE
    call is64(26, (call spawn(1, argument, 1, how)), -E_NOTCAPABLE)
    i32.store [how + SpawnOptions.module], STDIN
    call is64(27, (call spawn(1, argument, 1, how)), -E_BADF)
    i32.store [how + SpawnOptions.module], module_handle
    // A function that it imports, or has not; and no arguments.
    call is64(28, (call spawn(0, argument, 1, how)), -E_INVAL)
    call is64(29, (call spawn(1000, argument, 1, how)), -E_INVAL)
    call is64(30, (call spawn((call module_entry(module_handle, child_name, len(child_name))), argument, 0, how)), -E_INVAL)
    // Options that end with the memory: the module's handle would be behind it.
    memory.size weak
    i32.sub weak, weak, 88
    i32.store [weak + SpawnOptions.flags], SPAWN_MODULE
    call is64(31, (call spawn(1, argument, 1, weak)), -E_FAULT)
    // Data that do not fit into its memory.
    call module_load(overlong, overlong_size, words, 256) -> module_handle
    call is64(32, (call begin(module_handle, 1, 0)), -E_INVAL)
    ret 0
}
)");
}

TEST_CASE("processes: a module is charged to its machine once, while it is held or runs") {
  const std::string body = common() + R"(
export func other(x: i64) {
    var module_handle: i32
    loop {
        call load_square() -> module_handle
        call close(module_handle) -> module_handle
    }
}
export func waiting(x: i64) { call is(60, (call receive(99, 0, 0, -1, 0)), 0); ret }
export func main() -> i32 {
    var first: i32, second: i32, none: i64, one: i64, pid: i64
    call used_memory() -> none
    call is(1, (call module_load(square, square_size - 1, words, 256)), -E_NOEXEC)
    // What making it took in between has been given back.
    call is64(2, (call used_memory()), none)
    call load_square() -> first
    call used_memory() -> one
    if i64.le_s (i64.sub one, none), square_size { ret 3 }
    if i64.gt_s (i64.sub one, none), 32 * square_size { ret 4 }
    // Many processes of it are charged for themselves alone.
    for i: i32 in 0 .. 20 {
        call begin(first, 3, 0) -> pid
        call is(5, (call receive(1, inbox, 8, -1, 0)), 8)
    }
    while i64.ne (call used_memory()), one { call nap(1) }
    call begin(first, 3, 0) -> pid
    call is(6, (call close(first)), 0)
    call is(8, (call receive(1, inbox, 8, -1, 0)), 8)
    while i64.ne (call used_memory()), none { call nap(1) }
    // Some that are killed while they load.
    for i: i32 in 0 .. 20 {
        call start(other_name, len(other_name), argument, 1, 0) -> pid
        call nap(1)
        call is(7, (call process_kill(pid)), 0)
    }
    while i64.ne (call used_memory()), none { call nap(1) }
    ret 0
}
)";
  for (const unsigned workers : {1u, 4u}) {
    MachineGuest guest(body, limited({}), workers);
    guest.check();
  }
}

TEST_CASE("processes: a module that its machine has no memory or handle for is not loaded") {
  const auto load = [](const cap::AccountLimits& limits, u32 handles) {
    MachineGuest guest(
        common() + "export func main() -> i32 { ret (i32.sub 0, (call load_square())) }",
        limited(limits));
    guest.spawn.limits.handles = handles;
    guest.run();
    return guest.code();
  };
  CHECK(load({.memory = 20'000}, 8) == static_cast<u32>(cap::Errno::nomem));
  CHECK(load({}, 4) == static_cast<u32>(cap::Errno::mfile));
  CHECK(load({.handles = 4}, 8) == static_cast<u32>(cap::Errno::nfile));
}

// Tables, globals and memories of a module are its processes', and count against their limits.
TEST_CASE("processes: what a loaded module begins with must fit its process and machine") {
  const std::string large = bytes_of(R"(
memory 1 << 24
data far = "x"
export func child(x: i64) { ret }
)");
  std::string globals = "export func child(x: i64) {\n";
  std::string items;
  for (int i = 0; i < 1000; ++i) {
    items += "global g" + std::to_string(i) + ": mut i64 = 1\n";
    globals += "global.set g" + std::to_string(i) + ", x\n";
  }
  MachineGuest guest(common() + data_of("large", large) +
                         data_of("globals", bytes_of(items + globals + "ret }\n")) + R"(
export func main() -> i32 {
    var module_handle: i32, before: i64, pid: i64
    call module_load(large, large_size, words, 256) -> module_handle
    call is64(1, (call begin(module_handle, 1, 0)), -E_NOMEM)
    i64.store [how + SpawnOptions.memory], 1 << 20
    call is64(2, (call begin(module_handle, 1, 0)), -E_NOMEM)
    i64.store [how + SpawnOptions.memory], 0
    // 1000 globals of 16 bytes.
    call module_load(globals, globals_size, words, 256) -> module_handle
    call used_memory() -> before
    call begin(module_handle, 1, 0) -> pid
    i64.sub before, (call used_memory()), before
    if i64.lt_s pid, 0 or i64.lt_s before, 16_000 { ret 3 }
    ret 0
}
)",
                     limited({.memory = 8 << 20}));
  guest.check();
}
