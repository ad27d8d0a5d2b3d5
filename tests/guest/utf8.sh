#!/usr/bin/env bash
# std.utf8 against Python's decoder, which divides what is not valid as WHATWG does.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/utf8.atoll" -o utf8.atb || exit 1

cat >check.py <<'PYTHON'
import random, subprocess, sys
rng = random.Random(11)
edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
         0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]
bad = 0
for case in range(60):
    parts = []
    for i in range(5000):
        kind = rng.randrange(3)
        if kind == 0: parts.append(bytes(rng.choices(edges, k=rng.randrange(6))))
        elif kind == 1: parts.append(b"plain text" * rng.randrange(3))
        else: parts.append(rng.choice("é€😀\uffff\ud7ff\ue000\U0010ffff").encode())
    text = b"".join(parts)
    if case == 0: text = b""
    if case == 1: text = "Grüße, мир, 世界 😀".encode() * 1000
    run = subprocess.run([sys.argv[1], "run", "utf8.atb"], input=text, capture_output=True)
    want = text.decode("utf-8", "replace")
    try: text.decode(); valid = len(text)
    except UnicodeDecodeError as error: valid = error.start
    if run.stdout != want.encode() or run.stderr.split() != [b"%d" % valid, b"%d" % len(want)]:
        bad += 1
        print("case", case, run.stderr, valid, len(want))
print("%d wrong" % bad)
PYTHON
check utf8/python "0 wrong" "$(python3 check.py "$ATOLL")"
