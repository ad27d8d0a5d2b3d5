"""Hostile clients of one tenant, and what another one's clients notice: `hostile.py PORT DATAGRAM_PORT QUIET_PORT SECONDS ROUNDS`.

The first two ports are the attacked tenant's echo server and its socket for datagrams, the third the
other tenant's. All loads are bounded: in connections, and in how much they do in a second. Prints
how late the other tenant's answers are without and with each load, the median of some rounds. The exit status is 1 when an
answer was wrong or missing, or when the attacked tenant no longer serves afterwards; never for
how long something took.
"""

import multiprocessing
import resource
import socket
import statistics
import struct
import sys
import threading
import time

CLIENTS, SIZE = 8, 64
BURST = 20  # every 10 ms


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def paced(end, port, act):
    """act(port) BURST times every 10 ms, as far as the machine keeps up, until the end."""
    count = 0
    while time.perf_counter() < end:
        begun = time.perf_counter()
        for _ in range(BURST):
            try:
                act(port)
                count += 1
            except OSError:
                pass
        time.sleep(max(0.0, 0.01 - (time.perf_counter() - begun)))
    return count


def slow_readers(end, port):
    some = [connect(port) for _ in range(200)]
    for one in some:
        one.setblocking(False)
    sent = 0
    turn = 0
    while time.perf_counter() < end:
        for one in some[turn:turn + BURST]:
            try:
                sent += one.send(bytes(4096))
            except OSError:
                pass
        turn = (turn + BURST) % len(some)
        time.sleep(0.01)
    for one in some:
        one.close()
    return sent


def half_open(end, port):
    """Connected, and never heard of again."""
    some = [connect(port) for _ in range(400)]
    time.sleep(max(0.0, end - time.perf_counter()))
    for one in some:
        one.close()
    return len(some)


def reset(one):
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def connections(end, port):
    return paced(end, port, lambda at: connect(at).close())


def resets(end, port):
    def act(at):
        one = connect(at)
        one.sendall(bytes(1000))
        reset(one)
    return paced(end, port, act)


def datagrams(end, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        return paced(end, port, lambda at: one.sendto(bytes(512), ("127.0.0.1", at)))


LOADS = [slow_readers, half_open, connections, resets, datagrams]


def attack(load, end, port, out):
    out.put(load(end, port))


def measure(port, seconds):
    """Sorted latencies of the other tenant's answers, and how many were wrong."""
    late, wrong = [], []

    def talk(number):
        message = b"%064d" % number
        with connect(port) as one:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                begun = time.perf_counter()
                one.sendall(message)
                got = b""
                while len(got) < SIZE:
                    part = one.recv(SIZE - len(got))
                    if not part:
                        break
                    got += part
                if got != message:
                    wrong.append(number)
                    return
                late.append(time.perf_counter() - begun)
                time.sleep(0.002)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(CLIENTS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sorted(late), len(wrong)


def tail(late):
    return late[len(late) * 99 // 100] if late else 0.0


def main():
    port, datagram_port, quiet = map(int, sys.argv[1:4])
    seconds = float(sys.argv[4])
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    failed = 0
    rounds = int(sys.argv[5])
    for load in LOADS:
        without, with_it, done = [], [], 0
        # In turns: what else the machine does is in both.
        for _ in range(rounds):
            late, wrong = measure(quiet, seconds)
            failed += wrong + (not late)
            without.append(tail(late))
            out = multiprocessing.Queue()
            end = time.perf_counter() + seconds + 0.2
            attacker = multiprocessing.Process(
                target=attack, args=(load, end, datagram_port if load is datagrams else port, out))
            attacker.start()
            time.sleep(0.2)
            late, wrong = measure(quiet, seconds)
            failed += wrong + (not late)
            with_it.append(tail(late))
            done += out.get()
            attacker.join()
        before, now = statistics.median(without), statistics.median(with_it)
        print(f"{load.__name__}: load {done}, p99 {before * 1e6:.0f} us without, {now * 1e6:.0f} us "
              f"with it, {now / before:.2f} x", flush=True)
    with connect(port) as one:
        one.sendall(b"still here")
        failed += one.recv(100) != b"still here"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(60)
        one.sendto(b"still here", ("127.0.0.1", datagram_port))
        failed += one.recv(100) != b"still here"
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
