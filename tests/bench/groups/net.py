"""An echo server for 64 connections of 64 bytes over loopback, with its client on one core.

By samples/echo (a process for each connection), by samples/wasm-c/echo.c (BSD sockets and poll), and by
libuv in C, in turns.
"""

import os
import shutil
import socket
import statistics
import subprocess
import time

import c_programs
from bench import BenchError, HERE, HIGHER, SCRATCH

ROOT = HERE.parent.parent
GUEST_C = ROOT / "stdlib" / "guest" / "c"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command, client, seconds):
    """Requests a second, CPU us of the server a request, and p99 in us."""
    port = str(free_port())
    core = ["taskset", "-c", str(max(os.sched_getaffinity(0)))]
    server = subprocess.Popen(core + [each.replace("PORT", port) for each in command],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            time.sleep(0.05)
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
        before = cpu_of(server.pid)
        out = subprocess.run(core + [client, port, str(seconds)], capture_output=True, text=True,
                             check=False)
        if out.returncode != 0:
            raise BenchError(f"the client of {command[0]} failed: {out.stderr}")
        count, took, _, _, p99, _ = map(float, out.stdout.split())
        return count / took, (cpu_of(server.pid) - before) / count * 1e6, p99
    finally:
        server.kill()
        server.wait()


def run(bench):
    client = str(SCRATCH / "echo_client")
    bench.output(["cc", "-O2", str(HERE / "net" / "client.c"), "-o", client])
    atoll = [str(bench.atoll()), "run", "--net", "listen:127.0.0.1:*"]
    servers = {"samples/echo": [*atoll, str(ROOT / "samples/echo/echo.atoll"), "127.0.0.1", "PORT"]}
    if c_programs.can_compile(bench):
        module = str(SCRATCH / "echo.wasm")
        bench.output([c_programs.CLANG, "--target=wasm32-wasi", "--sysroot=/usr", "-O2",
                      "-isystem", str(GUEST_C / "sockets"), "-isystem", str(GUEST_C),
                      str(ROOT / "samples/wasm-c/echo.c"), str(GUEST_C / "atoll_socket.c"),
                      "-o", module])
        servers["wasm-c/echo.c"] = [*atoll, module, "127.0.0.1", "PORT"]
    if shutil.which("cc") and os.path.exists("/usr/include/uv.h"):
        peer = str(SCRATCH / "libuv_echo")
        bench.output(["cc", "-O2", str(HERE / "net" / "libuv_echo.c"), "-luv", "-o", peer])
        servers["libuv"] = [peer, "PORT"]
    seconds = 5 if bench.rounds >= 5 else 2
    results = {name: [] for name in servers}
    for _ in range(bench.rounds):
        for name, command in servers.items():
            results[name].append(measure(command, client, seconds))
    method = f"median of {bench.rounds} x {seconds} s, interleaved, one core"
    middle = {name: [statistics.median(column) for column in zip(*rows)]
              for name, rows in results.items()}
    peer = middle.pop("libuv", None)
    for name, (rate, cpu, p99) in middle.items():
        peers = [{"C libuv": value} if peer else None for value in peer or (0, 0, 0)]
        bench.figure(f"{name}: echo, 64 x 64 bytes", rate, "1/s", method, peers[0],
                     direction=HIGHER)
        bench.figure(f"{name}: the server's CPU", cpu, "us", method, peers[1])
        bench.figure(f"{name}: p99", p99, "us", method, peers[2])
