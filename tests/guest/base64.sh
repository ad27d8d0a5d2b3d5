#!/usr/bin/env bash
# std.base64 against coreutils' base64: line lengths, parts of several sizes, and a reference decoder
# in Python on texts with mistakes.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/base64.atoll" -o base64.atb || exit 1

python3 -c 'import random, sys
random.seed(3); sys.stdout.buffer.write(random.randbytes(200000))' >random
for n in {0..8} 57 58 114 1000 65537 200000; do
  head -c "$n" random >bytes
  for wrap in 0 1 5 76; do
    base64 -w "$wrap" bytes >text
    for part in 1 7 65536; do
      ((part < 7 && n > 1000)) && continue
      "$ATOLL" run base64.atb encode "$wrap" "$part" <bytes >encoded
      "$ATOLL" run base64.atb decode 1 "$part" <text >decoded
      if cmp -s encoded text && cmp -s decoded bytes; then
        ok "base64/$n/$wrap/$part"
      else
        not_ok "base64/$n/$wrap/$part" "encoded or decoded otherwise"
      fi
    done
  done
done

cat >check.py <<'PYTHON'
import random, re, subprocess, sys
atoll, seed = sys.argv[1], int(sys.argv[2])
alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

def decode(text, lines):
    """The bytes, and (error, offset) or None."""
    out, group, padding, ended = b"", [], 0, False
    for at, byte in enumerate(text):
        if lines and byte in b"\n\r": continue
        if ended: return out, (1, at)
        if byte == ord("="):
            if len(group) < 2: return out, (2, at)
            if group[-1] & (15 if len(group) == 2 else 3): return out, (3, at)
            padding += 1
        elif byte not in alphabet: return out, (1, at)
        elif padding: return out, (2, at)
        else: group.append(alphabet.index(byte))
        if len(group) + padding == 4:
            bits = 0
            for value in group + [0] * padding: bits = bits << 6 | value
            out += bits.to_bytes(3, "big")[:3 - padding]
            ended, group, padding = padding > 0, [], 0
    return out, (4, len(text)) if group else None

rng = random.Random(seed)
bad = 0
for case in range(200):
    pieces = [b"A", b"g", b"Q", b"/", b"=", b"AAAA", b"Zm9v", b"Zg==", b"Zm8=", b"\n", b"\r\n", b"-", b"\0", b"\xc3"]
    weights = [4, 4, 4, 1, 1, 9, 9, 1, 1, 3, 1, .1, .1, .1]
    text = b"".join(rng.choices(pieces, weights, k=rng.randrange(12)))
    lines, part = rng.randrange(2), rng.choice([1, 3, 4, 100])
    run = subprocess.run([atoll, "run", "base64.atb", "decode", str(lines), str(part)],
                         input=text, capture_output=True)
    want, error = decode(text, lines)
    got = tuple(map(int, run.stderr.split())) or None
    if run.stdout != want or got != error:
        bad += 1
        print("not ok base64/mistakes: %r %d: %r %r, not %r %r" % (text, lines, run.stdout, got, want, error))
print("%d wrong" % bad)
PYTHON
check base64/mistakes "0 wrong" "$(python3 check.py "$ATOLL" 5)"
