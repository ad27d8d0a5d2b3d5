#!/usr/bin/env bash
# `atoll run --profile`: which functions the samples are of, in each tier; and the files.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
if ! command -v python3 >/dev/null; then
  skip "profiles" "no python3"
  exit 0
fi

# Nearly all of its time is that of main;work;hot, for 300 ms.
cat >hot.atoll <<'ATOLL'
module hot
use std.sys

func hot(n: i32) -> i32 {
    var i: i32, s: i32
turn:
    i32.xor s, s, i
    i32.add i, i, 1
    br.i32.lt_s i, n, turn
    ret s
}

func cold(x: i32) -> i32 { ret (i32.mul x, 3) }

func work() {
    var x: i32
    call hot(50_000) -> x
    call cold(x) -> x
    ret
}

func until(end: i64) {
    while i64.lt_s (call clock_now(CLOCK_MONOTONIC)), end { call work() }
    ret
}

export func main() -> i32 {
    call until((i64.add (call clock_now(CLOCK_MONOTONIC)), 300_000_000))
    ret 7
}

export func sum(n: i32) -> i32 { ret (call hot(n)) }

export func fall() -> i32 {
    call until((i64.add (call clock_now(CLOCK_MONOTONIC)), 100_000_000))
    unreachable
}

export func endless() {
    call until(0x7fff_ffff_ffff_ffff)
    ret
}

func dive(n: i32) {
    if n {
        call dive((i32.sub n, 1))
        ret
    }
    call until((i64.add (call clock_now(CLOCK_MONOTONIC)), 300_000_000))
    ret
}
export func deep() {
    call dive(5000)
    ret
}
ATOLL

# mostly FILE STACK: STACK has most of the samples of FILE, which has three at least.
mostly() {
  python3 - "$@" <<'PYTHON'
import sys
counts = {}
for line in open(sys.argv[1]):
    stack, count = line.rsplit(" ", 1)
    assert stack not in counts and int(count) > 0, line
    counts[stack] = int(count)
total, found = sum(counts.values()), counts.get(sys.argv[2], 0)
print("mostly" if total >= 3 and found > total / 2 else f"{found} of {total}: {counts}")
PYTHON
}

for tier in interp jit auto; do
  run_expect "$tier: the program's exit code" 7 "" "$ATOLL" run --tier $tier --profile $tier.folded hot.atoll
  check "$tier: no message" "" "$(cat stderr)"
  check "$tier: most samples" mostly "$(mostly $tier.folded 'main;until;work;hot')"
done
check "without the option there is no profile" "auto.folded hot.atoll interp.folded jit.folded stderr" "$(echo *)"

# A sample stands for CPU time: of 300 ms, no more than that.
run_expect "--profile-every" 7 "" "$ATOLL" run --profile every.txt --profile-every 20ms hot.atoll
check "--profile-every: most samples" mostly "$(mostly every.txt 'main;until;work;hot')"
(($(awk '{ n += $NF } END { print n }' every.txt) <= 17)) && ok "--profile-every: their number" ||
  not_ok "--profile-every: their number" "$(cat every.txt)"
run_expect "with fuel" 7 "" "$ATOLL" run --fuel 1000000000000 --profile fuel.folded hot.atoll
check "with fuel: most samples" mostly "$(mostly fuel.folded 'main;until;work;hot')"
"$ATOLL" run --profile invoke.folded --invoke sum hot.atoll 100000000 >out
check "--invoke: the result" 0 $?
check "--invoke: most samples" mostly "$(mostly invoke.folded 'sum;hot')"

# However it ends.
run_expect "a trap" 134 "" "$ATOLL" run --profile trap.folded --invoke fall hot.atoll
check "a trap: most samples" mostly "$(mostly trap.folded 'fall;until;work;hot')"
run_expect "the time limit" 124 "" "$ATOLL" run --time 300ms --profile time.folded --invoke endless hot.atoll
check "the time limit: most samples" mostly "$(mostly time.folded 'endless;until;work;hot')"

# --- Images ---
# A function's box lies within its caller's, as wide as its part of all samples.
cat >boxes.py <<'PYTHON'
import re, sys
import xml.etree.ElementTree as xml
svg = "{http://www.w3.org/2000/svg}"
root = xml.parse(sys.argv[1]).getroot()
assert root.tag == svg + "svg"
boxes = []
for group in root.iter(svg + "g"):
    title, rect = group.find(svg + "title").text, group.find(svg + "rect")
    name, samples, percent, own = re.fullmatch(r"(.*): (\d+) samples, ([\d.]+) %, (\d+) of them its own", title, re.S).groups()
    boxes.append((name, int(samples), float(percent), int(own), *(float(rect.get(k)) for k in ("x", "y", "width"))))
boxes.sort(key=lambda box: -box[5])
name, total, percent, own, x, bottom, wide = boxes[0]
assert (name, percent, own) == ("all", 100, 0) and wide > 1000
assert f"{total} samples" in "".join(t.text for t in root.iter(svg + "text"))
assert sum(box[3] for box in boxes) <= total
for name, samples, percent, own, x, y, width in boxes:
    assert abs(percent - 100 * samples / total) < 0.01 and own <= samples, name
    assert y == bottom or any(
        abs(b[5] - y - 17) < 0.1 and b[4] - 0.1 <= x and x + width <= b[4] + b[6] + 0.1 for b in boxes), name
    assert y >= 0 and x + width <= float(root.get("width")) and y < float(root.get("height")), name
print(*[box[0] for box in boxes if box[2] > 50], sep=", ")
PYTHON
run_expect "an image" 7 "" "$ATOLL" run --profile hot.svg hot.atoll
check "an image: its boxes" "all, main, until, work, hot" "$(python3 boxes.py hot.svg 2>&1)"
check_contains "an image: of what" "hot.atoll, a sample every 1 ms of CPU time" "$(cat hot.svg)"

run_expect "a deep stack" 0 "" "$ATOLL" run --profile deep.folded --invoke deep hot.atoll
check "a deep stack: its middle is left out" "128 calls, of these dive: 124" "$(awk '
  NF == 4 && /^deep;dive;.*;dive;\[calls left out\];dive;.*;dive;until;work;hot / {
    print gsub(/;/, ";") " calls, of these dive: " gsub(/dive/, "") }' deep.folded)"

# --- Several processes, each with its own stack ---
cat >many.atoll <<'ATOLL'
module many
use std.process
use std.sys

data left_name = "left"
data right_name = "right"
reserve inbox sizeof(ProcessInbox) align 8

func spin(n: i32) -> i32 {
    var i: i32
turn:
    i32.add i, i, 1
    br.i32.lt_s i, n, turn
    ret i
}
func until(end: i64) {
    var error: i32
    while i64.lt_s (call clock_now(CLOCK_MONOTONIC)), end { call spin(50_000) -> error }
    call process_send((call process_parent()), 1, 0, 0) -> error
    ret
}
export func left(end: i64) {
    call until(end)
    ret
}
export func right(end: i64) {
    call until(end)
    ret
}
export func main() -> i32 {
    var end: i64, pid: i64, error: i32
    i64.add end, (call clock_now(CLOCK_MONOTONIC)), 400_000_000
    call process_start_i64(left_name, len(left_name), end, 0) -> pid
    call process_start_i64(right_name, len(right_name), end, 0) -> pid
    call process_receive(inbox, 1, -1) -> error
    call process_receive(inbox, 1, -1) -> error
    ret error
}
ATOLL
for tier in interp jit; do
  for workers in 1 3; do
    name="processes, $tier, $workers workers"
    run_expect "$name" 0 "" "$ATOLL" run --tier $tier --workers $workers --profile many.folded many.atoll
    check "$name: both" $'left\nright' "$(grep -oE '^(left|right);until;spin [1-9]' many.folded | cut -d';' -f1)"
    sed -i 's/^right/left/' many.folded
    check "$name: most samples" mostly \
      "$(awk '{ n[$1] += $2 } END { for (each in n) print each, n[each] }' many.folded >sum.folded; mostly sum.folded 'left;until;spin')"
  done
done
run_expect "processes, under stress" 0 "" "$ATOLL" run --stress 5 --profile many.folded many.atoll

# --- WebAssembly, whose names may be anything ---
if command -v wat2wasm >/dev/null; then
  cat >names.wat <<'WAT'
(module
  (func $"a<b>;&\"\0a\c3\a9" (param $n i32)
    (loop $turn
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $turn (local.get $n))))
  (func $twice (call 0 (i32.const 100000000)) (call 0 (i32.const 100000000)))
  (func (export "_start") (call $twice)))
WAT
  if wat2wasm --debug-names names.wat -o names.wasm 2>/dev/null; then
    wasm='names.wasm'
  else
    wasm=''
    skip "WebAssembly: strange names" "this wat2wasm has no names in quotes"
  fi
  for tier in interp jit; do
    [[ $wasm ]] || break
    run_expect "WebAssembly, $tier" 0 "" "$ATOLL" run --tier $tier --profile wasm.folded $wasm
    check "WebAssembly, $tier: most samples" mostly "$(mostly wasm.folded $'_start;twice;a<b>:&"?\xc3\xa9')"
  done
  if [[ $wasm ]]; then
    run_expect "WebAssembly: an image" 0 "" "$ATOLL" run --profile wasm.svg $wasm
    check "WebAssembly: its boxes" $'all, _start, twice, a<b>;&"\n\xc3\xa9' "$(PYTHONIOENCODING=utf-8 python3 boxes.py wasm.svg 2>&1)"
  fi
else
  skip "WebAssembly" "no wat2wasm (apt-get install wabt)"
fi

# --- What is refused ---
refused() { # NAME STATUS MESSAGE COMMAND...
  run_expect "$1" "$2" "" "${@:4}"
  check_contains "$1: message" "$3" "$(cat stderr)"
}
refused "a file that can't be written" 126 "nowhere/x.svg: No such file" "$ATOLL" run --profile nowhere/x.svg hot.atoll
mkdir folder.svg
refused "a directory" 126 "folder.svg: Is a directory" "$ATOLL" run --profile folder.svg hot.atoll
refused "another kind of file" 2 "must end in .svg, .folded or .txt" "$ATOLL" run --profile x.json hot.atoll
for every in 0ms x 5 61m; do
  refused "--profile-every $every" 2 "is not a duration from 1ms to 60m" \
    "$ATOLL" run --profile x.svg --profile-every $every hot.atoll
done
refused "no program" 126 "main" "$ATOLL" run --profile none.svg /dev/null
[[ ! -e none.svg ]] && ok "no program, no profile" || not_ok "no program, no profile" "it is there"

# A program that ends at once has no samples: then there is an image that says so.
"$ATOLL" run --profile none.svg --profile-every 60m --invoke sum hot.atoll 1 >out 2>stderr
check_contains "no samples: message" "--profile: no samples" "$(cat stderr)"
check_contains "no samples: the image" "no samples" "$(cat none.svg)"
python3 -c 'import sys, xml.etree.ElementTree as x; x.parse("none.svg")' && ok "no samples: XML" ||
  not_ok "no samples: XML" "see above"
