"""What small linear memories cost, by tests/bench/memory_bench.cpp: making one, touching some of it and
destroying it; and the resident bytes of each of 100,000 that are alive and have touched 4 KiB."""

# Figure of the program: (name here, the most that it may be).
FIGURES = {
    "one.1024.ns": ("1 KiB, all touched", None),
    "one.8192.ns": ("8 KiB, 4 KiB touched", None),
    "one.65536.ns": ("64 KiB, 4 KiB touched", None),
    "one.65536.untouched.ns": ("64 KiB, untouched", None),
    "one.65536.all.ns": ("64 KiB, all touched", None),
    "one.1048576.ns": ("1 MiB, 4 KiB touched", None),
    "one.2097152.ns": ("2 MiB, 4 KiB touched", None),
    "replaced.65536.of_1000.ns": ("64 KiB, any of 1,000 replaced", None),
    "replaced.65536.of_20000.ns": ("64 KiB, any of 20,000 replaced", None),
    "many.made.ns": ("64 KiB, 100,000 made", None),
    "many.destroyed.ns": ("64 KiB, 100,000 destroyed", None),
    "many.resident.bytes": ("64 KiB, resident of 100,000", 6 * 1024),
}


def run(bench):
    best = {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("memory_bench")]).splitlines():
            name, value = line.split()
            best[name] = min(float(value), best.get(name, float("inf")))
    for name, (title, target) in FIGURES.items():
        unit = "bytes" if name.endswith(".bytes") else "ns"
        bench.figure(title, best[name], unit, f"minimum of {bench.rounds} processes", target=target)
