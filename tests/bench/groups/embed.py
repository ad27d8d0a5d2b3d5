"""What embedding costs, by tests/bench/embed_bench.cpp: calls both ways, and a new engine."""

# Figure: unit, divisor of nanoseconds, target, the most in Lua's times.
FIGURES = {
    "host_to_guest.empty": ("ns", 1, 25, 0.5),
    "host_to_guest.add": ("ns", 1, None, None),
    "guest_to_host.empty": ("ns", 1, 15, 0.5),
    "guest_to_host.add": ("ns", 1, None, None),
    "start": ("us", 1000, 30, None),
}


def run(bench):
    best = {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("embed_bench")]).splitlines():
            name, value = line.split()
            best[name] = min(float(value), best.get(name, float("inf")))
    has_lua = "lua.start" in best
    for engine in ("atoll", "lua"):  # without the loop around the calls
        for name in ("empty", "add"):
            if f"{engine}.loop" in best:
                best[f"{engine}.guest_to_host.{name}"] -= best[f"{engine}.loop"]
    method = f"minimum of {7 * bench.rounds}, CPU time"
    for name, (unit, divisor, target, ratio) in FIGURES.items():
        own = best["atoll." + name] / divisor
        peers = {"lua5.4": best["lua." + name] / divisor} if has_lua else {}
        bench.figure(name, own, unit, method, peers, target=target)
        if ratio is not None:
            bench.figure(f"{name} / lua5.4", own / peers["lua5.4"] if has_lua else None, "x", method,
                         target=ratio, note="" if has_lua else "peer missing: liblua5.4-dev")
