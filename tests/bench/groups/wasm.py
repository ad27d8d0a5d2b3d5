"""WebAssembly: the interpreter beside others' on C programs, the cost of starting, and of loading a
large module.

Peers are found by PATH or by the variables in PEERS, the large module by ATOLL_RUBY_WASM; without
it npm gets it into the build folder.
"""

import math
import os
import shutil
import subprocess

from bench import HIGHER, SCRATCH, median
from c_programs import PROGRAMS, can_compile, native, wasi

# Peer: the variable with its path, its command, how to get it, and the most that Atoll's time may
# be of the peer's (None: for information).
PEERS = {
    "wasm3": (
        "ATOLL_WASM3", ["wasm3"],
        "git clone https://github.com/wasm3/wasm3 && cd wasm3 && "
        "cmake -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_WASI=simple && cmake --build build; "
        "then ATOLL_WASM3=wasm3/build/wasm3", 0.75),
    "wamr": (
        "ATOLL_IWASM", ["iwasm"],
        "git clone https://github.com/bytecodealliance/wasm-micro-runtime && "
        "cd wasm-micro-runtime/product-mini/platforms/linux && cmake -B build "
        "-DCMAKE_BUILD_TYPE=Release -DWAMR_BUILD_INTERP=1 -DWAMR_BUILD_FAST_INTERP=1 "
        "-DWAMR_BUILD_AOT=0 -DWAMR_BUILD_SIMD=0 && cmake --build build; "
        "then ATOLL_IWASM=build/iwasm",
        0.55),
    "wasmtime": ("ATOLL_WASMTIME", ["wasmtime"], "https://wasmtime.dev", None),
}
STARTS = 100
RUBY = "@ruby/4.0-wasm-wasi"
FIRST_INSTRUCTION_S = 0.4
CODE_MB_A_SECOND = 25
MEMORY_OF_INPUT = 3
MORE_PROCESS_KIB = 64


def programs(bench):
    peers = {}
    for name, (variable, command, how, _) in PEERS.items():
        if found := bench.peer(name, command, how, variable):
            peers[name] = found
    method = f"minimum of {bench.rounds}, user CPU, interleaved"
    ratios = {name: [] for name in [*peers, "native"]}
    for program in PROGRAMS:
        module = wasi(bench, program)
        commands = {"atoll": [bench.atoll(), "run", "--tier", "interp", module]}
        commands |= {name: [*command, module] for name, command in peers.items()}
        commands["native"] = [native(bench, program)]
        best = bench.interleave(commands)
        own = best.pop("atoll")
        bench.figure(program, own, "s", method, best)
        for name, seconds in best.items():
            ratios[name].append(own / max(seconds, 0.001))  # a clock tick may show as nothing
    targets = {name: target for name, (_, _, _, target) in PEERS.items()} | {"native": None}
    for name, target in targets.items():
        mean = math.prod(ratios[name]) ** (1 / len(ratios[name])) if ratios.get(name) else None
        bench.figure(
            f"time / {name}", mean, "x", f"geometric mean of {len(PROGRAMS)} ratios, {method}",
            target=target, note="" if mean else "peer missing",
        )


def start(bench):
    module = wasi(bench, "hello")
    lines = bench.output([bench.program("start_cost"), str(STARTS), bench.atoll(), "run", module])
    costs = [line.split() for line in lines.splitlines()]
    bench.figure("hello.wasm, whole process", median([float(ms) for ms, _ in costs]), "ms",
                 f"median of {STARTS}, wall time", target=3)
    bench.figure("hello.wasm, resident", median([int(kib) * 1024 / 1e6 for _, kib in costs]), "MB",
                 f"median of {STARTS}, peak", target=5)


def ruby_module(bench):
    """Path of ruby.wasm, or None: the end says how to get it."""
    if given := os.environ.get("ATOLL_RUBY_WASM"):
        return given
    folder = SCRATCH / "ruby"
    module = folder / "package" / "dist" / "ruby.wasm"
    if not module.exists() and shutil.which("npm"):
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["npm", "pack", "--silent", RUBY], cwd=folder, capture_output=True,
                                text=True, stdin=subprocess.DEVNULL)
        if packed.returncode == 0:
            archive = folder / packed.stdout.split()[-1]
            subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder),
                            "package/dist/ruby.wasm"], check=True)
            archive.unlink()
    if module.exists():
        return str(module)
    bench.missing["ruby.wasm"] = f"npm pack {RUBY}; then ATOLL_RUBY_WASM=package/dist/ruby.wasm"
    return None


def load(bench):
    ruby = ruby_module(bench)
    if ruby is None:
        bench.figure("ruby.wasm", None, "", "", note="module missing")
        return
    runs = []
    for _ in range(bench.rounds):
        lines = bench.output([bench.program("wasm_load"), ruby]).splitlines()
        runs.append({name: float(value) for name, value, _ in map(str.split, lines)})
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    times = f"minimum of {bench.rounds}, CPU time"
    sizes = f"minimum of {bench.rounds}, resident"
    bench.figure("ruby.wasm, first instruction", best["load"] + best["create"], "s", times,
                 target=FIRST_INSTRUCTION_S, note="from bytes in memory; all of it is verified")
    for part in ["translate", "verify", "prepare", "create"]:
        bench.figure(f"ruby.wasm, {part}", best[part], "s", times)
    seconds = best["translate"] + best["verify"]
    bench.figure("ruby.wasm, translated and verified", best["code"] / 1e6 / seconds, "MB/s",
                 f"code section, {times}", target=CODE_MB_A_SECOND, direction=HIGHER)
    bench.figure("ruby.wasm, memory while loading", best["peak"] - 1, "x",
                 f"of the file's size, beyond the file's bytes, {sizes}", target=MEMORY_OF_INPUT)
    bench.figure("ruby.wasm, with the file's bytes", best["peak"], "x",
                 f"of the file's size, {sizes}")
    bench.figure("ruby.wasm, memory once loaded", best["kept"], "x",
                 f"of the file's size, {sizes}", target=MEMORY_OF_INPUT)
    bench.figure("ruby.wasm, one more process", (best["each"] - best["own"]) / 1024, "KiB",
                 f"beyond its linear memory and tables, mean of 10, {sizes}",
                 target=MORE_PROCESS_KIB)


def run(bench):
    if can_compile(bench):
        programs(bench)
        start(bench)
    load(bench)
