"""The C programs of wasm/, compiled for WASI and for this machine.

Each prints a checksum. Macros with defaults, SIZE and in some REP, say how much it does.
"""

import os
import pathlib
import shutil

from bench import HERE, SCRATCH

PROGRAMS = ["fib", "sieve", "sha256", "nbody", "mandelbrot", "hashmap", "quicksort", "minivm",
            "callind", "strmem", "matmulf32"]
CLANG = os.environ.get("WASI_CLANG", "clang-16")
WASI_LIBC = pathlib.Path("/usr/lib/wasm32-wasi")
WASI_FLAGS = ["--target=wasm32-wasi", "--sysroot=/usr", "-mbulk-memory", "-msign-ext",
              "-D_WASI_EMULATED_PROCESS_CLOCKS", f"-L{WASI_LIBC}", "-lwasi-emulated-process-clocks",
              "-Wl,-z,stack-size=1048576"]


def can_compile(bench):
    """Whether there is a compiler for WASI; if not, a figure and the end say so."""
    if shutil.which(CLANG) and (WASI_LIBC / "libc.a").exists():
        return True
    bench.missing[CLANG] = "apt-get install clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32"
    bench.figure("C programs", None, "", "", note="no compiler for WASI")
    return False


def compile_c(bench, name, suffix, command, scale):
    """`scale`: the definition of a macro, like SIZE=3, or None."""
    out = SCRATCH / ".".join(filter(None, [name, scale, suffix]))
    define = [f"-D{scale}"] if scale else []
    bench.output([*command, *define, str(HERE / "wasm" / f"{name}.c"), "-o", str(out), "-lm"])
    return str(out)


def wasi(bench, name, scale=None):
    """Path of the WebAssembly module."""
    return compile_c(bench, name, "wasm", [CLANG, "-O2", *WASI_FLAGS], scale)


def native(bench, name, scale=None, compiler=(CLANG, "-O2")):
    """Path of the executable that a compiler with these options makes."""
    return compile_c(bench, name, "".join(compiler), compiler, scale)
