"""Processes beside Erlang's and Go's: spawning, switching, messages, memory, sleepers among hogs.

The programs are in processes/: assembly and C for Atoll, processes/peers for the others. Each
prints lines "NAME NANOSECONDS OPERATIONS". All have one core and one scheduler, but where two are
compared with one. Atoll has its interpreter alone; the times of its tier `auto` stand beside. With fewer than 5 rounds the sleepers sleep for 5 s in place of 30.
"""

import functools
import json
import os
import shutil
import subprocess
import time

import snapshots
from bench import BenchError, HERE, HIGHER, SCRATCH
from c_programs import CLANG, WASI_LIBC

SOURCES = HERE / "processes"
ATOLL = "atoll"  # with the interpreter
COMPILED = "atoll --tier auto"
# The most that Atoll's time may be of the peer's.
PEERS = {"erlang": 0.35, "go": 1}
# Figure: program, arguments, the line that it prints, the most nanoseconds that it may take.
TIMES = {
    "spawn and exit": ("spawn", [300], "spawn", 350),
    "switch, 1,000 ready": ("yield", [1000, 2000], "yield", 40),
    "ping-pong round trip": ("ping_pong", [8, 300_000], "ping_pong", 250),
    "ping-pong, 1 KiB": ("ping_pong", [1024, 300_000], "ping_pong", None),
    "ring of 1,000, a hop": ("ring", [1000, 500], "ring", 120),
    "ring of 100,000, a hop": ("ring", [100_000, 5], "ring", 300),
    "fan-in of 1,000, a message": ("fan_in", [1000, 1000], "fan_in", None),
}
MORE_FOR_1_KIB = 400
FAN_IN_MILLION_A_SECOND = 8
WAITING = 1_000_000
WAITING_BYTES = 1024
CREATED_MILLION_A_SECOND = 1
WAITING_WASM = 100_000
# Guest in C: flags of the linker, the most resident bytes each.
WASM = {
    "waiters_page": (["-nostdlib", "-Wl,--no-entry", "-Wl,-z,stack-size=1024",
                      "-Wl,--initial-memory=65536"], 6 << 10),
    "waiters_libc": ([], 16 << 10),
}
WASM_FLAGS = ["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-mbulk-memory", "-msign-ext",
              f"-L{WASI_LIBC}", "-isystem", str(HERE.parent.parent / "stdlib" / "guest" / "c")]
PAIRS = [100, 10_000]
TWO_WORKERS = 1.7
# In the order of Hog in sleepers.atoll.
HOGS = ["tight loops", "deep recursion", "1 GiB copies", "giant tables", "message floods",
        "endless spawning"]
SLEEPERS, HOG_COUNT = 1000, 4
LATENESS_MS = {"p50": 0.3, "p99.9": 2}
SHARES = {"one": 100, "two": 200, "five": 500}  # machines and their weights
BIG_HOGS, BIG_HOGS_BYTES = "1 GiB copies", 6 << 30  # what four of them need, and some more


def runners(bench):
    """Who runs the programs: a function of program, arguments, and how many cores and schedulers,
    that gives the command. Those that this machine lacks are missing."""
    cores = [str(core) for core in sorted(os.sched_getaffinity(0), reverse=True)]
    modules = {path.stem: bench.assemble(path.relative_to(HERE.parent.parent))
               for path in SOURCES.glob("*.atoll") if path.stem != "report"}

    def pinned(schedulers, command):
        return ["taskset", "-c", ",".join(cores[:schedulers]), *map(str, command)]

    def atoll(program, arguments, schedulers=1, tier="interp"):
        return pinned(schedulers, [bench.atoll(), "run", "--tier", tier, "--workers", schedulers,
                                   modules.get(program, program), *arguments])

    def erlang(program, arguments, schedulers=1):
        return pinned(schedulers, ["erl", "+S", f"{schedulers}:{schedulers}", "+P", 4_000_000,
                                   "-noshell", "-pa", SCRATCH, "-run", "processes_peer", "main",
                                   program, *arguments])

    def go(program, arguments, schedulers=1):
        return pinned(schedulers, ["env", f"GOMAXPROCS={schedulers}", SCRATCH / "processes_go",
                                   program, *arguments])

    found = {ATOLL: atoll}
    if bench.peer("erlang", ["erlc"], "apt-get install erlang-base"):
        bench.output(["erlc", "-o", str(SCRATCH), str(SOURCES / "peers" / "processes_peer.erl")])
        found["erlang"] = erlang
    if bench.peer("go", ["go"], "apt-get install golang-go"):
        bench.output(["go", "build", "-o", str(SCRATCH / "processes_go"),
                      str(SOURCES / "peers" / "processes.go")])
        found["go"] = go
    return found


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid}: no resident memory")


def measure(command):
    """What a program prints, the least of each: nanoseconds an operation, by name. As "at N" the
    bytes that were resident at its pause N."""
    least = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            name, value, operations = line.split()
            if name == "at":
                least[f"at {operations}"] = resident(child.pid)
                child.stdin.write("\n")
                child.stdin.flush()
                continue
            value = int(value) / int(operations)
            least[name] = min(value, least.get(name, value))
        _, complaint = child.communicate()
        if child.returncode:
            raise BenchError(f"{' '.join(command)}: exit status {child.returncode}\n{complaint}")
    return least


def interleave(commands, rounds):
    """Runs each command (a dict of name to command) in turn; its least figures, by name."""
    least = {name: {} for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            for figure, value in measure(command).items():
                least[name][figure] = min(value, least[name].get(figure, value))
    return least


def ratios(bench, name, own, peers, method, bounds):
    """Figures for what Atoll's value is of each peer's; `bounds`: the most, by peer."""
    for peer, bound in bounds.items():
        ratio = own / peers[peer] if peers.get(peer) else None
        bench.figure(f"{name} / {peer}", ratio, "x", method, target=bound,
                     note="" if ratio else "peer missing")


def times(bench, found):
    method = f"minimum of {3 * bench.rounds}, wall time on one core, interleaved"
    measured = {}
    found = {**found, COMPILED: functools.partial(found[ATOLL], tier="auto")}
    for name, (program, arguments, line, target) in TIMES.items():
        least = interleave({who: command(program, arguments) for who, command in found.items()},
                           bench.rounds)
        values = {who: figures[line] for who, figures in least.items()}
        own = values.pop(ATOLL)
        measured[name] = {ATOLL: own, **values}
        bench.figure(name, own, "ns", method, values, target=target)
        ratios(bench, name, own, values, method, PEERS)
        if program == "spawn":
            peers = {who: figures["spawn_monitor"] for who, figures in least.items()
                     if who != ATOLL and "spawn_monitor" in figures}
            bench.figure("spawn, exit seen by monitor", least[ATOLL]["spawn_monitor"], "ns", method,
                         peers)
    more = {who: value - measured["ping-pong round trip"][who]
            for who, value in measured["ping-pong, 1 KiB"].items()}
    bench.figure("1 KiB messages, more a round trip", more.pop(ATOLL), "ns", method, more,
                 target=MORE_FOR_1_KIB)
    rates = {who: 1e3 / value for who, value in measured["fan-in of 1,000, a message"].items()}
    bench.figure("fan-in of 1,000", rates.pop(ATOLL), "M/s", method, rates,
                 target=FAN_IN_MILLION_A_SECOND, direction=HIGHER)


def waiting(bench, title, count, commands, bound, rate):
    """`count` processes that wait; `bound`: bytes each, `rate`: millions a second."""
    rounds = min(bench.rounds, 3)
    least = interleave(commands, rounds)
    method = f"minimum of {rounds}, wall time on one core, interleaved"
    for name, first, last, target in (("each", 0, 1, bound), ("each, once answered", 0, 2, None)):
        values = {who: (figures[f"at {last}"] - figures[f"at {first}"]) / count
                  for who, figures in least.items()}
        bench.figure(f"{title}, {name}", values.pop(ATOLL), "B",
                     f"resident, minimum of {rounds}", values, target=target)
    for name, line, target in (("created", "create", rate), ("answered", "answer", None)):
        values = {who: 1e3 / figures[line] for who, figures in least.items()}
        bench.figure(f"{title}, {name}", values.pop(ATOLL), "M/s", method, values, target=target,
                     direction=HIGHER)


def wasm(bench, found):
    if not shutil.which(CLANG) or not (WASI_LIBC / "libc.a").exists():
        bench.missing[CLANG] = ("apt-get install clang-16 lld-16 wasi-libc "
                                "libclang-rt-16-dev-wasm32")
        bench.figure("waiting C guests", None, "", "", note="no compiler for WASI")
        return
    for name, (flags, bound) in WASM.items():
        module = str(SCRATCH / f"{name}.wasm")
        bench.output([CLANG, *WASM_FLAGS, *flags, str(SOURCES / f"{name}.c"), "-o", module])
        waiting(bench, f"{WAITING_WASM:,} {name}", WAITING_WASM,
                {ATOLL: found[ATOLL](module, [WAITING_WASM])}, bound, None)


def pairs(bench, found):
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        bench.figure("pairs, two workers / one", None, "x", "", target=TWO_WORKERS,
                     direction=HIGHER, note="needs two cores")
        return
    commands = {(who, schedulers): command("pairs", PAIRS, schedulers)
                for who, command in found.items() for schedulers in (1, 2)}
    least = {key: figures["pairs"] for key, figures in interleave(commands, bench.rounds).items()}
    method = f"minimum of {3 * bench.rounds}, wall time, interleaved"
    for schedulers in (1, 2):
        values = {who: least[who, schedulers] for who in found}
        bench.figure(f"{PAIRS[0]} pairs, round trip, {schedulers} worker" + "s" * (schedulers > 1),
                     values.pop(ATOLL), "ns", method, values)
    gains = {who: least[who, 1] / least[who, 2] for who in found}
    bench.figure("pairs, two workers / one", gains.pop(ATOLL), "x", method, gains,
                 target=TWO_WORKERS, direction=HIGHER)


def sleepers(bench, found):
    seconds = 30 if bench.rounds >= 5 else 5
    method = f"{SLEEPERS} sleep 10 ms, {HOG_COUNT} hogs, one core, {seconds} s"
    for kind, title in enumerate(HOGS):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if title == BIG_HOGS and free < BIG_HOGS_BYTES:
            bench.figure(f"late, {title}", None, "ms", method, note="too little free memory")
            continue
        arguments = [seconds, SLEEPERS, HOG_COUNT]
        least = {ATOLL: measure(found[ATOLL]("sleepers", [*arguments, kind]))}
        if kind == 0:
            for peer in PEERS:
                if peer in found:
                    least[peer] = measure(found[peer]("sleepers", arguments))
        for line in ("p50", "p99", "p99.9", "max"):
            values = {who: figures[line] / 1e6 for who, figures in least.items()}
            own = values.pop(ATOLL)
            bench.figure(f"late, {title}, {line}", own, "ms", method, values,
                         target=LATENESS_MS.get(line))
            if kind == 0 and line in LATENESS_MS:
                ratios(bench, f"late, {title}, {line}", own, values, method,
                       {peer: 1 for peer in PEERS})


def machines(atoll, socket):
    said = subprocess.run([atoll, "machines", "--json", "--socket", socket], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return {each["name"]: each["cpu"] for each in json.loads(said)}


def used(bench, module, workers, seconds, burners):
    """CPU seconds of machines with the weights SHARES over some time; `burners`: by machine, the
    arguments of its program."""
    text = f"workers = {workers}\n"
    for name, weight in SHARES.items():
        text += (f'[[machine]]\nname = "{name}"\nmodule = "{module}"\nweight = {weight}\n'
                 f"arguments = {json.dumps([str(each) for each in burners[name]])}\n")
    file, socket = SCRATCH / "shares.toml", str(SCRATCH / "shares.sock")
    file.write_text(text, encoding="utf-8")
    command = [str(bench.atoll()), "serve", "--socket", socket, str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        try:
            for _ in range(100):
                time.sleep(0.1)
                if os.path.exists(socket):
                    break
            time.sleep(1)
            begin, before = time.monotonic(), machines(str(bench.atoll()), socket)
            time.sleep(seconds)
            after, end = machines(str(bench.atoll()), socket), time.monotonic()
        finally:
            server.terminate()
    return {name: after[name] - before[name] for name in SHARES}, end - begin


def shares(bench):
    seconds = 60 if bench.rounds >= 5 else 8
    module = bench.assemble((SOURCES / "burn.atoll").relative_to(HERE.parent.parent))
    busy = {"one": [3], "two": [2], "five": [20]}
    for workers in (1, 2):
        if workers > len(os.sched_getaffinity(0)):
            continue
        method = f"machines of weights 1:2:5 under `atoll serve`, {workers} workers, {seconds} s"
        cpu, _ = used(bench, module, workers, seconds, busy)
        for name, weight in SHARES.items():
            share = 100 * cpu[name] / sum(cpu.values())
            due = 100 * weight / sum(SHARES.values())
            bench.figure(f"share of weight {weight} of 800, {workers} workers", share, "%", method)
            bench.figure(f"its distance from {due} %, {workers} workers", abs(share - due),
                         "points", method, target=1)
    # The machine of weight 5 sleeps: the others have its share.
    method = f"weights 1:2, and 5 asleep, one worker, {seconds} s"
    cpu, took = used(bench, module, 1, seconds, {**busy, "five": [1, 1, 1_000_000]})
    bench.figure("idle share, distance of weight 1 from 33.3 %",
                 abs(100 * cpu["one"] / sum(cpu.values()) - 100 / 3), "points", method, target=1)
    bench.figure("idle share, CPU that nobody used", 100 * (1 - sum(cpu.values()) / took), "%",
                 method, target=1)


def run(bench):
    found = runners(bench)
    times(bench, found)
    waiting(bench, f"{WAITING:,} waiting", WAITING,
            {who: command("million", [WAITING]) for who, command in found.items()}, WAITING_BYTES,
            CREATED_MILLION_A_SECOND)
    wasm(bench, found)
    pairs(bench, found)
    snapshots.run(bench)
    sleepers(bench, found)
    shares(bench)
