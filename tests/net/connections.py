"""Many clients of an echo server at once: `connections.py PORT COUNT SECONDS PID`.

Connects COUNT times, has each connection answered once, and looks what memory the server's process
PID then has; then all of them talk for SECONDS, each sending 64 bytes and waiting for them. Prints
one line a figure. The exit status is 1 if a connection was refused, lost, or got other bytes.
"""

import os
import selectors
import socket
import sys
import time

SIZE = 64
AT_ONCE = 100  # that are being connected: fewer than wait in the server's line


def memory_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def kernel_memory():
    """Bytes of slabs and of socket buffers, of the whole system."""
    total = 0
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Slab:"):
                total += int(line.split()[1]) * 1024
    return total


def answered(sockets, message):
    for one in sockets:
        one.sendall(message)
    for one in sockets:
        got = b""
        while len(got) < len(message):
            part = one.recv(len(message) - len(got))
            if not part:
                raise ConnectionError("closed by the server")
            got += part
        if got != message:
            raise ConnectionError("other bytes than were sent")


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def talk(sockets, seconds):
    """How often each was answered, and how long each answer took (seconds)."""
    selector = selectors.DefaultSelector()
    answers, since, late = [0] * len(sockets), [0.0] * len(sockets), []
    for i, one in enumerate(sockets):
        selector.register(one, selectors.EVENT_READ, i)
        since[i] = time.perf_counter()
        one.sendall(b"%064d" % i)
    end = time.perf_counter() + seconds
    # Until the end, and until each has been answered at least once.
    left = len(sockets)
    waiting = len(sockets)
    while waiting:
        for key, _ in selector.select(60):
            i = key.data
            if key.fileobj.recv(SIZE) != b"%064d" % i:
                raise ConnectionError("other bytes than were sent")
            now = time.perf_counter()
            late.append(now - since[i])
            left -= answers[i] == 0
            answers[i] += 1
            if now < end or left:
                since[i] = now
                key.fileobj.sendall(b"%064d" % i)
            else:
                waiting -= 1
    selector.close()
    return answers, late


def main():
    port, count, seconds, pid = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    own, kernel = memory_of(pid, "RssAnon"), kernel_memory()
    sockets = []
    begun = time.perf_counter()
    for at in range(0, count, AT_ONCE):
        some = [socket.create_connection(("127.0.0.1", port), timeout=120)
                for _ in range(min(AT_ONCE, count - at))]
        answered(some, b"x" * SIZE)
        sockets += some
    took = time.perf_counter() - begun
    time.sleep(0.5)
    print(f"connections: {len(sockets)}, {count / took:.0f} a second")
    print(f"the server's memory: {(memory_of(pid, 'RssAnon') - own) / count:.0f} bytes a connection")
    print(f"the kernel's slabs: {(kernel_memory() - kernel) / count:.0f} bytes a connection, both ends")
    print(f"the server's descriptors: {len(os.listdir(f'/proc/{pid}/fd')) / count:.3f} a connection")
    begun = time.perf_counter()
    answers, late = talk(sockets, seconds)
    took = time.perf_counter() - begun
    print(f"echoes: {sum(answers) / took:.0f} a second; of one connection {min(answers)} to {max(answers)}")
    print(f"latency: p50 {percentile(late, 0.5) * 1e3:.1f} ms, p99 {percentile(late, 0.99) * 1e3:.1f} ms, "
          f"longest {max(late) * 1e3:.1f} ms")
    answered(sockets, b"y" * SIZE)
    for one in sockets:
        one.close()


if __name__ == "__main__":
    main()
