"""What files cost.

Without a guest, by tests/bench/vfs_bench.cpp: files of 1 MiB, and small ones that come and go, in memory,
in an overlay (a folder of /tmp under memory), and in /tmp; and 128 MiB in order in pieces of 64 KiB in a volume in
/tmp, beside blobs of SQLite's with the same settings. From a guest, by files/io.c: as WebAssembly,
and the same program for this machine, in one folder; and in a file system in memory. Then sleepers
beside 10,000 processes that read a file.
"""

import os
import subprocess
import tempfile
import threading
import time

import c_programs
from bench import BenchError, HERE, HIGHER, SCRATCH

BACKENDS = ("memory", "overlay", "host")
# Figure of the program: (name here, the most that it may be in memory).
FIGURES = {
    "read.64.ns": ("read of 64 bytes, in order", 200),
    "read.64.anywhere.ns": ("read of 64 bytes, anywhere", 200),
    "write.64.anywhere.ns": ("write of 64 bytes, anywhere", None),
    "read.65536.ns": ("read of 64 KiB", None),
    "stat.ns": ("stat of a name", None),
    "small.ns": ("create, write, close, remove", None),
}

# Of io.c: its mode, how often, name here, and the least part of the native program's speed.
PROGRAM = {
    "write": (16384, "write of 64 KiB, in order", 0.8),
    "read": (16384, "read of 64 KiB, in order", 0.8),
    "small": (10000, "create, write, stat, remove", 0.5),
    "tiny": (2_000_000, "read of 64 bytes, in order", None),
}
TINY_IN_MEMORY_MILLIONS = 5
READERS, SLEEPERS, HOG_READS = 10_000, 1000, 6  # the last: of the enumeration Hog in sleepers.atoll
LATENESS_MS = {"p50": 0.3, "p99.9": 2}
THREADS = 16


def guest(bench):
    """The same program on this machine and as a guest, over the host's files and over memory."""
    if not c_programs.can_compile(bench):
        return
    source = str(HERE / "files" / "io.c")
    module, native = str(SCRATCH / "io.wasm"), str(SCRATCH / "io")
    bench.output([c_programs.CLANG, "-O2", *c_programs.WASI_FLAGS, source, "-o", module])
    bench.output([c_programs.CLANG, "-O2", source, "-o", native])
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "native": [native],
            "atoll": [str(bench.atoll()), "run", "--dir", f"{folder}::/f", module],
            "memory": [str(bench.atoll()), "run", "--mount", "memory::/f:size=1G", module],
        }
        best = {}
        for _ in range(bench.rounds):
            for mode, (count, _, _) in PROGRAM.items():
                for who, command in commands.items():
                    if who == "memory" and mode == "read":  # of a file that another run made
                        continue
                    place = folder if who == "native" else "/f"
                    value = float(bench.output([*command, mode, place, str(count)]))
                    best[mode, who] = min(value, best.get((mode, who), float("inf")))
    method = f"minimum of {bench.rounds}, interleaved"
    for mode, (_, title, part) in PROGRAM.items():
        own, native = best[mode, "atoll"], best[mode, "native"]
        bench.figure(f"guest, host: {title}", own, "ns", method, {"native": native})
        bench.figure(f"guest, host: {title}, speed / native", native / own, "x", method,
                     target=part, direction=HIGHER)
        if (mode, "memory") in best:
            bench.figure(f"guest, memory: {title}", best[mode, "memory"], "ns", method)
    bench.figure("guest, memory: reads of 64 bytes", 1e3 / best["tiny", "memory"], "M/s", method,
                 target=TINY_IN_MEMORY_MILLIONS, direction=HIGHER)


def readers(bench):
    """Sleepers beside 10,000 processes that read 64 KiB after 64 KiB of a file, on one worker."""
    seconds = 30 if bench.rounds >= 5 else 5
    module = bench.assemble((HERE / "processes" / "sleepers.atoll").relative_to(HERE.parent.parent))
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "data"), "wb") as data:
            data.write(os.urandom(16 << 20))
        core = str(max(os.sched_getaffinity(0)))
        command = ["taskset", "-c", core, str(bench.atoll()), "run", "--workers", "1", "--dir-ro",
                   f"{folder}::/data", module, *map(str, (seconds, SLEEPERS, READERS, HOG_READS))]
        most = 0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(child.stdout))
            reader.start()
            while child.poll() is None:
                try:
                    most = max(most, len(os.listdir(f"/proc/{child.pid}/task")))
                except FileNotFoundError:
                    break
                time.sleep(0.1)
            reader.join()
        if child.returncode:
            raise BenchError(f"{' '.join(command)}: exit status {child.returncode}")
    method = f"{SLEEPERS} sleep 10 ms, {READERS:,} read a file, one core, {seconds} s"
    for line in lines:
        name, value, operations = line.split()
        if name != "samples":
            bench.figure(f"late, readers, {name}", int(value) / int(operations) / 1e6, "ms", method,
                         target=LATENESS_MS.get(name))
    bench.figure("threads, readers", most, "", method, target=THREADS)


def run(bench):
    guest(bench)
    readers(bench)
    best = {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("vfs_bench")]).splitlines():
            name, value = line.split()
            least, most = best.get(name, (float("inf"), 0))
            best[name] = min(float(value), least), max(float(value), most)
    for backend in BACKENDS:
        for name, (title, target) in FIGURES.items():
            bench.figure(
                f"{backend}: {title}",
                best[f"{backend}.{name}"][0],
                "ns",
                f"minimum of {bench.rounds} processes",
                target=target if backend == "memory" else None,
            )
    for what in ("write", "read"):
        volume, sqlite = (best[f"{who}.{what}.MB"][1] for who in ("volume", "sqlite"))
        bench.figure(
            f"volume: {what} in order, 64 KiB each",
            100 * volume / sqlite,
            "% of SQLite's blobs",
            f"{volume:.0f} of {sqlite:.0f} MB/s, each the best of {bench.rounds} processes",
            target=50,
            direction=HIGHER,
        )
