"""The interpreter beside Lua's, the cost of starting, and how soon limits end a program."""

import math
import os
import signal
import subprocess

from bench import BenchError, HERE, median

PROGRAMS = ["fib", "sieve", "nbody", "mandelbrot", "quicksort"]
# Peer: its command, Debian package, and the most that Atoll's time may be of the peer's.
PEERS = {"lua5.4": (["lua5.4"], "lua5.4", 0.26), "luajit -joff": (["luajit", "-joff"], "luajit", 0.52)}
STARTS = 100
REACTIONS = 11
TIME_LIMIT_MS = 200
REACTION_TARGET_MS = 50


def programs(bench):
    peers = {name: bench.peer(name, command, f"apt-get install {package}")
             for name, (command, package, _) in PEERS.items()}
    peers = {name: command for name, command in peers.items() if command}
    method = f"minimum of {bench.rounds}, user CPU, interleaved"
    ratios = {name: [] for name in peers}
    for program in PROGRAMS:
        commands = {"atoll": [bench.atoll(), "run", "--tier", "interp",
                              bench.assemble(f"tests/bench/atoll/{program}.atoll")]}
        for name, command in peers.items():
            commands[name] = command + [str(HERE / "lua" / f"{program}.lua")]
        best = bench.interleave(commands)
        own = best.pop("atoll")
        bench.figure(program, own, "s", method, best, note="no peer on this machine")
        for name, seconds in best.items():
            ratios[name].append(own / seconds)
    for name, (_, _, target) in PEERS.items():
        mean = math.prod(ratios[name]) ** (1 / len(ratios[name])) if ratios.get(name) else None
        bench.figure(
            f"time / {name}", mean, "x", f"geometric mean of {len(PROGRAMS)} ratios, {method}",
            target=target, note="" if mean else "peer missing",
        )


def start(bench):
    module = bench.assemble("tests/bench/atoll/hello.atoll")
    lines = bench.output([bench.program("start_cost"), str(STARTS), bench.atoll(), "run", module])
    costs = [line.split() for line in lines.splitlines()]
    bench.figure("hello, whole process", median([float(ms) for ms, _ in costs]), "ms",
                 f"median of {STARTS}, wall time", target=3)
    bench.figure("hello, resident", median([int(kib) * 1024 / 1e6 for _, kib in costs]), "MB",
                 f"median of {STARTS}, peak", target=5)


def reactions(bench):
    """How long after reaching its limit a program has ended. Starting is part of the first three."""
    module = {
        name: bench.assemble(f"tests/bench/atoll/limits/{name}.atoll")
        for name in ["loop", "recurse", "grow", "sleep", "read", "flood"]
    }
    run = [bench.atoll(), "run"]

    def report(name, measure):
        def once():
            milliseconds, status = measure()
            if status == 0:
                raise BenchError(f"{name}: ended as if nothing had happened")
            return milliseconds

        bench.figure(name, max(0.0, median([once() for _ in range(REACTIONS)])), "ms",
                     f"median of {REACTIONS}", target=REACTION_TARGET_MS)

    def timed():
        milliseconds, status = bench.ending(run + ["--time", f"{TIME_LIMIT_MS}ms", module["loop"]])
        return milliseconds - TIME_LIMIT_MS, status

    def interrupt(child):
        child.send_signal(signal.SIGINT)

    def reading():
        source, sink = os.pipe()
        try:
            return bench.ending(run + [module["read"]], interrupt, stdin=source)
        finally:
            os.close(source)
            os.close(sink)

    def flooding():
        def close(child):
            child.stdout.close()

        return bench.ending(run + [module["flood"]], close, stdout=subprocess.PIPE)

    report("--time in an endless loop", timed)
    report("endless recursion", lambda: bench.ending(run + [module["recurse"]]))
    report("memory.grow to the limit", lambda: bench.ending(run + ["--memory", "16M", module["grow"]]))
    report("Ctrl-C in an endless loop", lambda: bench.ending(run + [module["loop"]], interrupt))
    report("Ctrl-C while sleeping", lambda: bench.ending(run + [module["sleep"]], interrupt))
    report("Ctrl-C while reading", reading)
    report("output into a closed pipe", flooding)


def run(bench):
    programs(bench)
    start(bench)
    reactions(bench)
