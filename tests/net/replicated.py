"""Three nodes of samples/replicated behind links with faults: `replicated.py ATOLL SAMPLE DIRECTORY SEED COUNT`.

Each of COUNT schedules, from SEED on, begins with three new nodes. Datagrams between two nodes go
through this program, which loses, doubles, delays and reorders them, cuts links in one or both
directions, and also kills nodes and starts them again; all drawn from the schedule's seed. Meanwhile
clients add entries, each one after the other and until it is told that the entry is kept. In the
end, when all links are whole, each node must have the same log, with all entries that somebody was
told of, each once, at the place that was told, and in each client's order. Prints one line a
schedule, and "FAILED" with what is wrong and the seed. How long anything takes decides nothing, but
that three whole nodes agree within two minutes.
"""

import heapq
import os
import pathlib
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

HEAD = struct.Struct("<8i")
ENTRY = struct.Struct("<iiq48s")
PUT, PUT_DONE, GET, GOT = 5, 6, 7, 8
PATIENCE = 120


class Wrong(Exception):
    pass


def datagrams():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    return one


class Links(threading.Thread):
    """Forwards what node i sends to node j, and what becomes of it on the way."""

    def __init__(self, rng, ports):
        super().__init__(daemon=True)
        self.rng, self.ports = rng, ports
        self.sockets = {(i, j): datagrams() for i in range(3) for j in range(3) if i != j}
        self.where = {one: pair for pair, one in self.sockets.items()}
        self.faults = {pair: (0.0, 0.0, 0.0) for pair in self.sockets}  # loss, doubling, seconds
        self.cut = set()
        self.stopped = False
        self.lost = self.passed = 0

    def run(self):
        late, number = [], 0
        while not self.stopped:
            wait = min(0.05, max(0.0, late[0][0] - time.monotonic())) if late else 0.05
            for one in select.select(list(self.where), [], [], wait)[0]:
                packet = one.recv(4096)
                pair = self.where[one]
                loss, doubling, seconds = self.faults[pair]
                for _ in range(2 if self.rng.random() < doubling else 1):
                    if self.rng.random() < loss:
                        self.lost += 1
                        continue
                    number += 1
                    heapq.heappush(late, (time.monotonic() + self.rng.random() * seconds, number,
                                          pair, packet))
            while late and late[0][0] <= time.monotonic():
                _, _, pair, packet = heapq.heappop(late)
                if pair in self.cut:
                    self.lost += 1
                    continue
                self.passed += 1
                self.sockets[pair].sendto(packet, ("127.0.0.1", self.ports[pair[1]]))
        for one in self.where:
            one.close()


class Nodes:
    def __init__(self, atoll, sample, folder, links, ports):
        self.atoll, self.sample, self.folder, self.links, self.ports = atoll, sample, folder, links, ports
        self.running = [None, None, None]

    def start(self, i):
        others = [str(each) for j in range(3) if j != i
                  for each in ("127.0.0.1", self.links.sockets[i, j].getsockname()[1])]
        self.running[i] = subprocess.Popen(
            [self.atoll, "run", "--net", f"udp-listen:127.0.0.1:{self.ports[i]},udp:127.0.0.1:*", "--dir", f"{self.folder}::.",
             self.sample, str(i), "127.0.0.1", str(self.ports[i]), *others, f"log{i}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.folder / f"err{i}", "ab"))

    def kill(self, i):
        self.running[i].kill()
        self.running[i].wait()

    def check(self):
        for i in range(3):
            if self.running[i].poll() is not None:
                raise Wrong(f"node {i} ended: {(self.folder / f'err{i}').read_text()}")


class Client(threading.Thread):
    """Adds entries, one after the other, until it is to stop; `told` has where they are."""

    def __init__(self, number, ports, rng, most):
        super().__init__(daemon=True)
        self.number, self.ports, self.rng, self.most = number, ports, rng, most
        self.told, self.stopped, self.sent = {}, False, 0

    def run(self):
        with datagrams() as one:
            one.settimeout(0.03)
            at = self.number % 3
            while not self.stopped and self.sent < self.most:
                self.sent += 1
                name = self.number << 32 | self.sent
                text = b"%d-%d" % (self.number, self.sent)
                packet = HEAD.pack(PUT, 0, 0, 0, 0, 0, 1, 0) + ENTRY.pack(0, len(text), name, text)
                while not self.stopped and name not in self.told:
                    one.sendto(packet, ("127.0.0.1", self.ports[at]))
                    try:
                        answer = one.recv(4096)
                    except OSError:
                        # The leader may have changed, and the answer been lost.
                        if self.rng.random() < 0.2:
                            at = self.rng.randrange(3)
                        continue
                    kind, _, _, index, _, _, _, good = HEAD.unpack_from(answer)
                    if kind == PUT_DONE and good:
                        # It may be a late one, of an entry before.
                        self.told[ENTRY.unpack_from(answer, HEAD.size)[2]] = index
                    elif kind == PUT_DONE:
                        at = index if index >= 0 else self.rng.randrange(3)
                        time.sleep(0.005)


def entries_of(port, until):
    """All entries that a node says are kept: (term, number, bytes)."""
    found = []
    with datagrams() as one:
        one.settimeout(0.1)
        while True:
            one.sendto(HEAD.pack(GET, 0, 0, len(found) + 1, 0, 0, 0, 0), ("127.0.0.1", port))
            try:
                packet = one.recv(4096)
            except OSError:
                if time.monotonic() > until:
                    raise Wrong(f"no answer from port {port}") from None
                continue
            kind, _, _, index, _, _, count, _ = HEAD.unpack_from(packet)
            if kind != GOT or index != len(found) + 1:
                continue
            if count == 0:
                return found
            for i in range(count):
                term, size, name, text = ENTRY.unpack_from(packet, HEAD.size + i * ENTRY.size)
                found.append((term, name, text[:size]))


def disturb(rng, links, nodes, steps):
    """Faults, one after the other. Gives how many nodes were killed."""
    killed = 0
    for _ in range(steps):
        what = rng.choice(["isolate", "one way", "bad", "late", "kill", "split", "whole"])
        node = rng.randrange(3)
        links.cut, pairs = set(), list(links.sockets)
        if what == "isolate":
            links.cut = {pair for pair in pairs if node in pair}
        elif what == "one way":
            links.cut = {pair for pair in pairs if pair[0] == node}
        elif what == "split":
            links.cut = set(rng.sample(pairs, rng.randrange(1, 6)))
        elif what in ("bad", "late"):
            for pair in pairs:
                links.faults[pair] = ((rng.random() * 0.5, rng.random() * 0.5, rng.random() * 0.03) if what == "bad"
                                      else (0.05, 0.2, rng.random() * 0.15))
        elif what == "whole":
            for pair in pairs:
                links.faults[pair] = (0.0, 0.0, 0.0)
        else:
            nodes.kill(node)
            killed += 1
            time.sleep(rng.random() * 0.2)
            nodes.start(node)
        time.sleep(0.05 + rng.random() * 0.25)
    return killed


def check(logs, clients):
    longest = max(logs, key=len)
    for i, log in enumerate(logs):
        if log != longest[:len(log)]:
            raise Wrong(f"node {i} has another log: entry {next(k for k, (a, b) in enumerate(zip(log, longest)) if a != b) + 1}")
    if any(a[0] > b[0] for a, b in zip(longest, longest[1:])):
        raise Wrong("terms go back")
    places = {}
    for place, (_, name, text) in enumerate(longest, 1):
        if name == 0:
            continue
        if name in places:
            raise Wrong(f"entry {text} is there twice, at {places[name]} and {place}")
        if text != b"%d-%d" % (name >> 32, name & 0xffffffff):
            raise Wrong(f"entry {name} has other bytes: {text}")
        places[name] = place
    for client in clients:
        for name, place in client.told.items():
            if places.get(name) != place:
                raise Wrong(f"{name >> 32}-{name & 0xffffffff} was told to be at {place}, and is at {places.get(name)}")
        own = [name for name in places if name >> 32 == client.number]
        if own != sorted(own):
            raise Wrong(f"the entries of client {client.number} have another order")


def schedule(atoll, sample, folder, seed):
    rng = random.Random(seed)
    sockets = [datagrams() for _ in range(3)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    links = Links(random.Random(rng.random()), ports)
    nodes = Nodes(atoll, sample, folder, links, ports)
    clients = [Client(i + 1, ports, random.Random(rng.random()), 10_000) for i in range(2)]
    # Links are to be there before anybody sends.
    links.start()
    for i in range(3):
        nodes.start(i)
    try:
        for each in clients:
            each.start()
        time.sleep(0.2)
        killed = disturb(rng, links, nodes, rng.randrange(2, 6))
        links.cut = set()
        for pair in links.sockets:
            links.faults[pair] = (0.0, 0.0, 0.0)
        # Whole nodes serve again: each client is told of some more.
        until = time.monotonic() + PATIENCE
        for each in clients:
            before = len(each.told)
            while len(each.told) < before + 3:
                nodes.check()
                if time.monotonic() > until:
                    raise Wrong("nobody is served, although all links are whole")
                time.sleep(0.01)
        for each in clients:
            each.stopped = True
        for each in clients:
            each.join()
        most = max(place for each in clients for place in each.told.values())
        logs = []
        for port in ports:
            while len(log := entries_of(port, until)) < most:
                if time.monotonic() > until:
                    raise Wrong("a node does not hear of all entries, although all links are whole")
                time.sleep(0.02)
            logs.append(log)
        nodes.check()
        check(logs, clients)
        terms = len({term for term, _, _ in logs[0]})
        return (f"{sum(len(each.told) for each in clients)} entries, {terms} leaders' terms, {killed} killed, "
                f"{links.lost} of {links.lost + links.passed} datagrams lost")
    finally:
        for each in clients:
            each.stopped = True
        links.stopped = True
        for i in range(3):
            if nodes.running[i]:
                nodes.kill(i)
        links.join()


def main():
    atoll, sample, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    seed, count = int(sys.argv[4]), int(sys.argv[5])
    failed = 0
    for each in range(seed, seed + count):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        try:
            print(f"seed {each}: {schedule(atoll, sample, folder, each)}", flush=True)
        except Wrong as wrong:
            failed += 1
            print(f"FAILED seed {each}: {wrong}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
