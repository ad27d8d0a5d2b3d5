"""std.regex against grep -E -o -b on generated patterns and texts, all of them in two ways: each line
as a text for itself, and all lines as one text. Prints what differs, then "N cases, M wrong".

usage: regex.py ATOLL TOOL SEED CASES"""
import os
import random
import struct
import subprocess
import sys

atoll, tool, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
os.environ["LC_ALL"] = "C"
IGNORE_CASE, LINES, ONE_BY_ONE = 1, 2, 4

DEEPEST = 3
CLASSES = "alpha digit alnum upper lower space blank punct graph print cntrl xdigit".split()


def bracket():
    parts = []
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(6)
        if kind == 0:
            parts.append("[:%s:]" % rng.choice(CLASSES))
        elif kind == 1:
            # With -i, grep and its library see other letters in ranges of both cases.
            low, high = sorted(rng.choices(rng.choice(["abcdx", "ABX", "0123", " !+"]), k=2))
            parts.append("%s-%s" % (low, high))
        elif kind == 2:
            parts.append(rng.choice(["[.a.]", "[=b=]", "[.-.]"]))
        else:
            parts.append(rng.choice("abcdxyAB01_ .*+?(){}|$\\^"))
    if parts[0] == "^":
        parts[0] = "a"
    if rng.randrange(5) == 0:
        parts.insert(0, "]")
    if rng.randrange(6) == 0:
        parts.append("-")
    return "[%s%s]" % (rng.choice(["", "", "^"]), "".join(parts))


def atom(depth):
    kind = rng.randrange(20)
    if kind < 9:
        return rng.choice("aaabbbccdxyAB01_ ")
    if kind == 9:
        return "\\" + rng.choice(".*+?(){}|[]$^\\-")
    if kind == 10:
        return "."
    if kind < 13:
        return bracket()
    if kind == 13:
        return rng.choice(["\\w", "\\W", "\\s", "\\S"])
    if depth == 0:
        return rng.choice("abc")
    return "(%s)" % choice(depth - 1)


def piece(depth):
    # Inside of repetitions grep gets places wrong: b((B(c|\\<x?).+)*.){3,} does not match b123.
    if depth == DEEPEST and rng.randrange(12) == 0:
        return rng.choice(["^", "$", "\\b", "\\B", "\\<", "\\>"])
    out = atom(depth)
    kind = rng.randrange(14)
    if kind == 0:
        out += "*"
    elif kind == 1:
        out += "+"
    elif kind == 2:
        out += "?"
    elif kind == 3:
        least = rng.randrange(4)
        out += rng.choice(["{%d}" % least, "{%d,}" % least,
                           "{%d,%d}" % (least, least + rng.randrange(4))])
    return out


def choice(depth):
    branches = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        branches.append("".join(piece(depth) for _ in range(rng.randrange(1, 5))))
    if len(branches) > 1 and rng.randrange(12) == 0:
        branches[rng.randrange(len(branches))] = ""
    return "|".join(branches)


def text():
    lines = []
    for _ in range(rng.randrange(1, 40)):
        alphabet = rng.choice(["ab", "abc", "aabbccdxyAB01_ ", "ab 01_.-", "".join(map(chr, range(32, 127)))])
        line = "".join(rng.choices(alphabet, k=rng.choice([0, 1, 2, 5, 10, 30, 80]))).encode()
        if rng.randrange(20) == 0:
            line += bytes(rng.choices(range(0x80, 0x100), k=3)) + b"ab"
        lines.append(line + b"\n")
    return b"".join(lines)


cases, expected, names = [], [], []
with open("text", "wb") as file:
    pass
while len(cases) < 2 * count:
    pattern, body = choice(DEEPEST), text()
    ignore = rng.randrange(5) == 0
    with open("text", "wb") as file:
        file.write(body)
    command = ["grep", "-E", "-o", "-b", "-a"] + ["-i"] * ignore + ["-e", pattern, "text"]
    try:
        grep = subprocess.run(command, capture_output=True, timeout=1)
    except subprocess.TimeoutExpired:
        continue  # grep's time is not always linear
    if grep.returncode > 1:
        print("grep refuses %r: %s" % (pattern, grep.stderr.decode()))
        continue
    matches = ""
    for line in grep.stdout.split(b"\n")[:-1]:
        start, match = line.split(b":", 1)
        matches += "%d %d\n" % (int(start), int(start) + len(match))
    # Memory for some states only makes the others be forgotten again and again.
    size = rng.choice([1 << 17, 1 << 18, 1 << 20])
    for options in (LINES, ONE_BY_ONE):
        options |= IGNORE_CASE * ignore
        encoded = pattern.encode()
        cases.append(struct.pack("<4i", options, size, len(encoded), len(body)) + encoded + body)
        expected.append(matches)
        names.append((pattern, options, size, body))

run = subprocess.run([atoll, "run", tool], input=b"".join(cases), capture_output=True)
results = run.stdout.decode().split(".\n")
bad = 0
for name, want, got in zip(names, expected, results):
    if want != got:
        bad += 1
        if bad < 6:
            print("%r\n  grep: %r\n  here: %r" % (name, want[:300], got[:300]))
print("%d cases, %d wrong" % (len(cases), bad + len(cases) + 1 - len(results)))
