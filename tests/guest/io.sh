#!/usr/bin/env bash
# std.io: what is read and written through buffers of all sizes is what was there.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
tool=$scratch/io.atb
"$ATOLL" asm tests/guest/tools/io.atoll -o "$tool" || exit 1

python3 - "$scratch" <<'PY'
import random, sys
random.seed(7)
folder = sys.argv[1]
lines = [bytes(random.randrange(256) for _ in range(random.choice([0, 1, 5, 40, 300]))).replace(b"\n", b"") for _ in range(3000)]
samples = {
    "empty": b"", "newline": b"\n", "short": b"x", "two": b"\n\n", "mixed": b"\n".join(lines) + b"\n",
    "open": b"\n".join(lines[:100]) + b"no newline", "long": b"y" * 3_000_000 + b"\n" + b"z" * 100_000,
}
for name, text in samples.items():
    open(f"{folder}/{name}", "wb").write(text)
    rows = text.split(b"\n")
    tail = rows.pop()
    numbered = b"".join(b"%d\t%s\n" % (i + 1, row) for i, row in enumerate(rows))
    if tail:
        numbered += b"%d\t%s" % (len(rows) + 1, tail)
    open(f"{folder}/{name}.lines", "wb").write(numbered)
open(f"{folder}/mixed.numbers", "w").write("".join(f"{i} {float(i)}n\n" for i in range(len(samples["mixed"]))))
PY

# same NAME EXPECTED-FILE INPUT-FILE HOW SIZE
same() {
  if "$ATOLL" run "$tool" "$4" "$5" <"$3" | cmp - "$2" >"$scratch/difference" 2>&1; then
    ok "$1"
  else
    not_ok "$1" "$(cat "$scratch/difference")"
  fi
}
for name in empty newline short two mixed open long; do
  for size in 1 2 7 1000 65536; do
    same "io-lines-$name-$size" "$scratch/$name.lines" "$scratch/$name" l $size
    same "io-parts-$name-$size" "$scratch/$name" "$scratch/$name" p $size
  done
  same "io-bytes-$name" "$scratch/$name" "$scratch/$name" b 100
  same "io-all-$name" "$scratch/$name" "$scratch/$name" a 100
done
same io-numbers "$scratch/mixed.numbers" "$scratch/mixed" n 1000

# A pipe gives little at a time.
{ for i in 1 2 3; do printf 'a%sb\nc' "$i"; sleep 0.05; done; } | "$ATOLL" run "$tool" l 65536 >"$scratch/out"
check io-pipe $'1\ta1b\n2\tca2b\n3\tca3b\n4\tc' "$(cat "$scratch/out")"

run_expect io-read-error 3 "" "$ATOLL" run "$tool" l 100 <"$scratch"
for how in l b p a n; do
  status=0
  "$ATOLL" run "$tool" $how 100 <"$scratch/mixed" >/dev/full 2>/dev/null || status=$?
  check "io-write-error-$how" 4 "$status"
done

mkdir "$scratch/files" && cp "$scratch/mixed" "$scratch/files/file1"
(cd "$scratch/files" && printf file1 | "$ATOLL" run --dir . "$tool" f 100 >"$scratch/out")
cmp -s "$scratch/out" "$scratch/mixed" && cmp -s "$scratch/files/file2" "$scratch/mixed" &&
  ok io-files || not_ok io-files "the files differ"
(cd "$scratch/files" && printf none | "$ATOLL" run --dir . "$tool" f 100)
check io-no-file 3 "$?"
# More than the memory may have.
head -c 300000000 /dev/zero | "$ATOLL" run "$tool" l 1000 >/dev/null
check io-line-beyond-memory 3 "$?"
head -c 300000000 /dev/zero | "$ATOLL" run "$tool" a 1000 >/dev/null
check io-file-beyond-memory 3 "$?"
