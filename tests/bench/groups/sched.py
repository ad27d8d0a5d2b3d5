"""What a scheduling policy costs, by tests/bench/sched_bench.cpp: picking an entry and putting it back.
Entries are spread over memory as members of process records: with 100,000 a cache miss is in each."""

# Figure: the most that it may be, in ns.
TARGETS = {"rr.preempted 1000": 20, "fair.preempted 1000": 40, "fair.woken 1000": 40}


def run(bench):
    best = {}
    for _ in range(bench.rounds):
        for line in bench.output([bench.program("sched_bench")]).splitlines():
            policy, count, value = line.split()
            name = f"{policy} {count}"
            best[name] = min(float(value), best.get(name, float("inf")))
    for name, value in best.items():
        bench.figure(name, value, "ns", f"minimum of {5 * bench.rounds}", target=TARGETS.get(name))
