// Machine files: what they say, and exact messages for what is wrong.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "scheduler/machine/spec.hpp"

namespace {

using namespace atollvm;
using machine::MachineFile;
using machine::MachineSpec;

base::Result<MachineFile> read(const std::string& text) {
  return machine::read_machine_file("m.toml", text, "/srv");
}

MachineSpec from_json(const std::string& text) {
  const auto document = machine::Document::json(text, 1 << 20);
  REQUIRE(document.ok());
  machine::Reader reader(*document);
  MachineSpec spec = machine::read_machine(reader, document->root(), "");
  if (!reader.ok()) FAIL(reader.error()->text());
  return spec;
}

std::string json_mistake(const std::string& text) {
  const auto document = machine::Document::json(text, 1 << 20);
  if (!document.ok()) return document.error().text();
  machine::Reader reader(*document);
  machine::read_machine(reader, document->root(), "");
  return reader.ok() ? "" : reader.error()->text();
}

const char* const whole = R"(# Two tenants.
policy = "priority"
workers = 3

[[machine]]
name = "web-1"
module = "web/server.atb"
arguments = ["--port", "80", "two\nlines", ""]
environment = { "a b" = "", HOME = "/" }
net = "listen:*:80,dns"
listeners = ["127.0.0.1:80", "[::1]:0"]
names = ["web", "front"]
stdin = "/dev/null"
stdout = "out.txt"
stderr = "err.txt"
log = "logs/web.log"
weight = 250
restart = { when = "on-failure", intensity = 5, within = "1m", backoff = "50ms", max_backoff = "2.5s" }

[[machine.directories]]
host = "web/files"
guest = "/"
[[machine.mounts]]
type = "memory"
guest = "/tmp"
size = "16 MiB"
inodes = 100
[[machine.mounts]]
type = "overlay"
source = "web/src"
upper = "changes"
guest = "/src"
access = "ro"
hidden = true
nomodules = true
[[machine.mounts]]
type = "dir"
source = "kept"
guest = "/kept"
append = true
nodelete = true
[[machine.directories]]
host = "/var/data"
guest = "/data"
access = "rw"

[machine.limits]
memory = "256 MiB"
fuel = 1000000000
cpu_time = "1h"
processes = 10
handles = 20
io_bytes = "1 TiB"
io_operations = 5
io_bytes_rate = "10 MiB/s"
io_operations_rate = 50

[machine.process]
memory = 65536
stack = "64k"
table_elements = 0
fuel = 7
cpu_time = "1.5 ms"
handles = 4
mailbox_messages = 8
mailbox_bytes = "1M"
io_bytes = "2G"
io_operations = 6
io_bytes_rate = 4096
io_operations_rate = 60
overflow = "oldest"

[[machine]]
name = "b"
module = "/opt/b.wasm"
restart = "always"
)";

TEST_CASE("a machine file with everything") {
  const auto file = read(whole);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().text()));
  CHECK(file->policy == "priority");
  CHECK(file->workers == 3);
  REQUIRE(file->machines.size() == 2);
  const MachineSpec& web = file->machines[0];
  CHECK(web.name == "web-1");
  CHECK(web.module == "/srv/web/server.atb");
  CHECK(web.arguments == std::vector<std::string>{"--port", "80", "two\nlines", ""});
  REQUIRE(web.environment.size() == 2);
  CHECK(web.environment[0] == std::pair<std::string, std::string>("HOME", "/"));
  CHECK(web.environment[1] == std::pair<std::string, std::string>("a b", ""));
  CHECK(web.network == "listen:*:80,dns");
  CHECK(web.listeners == std::vector<std::string>{"127.0.0.1:80", "[::1]:0"});
  REQUIRE(web.directories.size() == 2);
  CHECK(web.directories[0].host == "/srv/web/files");
  CHECK(web.directories[0].guest == "/");
  CHECK(!web.directories[0].writable);
  CHECK(web.directories[1].host == "/var/data");
  CHECK(web.directories[1].writable);
  REQUIRE(web.mounts.size() == 3);
  CHECK(web.mounts[0].type == "memory");
  CHECK(web.mounts[0].source.empty());
  CHECK(web.mounts[0].guest == "/tmp");
  CHECK(web.mounts[0].writable);
  CHECK(web.mounts[0].bytes == u64{16} << 20);
  CHECK(web.mounts[0].inodes == 100);
  CHECK(web.mounts[1].type == "overlay");
  CHECK(web.mounts[1].source == "/srv/web/src");
  CHECK(web.mounts[1].upper == "/srv/changes");
  CHECK(!web.mounts[1].writable);
  CHECK(!web.mounts[1].bytes);
  CHECK(web.mounts[1].hidden);
  CHECK(web.mounts[1].no_modules);
  CHECK(!web.mounts[1].append_only);
  CHECK(!web.mounts[1].no_delete);
  CHECK(web.mounts[2].append_only);
  CHECK(web.mounts[2].no_delete);
  CHECK(!web.mounts[2].hidden);
  CHECK(web.names == std::vector<std::string>{"web", "front"});
  CHECK(web.input == "/dev/null");
  CHECK(web.output == "/srv/out.txt");
  CHECK(web.error == "/srv/err.txt");
  CHECK(web.log == "/srv/logs/web.log");
  CHECK(web.weight == 250);
  CHECK(web.limits.memory == u64{256} << 20);
  CHECK(web.limits.fuel == 1'000'000'000);
  CHECK(web.limits.cpu_time == 3'600'000'000'000);
  CHECK(web.limits.processes == 10);
  CHECK(web.limits.handles == 20);
  CHECK(web.limits.io_bytes == u64{1} << 40);
  CHECK(web.limits.io_operations == 5);
  CHECK(web.limits.io_bytes_rate == u64{10} << 20);
  CHECK(web.limits.io_operations_rate == 50);
  CHECK(web.process.memory == 65536);
  CHECK(web.process.stack == 65536);
  CHECK(web.process.table_elements == 0);
  CHECK(web.process.fuel == 7);
  CHECK(web.process.cpu_time == 1'500'000);
  CHECK(web.process.handles == 4);
  CHECK(web.process.mailbox_messages == 8);
  CHECK(web.process.mailbox_bytes == 1 << 20);
  CHECK(web.process.io_bytes == u64{2} << 30);
  CHECK(web.process.io_operations == 6);
  CHECK(web.process.io_bytes_rate == 4096);
  CHECK(web.process.io_operations_rate == 60);
  CHECK(web.process.overflow == sched::Overflow::oldest);
  CHECK(web.restart.when == machine::RestartRule::When::on_failure);
  CHECK(web.restart.intensity == 5);
  CHECK(web.restart.within == 60'000'000'000);
  CHECK(web.restart.backoff == 50'000'000);
  CHECK(web.restart.max_backoff == 2'500'000'000);
}

TEST_CASE("what a machine file leaves out") {
  const auto file = read("[[machine]]\nname = \"a\"\nmodule = \"a.atb\"\n");
  REQUIRE(file.ok());
  CHECK(file->policy == "fair");
  CHECK(file->workers == 0);
  const MachineSpec& spec = file->machines.at(0);
  CHECK(spec.arguments.empty());
  CHECK(spec.input.empty());
  CHECK(spec.weight == 100);
  CHECK(spec.limits.memory == u64{4} << 30);
  CHECK(spec.limits.cpu_time == machine::unlimited);
  CHECK(spec.process.stack == 1 << 20);
  CHECK(spec.process.mailbox_messages == 100'000);
  CHECK(spec.process.overflow == sched::Overflow::refuse);
  CHECK(spec.restart.when == machine::RestartRule::When::never);
  // A pause longer than the usual greatest one raises that.
  const auto slow = read(
      "[[machine]]\nname = \"a\"\nmodule = \"a\"\nrestart = { when = \"always\", backoff = \"1m\" "
      "}");
  REQUIRE(slow.ok());
  CHECK(slow->machines[0].restart.max_backoff == 60'000'000'000);
}

TEST_CASE("a machine file's grants for an image") {
  const std::string start = "[[machine]]\nname = \"a\"\nmodule = \"a.atp\"\n";
  const auto file = read(start + R"(verify = "key.pub"
grants = [{ guest = "/out", source = "out" }, { guest = "/in", source = "/srv/in", access = "ro" },
          { guest = "/tmp" }]
)");
  REQUIRE_MESSAGE(file.ok(), file.error().text());
  const MachineSpec& spec = file->machines.at(0);
  CHECK(spec.verify == "/srv/key.pub");
  REQUIRE(spec.grants.size() == 3);
  CHECK(spec.grants[0].guest == "/out");
  CHECK(spec.grants[0].source == "/srv/out");
  CHECK(spec.grants[0].writable);
  CHECK(spec.grants[1].source == "/srv/in");
  CHECK_FALSE(spec.grants[1].writable);
  CHECK(spec.grants[2].source.empty());
  const MachineSpec again = from_json(to_json(spec).dump());
  CHECK(to_json(again) == to_json(spec));
  CHECK(again.verify == spec.verify);
  REQUIRE(again.grants.size() == 3);
  CHECK_FALSE(again.grants[1].writable);
  const auto mistake = [&](const char* text) {
    const auto wrong = read(start + text);
    return wrong.ok() ? "" : wrong.error().message;
  };
  CHECK(mistake("grants = [{ source = \"/a\" }]") ==
        "a grant needs `guest`: the path that the image asks for");
  CHECK(mistake("grants = [{ guest = \"/a\" }, { guest = \"/a\" }]") ==
        "this guest path has a grant already");
  CHECK(mistake("grants = [{ guest = \"/a\", type = \"dir\" }]")
            .starts_with("a grant has no `type`"));
  CHECK(!mistake("grants = { guest = \"/a\" }").empty());
}

TEST_CASE("paths are relative to the file's folder") {
  const std::string text = "[[machine]]\nname = \"a\"\nmodule = \"../a.atb\"\n";
  const auto in = [&](const char* folder) {
    const auto file = machine::read_machine_file("m.toml", text, folder);
    return file.ok() ? file->machines[0].module : file.error().text();
  };
  CHECK(in("/srv") == "/srv/../a.atb");
  CHECK(in("/") == "/../a.atb");
  CHECK(in("x/y") == "x/y/../a.atb");
  CHECK(in("") == "m.toml:3:10: `module` must be an absolute path");
}

TEST_CASE("a machine as JSON comes back as the same") {
  const auto file = read(whole);
  REQUIRE(file.ok());
  for (const MachineSpec& spec : file->machines) {
    const std::string text = to_json(spec).dump();
    CHECK(to_json(from_json(text)).dump() == text);
  }
  CHECK(to_json(file->machines[1]).dump() ==
        R"({"name":"b","module":"/opt/b.wasm","arguments":[],"environment":{},"directories":[],)"
        R"("mounts":[],"names":[],"weight":100,"limits":{"memory":4294967296,"processes":100000,)"
        R"("handles":1000000},"process":{"memory":4294967296,"stack":1048576,)"
        R"("table_elements":10000000,"handles":1024,"mailbox_messages":100000,)"
        R"("mailbox_bytes":67108864,"overflow":"refuse"},"restart":{"when":"always",)"
        R"("intensity":3,"within":"5s","backoff":"100ms","max_backoff":"10s"}})");
}

TEST_CASE("mistakes in machine files have a place and say what to write") {
  struct Row {
    const char* text;
    const char* message;
  };
  // After `[[machine]]`, a name and a module in the lines 1 to 3.
  const Row inside[] = {
      {"modul = \"x\"", "4:1: a machine has no `modul`; did you mean `module`?"},
      {"zzz = 1",
       "4:1: a machine has no `zzz`; it may have name, module, grants, verify, arguments, "
       "environment, "
       "directories, mounts, net, listeners, nics, routes, names, stdin, stdout, stderr, log, "
       "weight, limits, "
       "process, "
       "restart"},
      {"arguments = \"x\"",
       "4:13: `arguments` must be a list of texts, for example [\"a\", \"b\"]"},
      {"arguments = [\"x\", 80]",
       "4:19: each in `arguments` must be a text in quotes, without a NUL"},
      {"arguments = [\"\\u0000\"]",
       "4:14: each in `arguments` must be a text in quotes, without a NUL"},
      {"environment = [\"A=B\"]",
       "4:15: `environment` must be a table, for example { HOME = \"/\" }"},
      {"environment = { A = 1 }", "4:21: the variable `A` must be a text in quotes, without a NUL"},
      {"environment = { \"A=B\" = \"\" }", "4:17: a variable can't be called `A=B`"},
      {"environment = { \"\" = \"\" }", "4:17: a variable can't be called ``"},
      {"names = [\"\"]", "4:10: a name must have 1 to 255 bytes"},
      {"names = [\"a\", \"a\"]", "4:15: this name is there already"},
      {"stdin = \"\"", "4:9: `stdin` must be a text of 1 to 4095 bytes"},
      {"log = \"a\\nb\"", "4:7: `log` must be a text of 1 to 4095 bytes"},
      {"weight = 0", "4:10: `weight` must be an integer from 1 to 1000000"},
      {"directories = \"x\"",
       "4:15: `directories` must be a list of tables: write it as [[directories]]"},
      {"directories = [\"x\"]",
       "4:16: each in `directories` must be a table: write it as [[directories]]"},
      {"directories = [{ host = \"x\" }]",
       "4:16: a directory needs `guest`: the path by which the guest names it"},
      {"directories = [{ guest = \"x\" }]", "4:16: a directory needs `host`: its path there"},
      {"directories = [{ host = \"x\", guest = \"/\", mode = \"rw\" }]",
       "4:43: a directory has no `mode`; it may have host, guest, access"},
      {"directories = [{ host = \"x\", guest = \"/\", access = \"w\" }]",
       "4:52: `access` must be \"ro\" or \"rw\""},
      {"directories = [{ host = \"x\", guest = \"/\" }, { host = \"y\", guest = \"/\" }]",
       "4:67: another directory has this guest path"},
      {"mounts = [{ guest = \"/\" }]",
       "4:11: a mount needs `type`: \"dir\", \"memory\", \"overlay\", \"archive\", \"image\", "
       "\"volume\", \"dev\" or \"proc\""},
      {"mounts = [{ type = \"tape\", guest = \"/\" }]",
       "4:20: `type` must be \"dir\", \"memory\", \"overlay\", \"archive\", \"image\", "
       "\"volume\", \"dev\" or \"proc\""},
      {"mounts = [{ type = \"memory\" }]",
       "4:11: a mount needs `guest`: the path by which the guest names it"},
      {"mounts = [{ type = \"dir\", guest = \"/\" }]",
       "4:11: a mount of the type dir needs `source`: a directory of the host"},
      {"mounts = [{ type = \"memory\", guest = \"/\", source = \"x\" }]",
       "4:52: a mount of the type memory has no `source`"},
      {"mounts = [{ type = \"dir\", guest = \"/\", source = \"x\", size = 5 }]",
       "4:61: a mount of the type dir has no `size`"},
      {"mounts = [{ type = \"dev\", guest = \"/dev\", source = \"x\" }]",
       "4:52: a mount of the type dev has no `source`"},
      {"mounts = [{ type = \"proc\", guest = \"/proc\", size = 5 }]",
       "4:52: a mount of the type proc has no `size`"},
      {"mounts = [{ type = \"proc\", guest = \"/proc\", access = \"rw\" }]",
       "4:54: a mount of the type proc can only be read"},
      {"mounts = [{ type = \"memory\", guest = \"/\", mode = 1 }]",
       "4:43: a mount has no `mode`; it may have type, source, guest, access, size, inodes, upper, "
       "append, nodelete, nomodules, hidden"},
      {"mounts = [{ type = \"memory\", guest = \"/\" }]\ndirectories = [{ host = \"x\", guest = "
       "\"/\" }]",
       "4:38: another mount or directory has this guest path"},
      {"limits = 5",
       "4:10: `limits` must be a table with the keys memory, fuel, cpu_time, processes, handles, "
       "io_bytes, io_operations, io_bytes_rate, io_operations_rate"},
      {"limits.stack = \"1 MiB\"",
       "4:8: `limits` has no `stack`; it may have memory, fuel, cpu_time, processes, handles, "
       "io_bytes, io_operations, io_bytes_rate, io_operations_rate"},
      {"limits.memroy = \"1 MiB\"", "4:8: `limits` has no `memroy`; did you mean `memory`?"},
      {"limits.memory = \"64 MB\"",
       "4:17: `memory` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, TiB), "
       "from 1 to 70368744177664 bytes"},
      {"limits.memory = -1",
       "4:17: `memory` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, TiB), "
       "from 1 to 70368744177664 bytes"},
      {"limits.memory = 1.5",
       "4:17: `memory` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, TiB), "
       "from 1 to 70368744177664 bytes"},
      {"limits.memory = \"99999999999999999 TiB\"",
       "4:17: `memory` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, TiB), "
       "from 1 to 70368744177664 bytes"},
      {"limits.cpu_time = 5",
       "4:19: `cpu_time` must be a time such as \"1.5ms\" (ns, us, ms, s, m, h), from 0 to "
       "1000000s"},
      {"limits.cpu_time = \"0s\"", "4:19: `cpu_time` must be at least 1ns"},
      {"limits.io_bytes_rate = 0",
       "4:24: `io_bytes_rate` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, "
       "TiB), from 1 to 70368744177664 bytes"},
      {"limits.io_bytes = \"1k/s\"",
       "4:19: `io_bytes` must be a size: bytes, or a text such as \"64 MiB\" (KiB, MiB, GiB, TiB), "
       "from 0 to 4611686018427387904 bytes"},
      {"process.io_operations_rate = 0",
       "4:30: `io_operations_rate` must be an integer from 1 to 70368744177664"},
      {"limits.processes = 0", "4:20: `processes` must be an integer from 1 to 4294967295"},
      {"process.overflow = \"drop\"",
       "4:20: `overflow` must be \"refuse\", \"newest\", \"oldest\", \"kill\" or \"wait\""},
      {"process.processes = 1",
       "4:9: `process` has no `processes`; it may have memory, stack, table_elements, fuel, "
       "cpu_time, handles, mailbox_messages, mailbox_bytes, io_bytes, io_operations, "
       "io_bytes_rate, io_operations_rate, overflow"},
      {"restart = \"sometimes\"",
       "4:11: `restart` must be \"never\", \"on-failure\" or \"always\""},
      {"restart = {}", "4:11: `restart` needs `when`: \"never\", \"on-failure\" or \"always\""},
      {"restart = { when = \"always\", intensity = -1 }",
       "4:42: `intensity` must be an integer from 0 to 1000000"},
      {"restart = { when = \"always\", max_backoff = \"1ms\" }",
       "4:44: `max_backoff` must be at least 100ms"},
      {"restart = { when = \"always\", in = \"1ms\" }",
       "4:30: `restart` has no `in`; it may have when, intensity, within, backoff, max_backoff"},
  };
  for (const Row& row : inside) {
    const auto file =
        read("[[machine]]\nname = \"a\"\nmodule = \"a.atb\"\n" + std::string(row.text) + "\n");
    CHECK((file.ok() ? row.text : file.error().text()) == std::string("m.toml:") + row.message);
  }
  const Row files[] = {
      {"", "m.toml:1:1: there is no [[machine]]"},
      {"workers = 0", "m.toml:1:11: `workers` must be an integer from 1 to 256"},
      {"policy = \"fare\"",
       "m.toml:1:10: there is no policy `fare`; there are fair, rr, fcfs, sjf, priority"},
      {"machines = []", "m.toml:1:1: a machine file has no `machines`; did you mean `machine`?"},
      {"[machine]\nname = \"a\"",
       "m.toml:1:1: `machine` must be a list of tables: write it as [[machine]]"},
      {"[[machine]]", "m.toml:1:1: a machine needs a `name`"},
      {"[[machine]]\nname = \"a\"",
       "m.toml:1:1: a machine needs a `module`: the path of what its root process runs"},
      {"[[machine]]\nname = \"../a\"",
       "m.toml:2:8: `name` must be 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or "
       "digit"},
      {"[[machine]]\nname = \"a\"\nmodule = \"m\"\n[[machine]]\nmodule = \"m\"\nname = \"a\"",
       "m.toml:6:8: the machine in line 2 is called `a` too"},
      {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1", "m.toml:1:32: a key of more than 16 parts"},
      {"x = '''\n'\\'''\n# ''' a.b\n[a.\"b.c\".d.e.f.g.h.i.j.k.l.m.n.o.p.q.r]",
       "m.toml:4:37: a key of more than 16 parts"},
  };
  for (const Row& row : files) {
    const auto file = read(row.text);
    CHECK((file.ok() ? row.text : file.error().text()) == row.message);
  }
  // The parser's own words after the place.
  for (const char* text : {"[[machine", "a = ", "\"", "a = 1\na = 2", "a = [[[[[[[[", "\xff = 1"}) {
    const auto file = read(text);
    REQUIRE(!file.ok());
    CHECK(file.error().code == base::ErrorCode::malformed);
    CHECK(file.error().place.starts_with("m.toml:"));
  }
  // Dots that are no keys.
  CHECK(
      read("[[machine]]\nname = \"a\" # a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\n"
           "module = \"\\\"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s\"\n"
           "arguments = ['a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\\', '''\n'a.b.c.d.e.f.g.h.i.j.k.l.m.n."
           "o.p.q.r.s.t.''''', \"\"\"\"\\\"\"\"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q\"\"\"\"\"]\n")
          .ok());
}

TEST_CASE("the machine file of docs/machines.md") {
  std::ifstream page(ATOLL_SOURCE_DIR "/docs/machines.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  const usize begin = text.find("```toml\n") + 8;
  const auto file = read(text.substr(begin, text.find("```", begin) - begin));
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : file.error().text()));
  CHECK(file->machines.at(0).process.overflow == sched::Overflow::oldest);
  CHECK(file->machines.at(1).weight == 50);
}

TEST_CASE("limits of a machine file's text") {
  const auto large = read(std::string((1 << 20) + 1, ' '));
  REQUIRE(!large.ok());
  CHECK(large.error().text() == "m.toml: larger than 1024 KiB, which is the most");
  std::string text;
  for (int i = 0; i < 10'001; ++i) text += "[[machine]]\n";
  const auto many = read(text);
  REQUIRE(!many.ok());
  CHECK(many.error().text() == "m.toml:1:1: more than 10000 [[machine]]");
  text = "[[machine]]\nname = \"a\"\nmodule = \"m\"\n[machine.environment]\n";
  for (int i = 0; i < 4097; ++i) text += "V" + std::to_string(i) + " = \"\"\n";
  const auto variables = read(text);
  REQUIRE(!variables.ok());
  CHECK(variables.error().message == "more than 4096 variables");
}

TEST_CASE("mistakes in a machine as JSON have a path") {
  CHECK(json_mistake("[]") == "not a JSON object");
  CHECK(json_mistake("{") == "not a JSON object");
  CHECK(json_mistake(R"({"name": "a", "module": "/m", "limits": {"memory": "x"}})")
            .starts_with("limits.memory: `memory` must be a size"));
  CHECK(json_mistake(R"({"name": "a", "module": "/m", "directories": [{"host": "/a", "guest": "/"},
                         {"host": "b", "guest": "/b"}]})") ==
        "directories[1].host: `host` must be an absolute path");
  CHECK(json_mistake(R"({"name": "a", "module": null})") ==
        "module: `module` must be a text of 1 to 4095 bytes");
  CHECK(json_mistake(R"({"name": "a", "module": "/m", "weight": 18446744073709551615})") ==
        "weight: `weight` must be an integer from 1 to 1000000");
  CHECK(json_mistake("{\"name\": \"\xff\"}") == "not a JSON object");
  CHECK(json_mistake("{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}") ==
        "nested in more than 32 levels");
  CHECK(json_mistake(R"({"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""})")
            .starts_with("a: a machine has no `a`"));
}

TEST_CASE("times and sizes as texts") {
  for (const auto& [text, value] :
       std::initializer_list<std::pair<const char*, u64>>{{"0", 0},
                                                          {"1B", 1},
                                                          {"1 KiB", 1024},
                                                          {"3MiB", 3 << 20},
                                                          {"2 G", u64{2} << 30},
                                                          {"18446744073709551615", ~u64{0}},
                                                          {"16777215 TiB", u64{16777215} << 40}}) {
    CHECK(machine::parse_size(text) == value);
  }
  for (const char* text : {"", " 1", "1  KiB", "1 kb", "-1", "1.5 MiB", "16777216 TiB", "KiB",
                           "18446744073709551616", "1 MiB "}) {
    CHECK(!machine::parse_size(text));
  }
  for (const u64 value : {0ull, 1ull, 999ull, 1000ull, 1'500'000ull, 60'000'000'000ull,
                          3'600'000'000'000ull, 86'400'000'000'000ull}) {
    CHECK(machine::parse_time(machine::time_text(value)) == static_cast<double>(value));
  }
  for (const char* text : {"", "1", "s", "-1s", "nans", "infs", "1e300s", "1 s ", "1  s", "1sec"}) {
    CHECK(!machine::parse_time(text));
  }
}

}  // namespace
