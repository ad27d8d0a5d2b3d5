#!/usr/bin/env bash
# `atoll run --harden`: programs run as without it, and what the kernel refuses then.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
# The search for leaks starts a process.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

cat >hello.atoll <<'ATOLL'
module hello
use std.sys
data text = "hello\n"
export func main() {
    call write(STDOUT, text, len(text))
    ret
}
ATOLL
if ! "$ATOLL" run --harden hello.atoll >stdout 2>stderr && grep -q "^atoll: --harden: " stderr; then
  skip "atoll run --harden" "$(cat stderr)"
  exit
fi

run_expect "a program" 0 hello "$ATOLL" run --harden hello.atoll
for tier in interp jit auto; do
  run_expect "a program, $tier" 0 hello "$ATOLL" run --harden --tier $tier hello.atoll
done
run_expect "guarded memory" 0 hello "$ATOLL" run --harden --memory-strategy guarded hello.atoll
run_expect "counted fuel" 0 hello "$ATOLL" run --harden --fuel 1000 hello.atoll

samples=$root/samples
run_expect "processes" 0 "1000 processes, 10010 hops" "$ATOLL" run --harden "$samples/ring/ring.atoll"
run_expect "processes in several threads" 0 "1000 processes, 10010 hops" \
  "$ATOLL" run --harden --workers 3 "$samples/ring/ring.atoll"

mkdir -p granted/below
echo "a line" >granted/below/file
run_expect "granted files" 0 "a line" \
  "$ATOLL" run --harden --dir-ro granted "$samples/grep/grep.atoll" line granted/below/file
mounts=(dir:granted:granted:ro overlay:granted:granted)
tar -C granted -czf granted.tar.gz .
python3 -c "
import zipfile
with zipfile.ZipFile('granted.zip', 'w') as to:
    to.write('granted/below/file', 'below/file', zipfile.ZIP_DEFLATED)"
if "$ATOLL" run --mount archive:granted.zip:/a hello.atoll >/dev/null 2>&1; then
  mounts+=({archive,overlay}:granted.{tar.gz,zip}:granted)
fi
for mount in "${mounts[@]}"; do
  run_expect "files of a mount: $mount" 0 "a line" \
    "$ATOLL" run --harden --mount $mount "$samples/grep/grep.atoll" line granted/below/file
done
"$ATOLL" volume create kept.vol --size 64M >stdout
cat >fill.atoll <<'ATOLL'
module fill
use std.sys
memory 1 << 20
data path = "/v/file"
data other = "/v/other"
export func main() -> i32 {
    var h: i32, got: i32
    call open(ROOT, path, len(path), OPEN_CREATE, RIGHT_WRITE | RIGHT_TRUNCATE | RIGHT_SYNC) -> h
    if i32.lt_s h, 0 { ret 1 }
    // More than is kept beside the volume's file before it goes there.
    for i: i32 in 0 .. 40 {
        memory.fill 65536, 'x', 1 << 19
        call write(h, 65536, 1 << 19) -> got
        if i32.ne got, 1 << 19 { ret 2 }
    }
    if (call sync(h)) { ret 3 }
    if (call truncate(h, 100)) { ret 4 }
    if (call rename_at(ROOT, path, len(path), ROOT, other, len(other))) { ret 5 }
    ret (call clock_sleep(1_200_000_000))
}
ATOLL
for mount in volume overlay; do
  run_expect "files of a mount: $mount:kept.vol" 0 "" \
    "$ATOLL" run --harden --mount $mount:kept.vol:/v fill.atoll
done
run_expect "a volume below a granted directory" 0 "" \
  "$ATOLL" run --harden --dir . --mount volume:kept.vol:/v fill.atoll
check_contains "a volume is whole after that" "sound: " "$("$ATOLL" volume check kept.vol)"
"$ATOLL" volume cp kept.vol :other copied
check "and holds what was written" 100 "$(tr -d '\n' <copied | wc -c)"
check "sorted input" "$(printf 'a\nb\n')" \
  "$(printf 'b\na\n' | "$ATOLL" run --harden "$samples/sort/sort.atoll")"

# Much code, in many steps of code memory: machine code is made after the filter is there.
"$ATOLL" run --tier jit "$samples/lisp/lisp.atoll" </dev/null >plain 2>&1
"$ATOLL" run --harden "$samples/lisp/lisp.atoll" </dev/null >hardened 2>&1
check "a large program" "$(cat plain)" "$(cat hardened)"

cat >trap.atoll <<'ATOLL'
module t
memory 65536
export func main() -> i32 {
    ret (i32.load [65536])
}
ATOLL
run_expect "a trap" 134 "" "$ATOLL" run --harden trap.atoll
run_expect "a trap in guarded memory" 134 "" "$ATOLL" run --harden --memory-strategy guarded trap.atoll

cat >spin.atoll <<'ATOLL'
module spin
export func main() {
    loop { }
}
ATOLL
run_expect "a time limit" 124 "" "$ATOLL" run --harden --time 50ms spin.atoll

run_expect "--profile" 2 "" "$ATOLL" run --harden --profile out.folded hello.atoll
check_contains "--profile: and says why" "--harden" "$(cat stderr)"
