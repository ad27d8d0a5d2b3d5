"""What backends of file systems cost without a guest, by tests/bench/vfs_bench.cpp: files of 1 MiB, and
small ones that come and go, in memory, in an overlay (a folder of /tmp under memory), and in /tmp."""

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


def run(bench):
    best = {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("vfs_bench")]).splitlines():
            name, value = line.split()
            best[name] = min(float(value), best.get(name, float("inf")))
    for backend in BACKENDS:
        for name, (title, target) in FIGURES.items():
            bench.figure(
                f"{backend}: {title}",
                best[f"{backend}.{name}"],
                "ns",
                f"minimum of {bench.rounds} processes",
                target=target if backend == "memory" else None,
            )
