"""The assembler's and the verifier's speed, by tests/bench/toolchain_bench.cpp."""

from bench import HIGHER, median

# Figure: the least that it must be.
TARGETS = {"assemble": 1, "verifier": 200}


def run(bench):
    values, units = {}, {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("toolchain_bench")]).splitlines():
            name, value, unit = line.split()
            values.setdefault(name, []).append(float(value))
            units[name] = unit
    for name, found in values.items():
        bench.figure(name, median(found), units[name], f"median of {len(found)}",
                     target=TARGETS.get(name), direction=HIGHER)
