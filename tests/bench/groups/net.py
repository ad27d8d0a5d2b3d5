"""An echo server for 64 connections of 64 bytes over loopback, with its client on one core.

By samples/echo (a process for each connection), by samples/wasm-c/echo.c (BSD sockets and poll), and by
libuv in C, Erlang's gen_tcp and Go, in turns; and with two cores, where there are two, beside Go.

And between two machines of one server: 64 bytes there and back, over a virtual switch and over loopback.
"""

import os
import shutil
import socket
import statistics
import subprocess
import time

import c_programs
from bench import BenchError, HERE, HIGHER, LOWER, SCRATCH

ROOT = HERE.parent.parent
GUEST_C = ROOT / "stdlib" / "guest" / "c"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        time.sleep(0.05)
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", int(port))) == 0:
                return
    raise BenchError(f"nobody listens at port {port}")


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command, client, seconds, cores):
    """Requests a second, CPU us of the server a request, and p99 in us."""
    port = str(free_port())
    pinned = ["taskset", "-c", ",".join(map(str, cores))]
    server = subprocess.Popen(pinned + [each.replace("PORT", port) for each in command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        before = cpu_of(server.pid)
        out = subprocess.run(pinned + [client, port, str(seconds)], capture_output=True, text=True,
                             check=False)
        if out.returncode != 0:
            raise BenchError(f"the client of {command[0]} failed: {out.stderr}")
        count, took, _, _, p99, _ = map(float, out.stdout.split())
        return count / took, (cpu_of(server.pid) - before) / count * 1e6, p99
    finally:
        server.kill()
        server.wait()


def guests(bench, workers):
    """The servers that are measured, by name."""
    atoll = [str(bench.atoll()), "run", "--workers", str(workers), "--net", "listen:127.0.0.1:*"]
    found = {"samples/echo": [*atoll, str(ROOT / "samples/echo/echo.atoll"), "127.0.0.1", "PORT"]}
    if c_programs.can_compile(bench):
        found["wasm-c/echo.c"] = [*atoll, str(SCRATCH / "echo.wasm"), "127.0.0.1", "PORT"]
    return found


def peers(bench, cores):
    """The other servers that this machine has, by name."""
    found = {}
    if shutil.which("cc") and os.path.exists("/usr/include/uv.h"):
        found["C libuv"] = [str(SCRATCH / "libuv_echo"), "PORT"]
        bench.output(["cc", "-O2", str(HERE / "net" / "libuv_echo.c"), "-luv",
                      "-o", found["C libuv"][0]])
    else:
        bench.missing["libuv"] = "apt-get install libuv1-dev"
    if bench.peer("erlang", ["erlc"], "apt-get install erlang-base"):
        bench.output(["erlc", "-o", str(SCRATCH), str(HERE / "net" / "echo.erl")])
        found["gen_tcp"] = ["erl", "+S", f"{cores}:{cores}", "-noshell", "-pa", str(SCRATCH),
                            "-s", "echo", "main", "PORT"]
    if go := bench.peer("go", ["go"], "apt-get install golang-go", "ATOLL_GO"):
        found["Go"] = [str(SCRATCH / "echo_go"), "PORT"]
        bench.output([go[0], "build", "-o", found["Go"][0], str(HERE / "net" / "echo.go")])
    return found


def compare(bench, client, cores, targets):
    """Measures all in turns and reports them. `targets`: the least rate, by peer, as its part."""
    own, others = guests(bench, len(cores)), peers(bench, len(cores))
    seconds = 5 if bench.rounds >= 5 else 2
    results = {name: [] for name in [*own, *others]}
    for _ in range(bench.rounds):
        for name, command in [*own.items(), *others.items()]:
            results[name].append(measure(command, client, seconds, cores))
    method = f"median of {bench.rounds} x {seconds} s, interleaved, {len(cores)} core(s)"
    middle = {name: [statistics.median(column) for column in zip(*rows)]
              for name, rows in results.items()}
    rows = [("echo, 64 x 64 bytes", "1/s", HIGHER), ("the server's CPU", "us", LOWER),
            ("p99", "us", LOWER)]
    least = max((part * middle[name][0] for name, part in targets.items() if name in middle),
                default=None)
    for name in own:
        for i, (what, unit, direction) in enumerate(rows):
            beside = {other: middle[other][i] for other in others}
            bench.figure(f"{name}: {what}", middle[name][i], unit, method, beside,
                         least if i == 0 else None, direction)


def redis_rates(port):
    """Requests a second by command, without pipelines and with 16 in each."""
    rates = {}
    for depth in ("1", "16"):
        out = subprocess.run(["redis-benchmark", "-p", port, "-q", "--csv", "-n", "100000", "-P",
                              depth, "-t", "set,get"], capture_output=True, text=True, check=True)
        for line in out.stdout.splitlines():
            name, rate = line.replace('"', "").split(",")[:2]
            if name in ("SET", "GET"):
                rates[f"{name}, {depth} at once"] = float(rate)
    return rates


def compare_redis(bench):
    """samples/redis by redis-benchmark, beside redis-server where there is one."""
    if not bench.peer("redis-benchmark", ["redis-benchmark"], "apt-get install redis-tools"):
        return
    servers = {"samples/redis": [str(bench.atoll()), "run", "--net", "listen:127.0.0.1:*",
                                 str(ROOT / "samples/redis/redis.atoll"), "127.0.0.1", "PORT"]}
    if peer := bench.peer("redis-server", ["redis-server"], "apt-get install redis-server"):
        servers["redis-server"] = [*peer, "--port", "PORT", "--save", "", "--appendonly", "no"]
    results = {name: [] for name in servers}
    for _ in range(bench.rounds):
        for name, command in servers.items():
            port = str(free_port())
            server = subprocess.Popen([each.replace("PORT", port) for each in command],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for(port)
                results[name].append(redis_rates(port))
            finally:
                server.kill()
                server.wait()
    for what in results["samples/redis"][0]:
        middle = {name: statistics.median(row[what] for row in rows)
                  for name, rows in results.items()}
        own = middle.pop("samples/redis")
        bench.figure(f"samples/redis: {what}", own, "1/s",
                     f"redis-benchmark, 50 clients, median of {bench.rounds}", middle,
                     direction=HIGHER)


def round_trip(bench, is_virtual, folder):
    """Nanoseconds for 64 bytes from a machine to samples/echo in another one and back."""
    port = 7 if is_virtual else free_port()
    count = 200_000 if is_virtual else 20_000
    here, there = ("0.0.0.0", "10.0.0.1") if is_virtual else ("127.0.0.1", "127.0.0.1")
    grants = ['nics = [{ switch = "lan" }]'] * 2
    text = '[switch.lan]\nprefixes = ["10.0.0.0/24"]\n'
    if not is_virtual:
        grants, text = [f'net = "{word}:127.0.0.1:{port}"' for word in ("listen", "connect")], ""
    machines = [("server", ROOT / "samples/echo/echo.atoll", [here, str(port)]),
                ("client", HERE / "net" / "pingpong.atoll", [there, str(port), str(count)])]
    for (name, module, arguments), grant in zip(machines, grants):
        text += (f'[[machine]]\nname = "{name}"\nmodule = "{module}"\n'
                 f'arguments = {arguments}\n{grant}\n')
    file = folder / "machines.toml"
    file.write_text(text, encoding="utf-8")
    with subprocess.Popen([str(bench.atoll()), "up", "--workers", "1", str(file)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            for line in server.stdout:
                if line.startswith("client | "):
                    return int(line.split()[-1]) / count
        finally:
            server.kill()
    raise BenchError("the machines wrote no time")


def between_machines(bench):
    results = {True: [], False: []}
    for _ in range(bench.rounds):
        for is_virtual, times in results.items():
            times.append(round_trip(bench, is_virtual, SCRATCH))
    own, loopback = (statistics.median(results[each]) for each in (True, False))
    bench.figure("machine to machine over a switch: 64 bytes there and back", own, "ns",
                 f"median of {bench.rounds}, interleaved, 1 worker", {"loopback TCP": loopback},
                 loopback / 5)


def run(bench):
    client = str(SCRATCH / "echo_client")
    bench.output(["cc", "-O2", str(HERE / "net" / "client.c"), "-o", client])
    if c_programs.can_compile(bench):
        bench.output([c_programs.CLANG, "--target=wasm32-wasi", "--sysroot=/usr", "-O2",
                      "-isystem", str(GUEST_C / "sockets"), "-isystem", str(GUEST_C),
                      str(ROOT / "samples/wasm-c/echo.c"), str(GUEST_C / "atoll_socket.c"),
                      "-o", str(SCRATCH / "echo.wasm")])
    cores = sorted(os.sched_getaffinity(0), reverse=True)
    compare(bench, client, cores[:1], {"C libuv": 0.8, "gen_tcp": 1})
    if len(cores) > 1:
        compare(bench, client, cores[:2], {"Go": 1})
    compare_redis(bench)
    between_machines(bench)
