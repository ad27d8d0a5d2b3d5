#!/usr/bin/env bash
# samples/wordcount counts as the system's tools do, however many workers there are.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
count() { timeout 60 "$ATOLL" run --dir-ro . "$root/samples/wordcount/wordcount.atoll" "$@"; }
theirs() { # TOP FILE...
  cat "${@:2}" | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\n' | grep . | sort | uniq -c | sort -k1,1nr -k2,2 |
    awk -v top="$1" 'NR <= top { print $1, $2 } { sum += $1 } END { print sum + 0 " words" }'
}

cp "$root/docs/isa.md" "$root/docs/assembly.md" "$root/LICENSE" .
: >empty
# Words at all places around the bounds of the parts, which have 256 KiB; one word that is longer than a part.
python3 - <<'PYTHON'
import random
rng = random.Random(3)
open("edges", "w").write("".join(rng.choice(["a", "bc", "def", "ghijklm"]) + rng.choice([" ", ", ", "\n"]) for _ in range(150000)))
open("long", "w").write("x" * 600000 + " y " + "z" * 262143 + " " + "w" * 262144)
open("bytes", "wb").write(bytes(rng.randrange(256) for _ in range(300000)))
PYTHON
files=(isa.md assembly.md LICENSE)
for workers in 1 2 7; do
  run_expect "wordcount/files $workers" 0 "$(theirs 20 "${files[@]}")" count -n 20 -w $workers "${files[@]}"
done
run_expect wordcount/edges 0 "$(theirs 4 edges)" count -n 4 edges
run_expect wordcount/bytes 0 "$(theirs 30 bytes)" count -n 30 bytes
run_expect wordcount/empty 0 "0 words" count empty empty
check wordcount/long "$(theirs 5 long | md5sum)" "$(count -n 5 long | md5sum)"
run_expect wordcount/missing 1 "" count isa.md none
check wordcount/missing-message "none: no such file or directory" "$(cat stderr)"
run_expect wordcount/directory 1 "" count .
for wrong in "" "-n 0 a" "-w x a" "-q a"; do
  # shellcheck disable=SC2086
  run_expect "wordcount/refused $wrong" 2 "" count $wrong
done
