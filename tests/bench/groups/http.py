"""A server that says hello by HTTP/1.1, keep-alive, on one core, with wrk (64 connections) on the others.

samples/http/hello.atoll, a process for each connection, beside Go's net/http and Node's http, in turns.
"""

import os
import re
import shutil
import statistics
import subprocess

from bench import BenchError, HERE, HIGHER, LOWER, SCRATCH
from groups.net import ROOT, cpu_of, free_port, wait_for


def measure(command, seconds, cores):
    """Requests a second, CPU us of the server a request, and p99 in us."""
    port = str(free_port())
    server = subprocess.Popen(["taskset", "-c", str(cores[0])] + [each.replace("PORT", port) for each in command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    others = ",".join(map(str, cores[1:] or cores))
    wrk = ["taskset", "-c", others, "wrk", "-t1", "-c64", "--latency", f"http://127.0.0.1:{port}/"]
    try:
        wait_for(port)
        subprocess.run(wrk + ["-d1s"], capture_output=True, check=False)
        before = cpu_of(server.pid)
        out = subprocess.run(wrk + [f"-d{seconds}s"], capture_output=True, text=True, check=False).stdout
        count = re.search(r"(\d+) requests in", out)
        rate = re.search(r"Requests/sec:\s*([\d.]+)", out)
        p99 = re.search(r"99%\s*([\d.]+)(us|ms|s)", out)
        if not count or not rate or not p99 or "Socket errors" in out or "Non-2xx" in out:
            raise BenchError(f"wrk of {command[0]} failed: {out}")
        scale = {"us": 1, "ms": 1e3, "s": 1e6}[p99.group(2)]
        cpu = (cpu_of(server.pid) - before) / int(count.group(1)) * 1e6
        return float(rate.group(1)), cpu, float(p99.group(1)) * scale
    finally:
        server.kill()
        server.wait()


def run(bench):
    if not shutil.which("wrk"):
        bench.figure("hello: requests", None, "1/s", "wrk", note="no wrk")
        return
    servers = {"Atoll": [str(bench.atoll()), "run", "--net", "listen:127.0.0.1:*,connections=1000",
                         str(ROOT / "samples/http/hello.atoll"), "127.0.0.1", "PORT"]}
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if os.path.exists(go):
        program = str(SCRATCH / "http_go")
        bench.output([go, "build", "-o", program, str(HERE / "net" / "http.go")])
        servers["Go"] = [program, "127.0.0.1:PORT"]
    if shutil.which("node"):
        servers["Node"] = ["node", str(HERE / "net" / "http.js"), "PORT"]
    cores = sorted(os.sched_getaffinity(0), reverse=True)
    seconds = 5 if bench.rounds >= 5 else 2
    results = {name: [] for name in servers}
    for _ in range(bench.rounds):
        for name, command in servers.items():
            results[name].append(measure(command, seconds, cores))
    method = f"median of {bench.rounds} x {seconds} s, interleaved, the server on one core"
    middle = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in results.items()}
    own = middle.pop("Atoll")
    targets = [part * middle[name][0] for name, part in {"Go": 1.5, "Node": 3}.items() if name in middle]
    rows = [("requests", "1/s", HIGHER), ("the server's CPU for one", "us", LOWER), ("p99", "us", LOWER)]
    for i, (what, unit, direction) in enumerate(rows):
        bench.figure(f"hello: {what}", own[i], unit, method, {name: values[i] for name, values in middle.items()},
                     max(targets, default=None) if i == 0 else None, direction)
