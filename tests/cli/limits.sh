#!/usr/bin/env bash
# Limits and traps: exit codes, messages, traces, and that limits are reached in time.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
limits=$root/tests/bench/atoll/limits
# Milliseconds after a limit that mean a hang. How late ends really are is a benchmark figure.
hang=20000

# ends NAME STATUS AFTER COMMAND...: COMMAND ends with STATUS, not before AFTER milliseconds, and
# does not hang.
ends() {
  local name=$1 status=$2 after=$3 begin took got
  shift 3
  begin=${EPOCHREALTIME/./}
  "$@" >stdout 2>stderr
  got=$?
  took=$(((${EPOCHREALTIME/./} - begin) / 1000))
  if ((got != status)); then
    not_ok "$name" "exit status $got, expected $status: $(head -3 stderr)"
  elif ((took < after)); then
    not_ok "$name" "ended after $took ms, before its limit of $after ms"
  elif ((took > after + hang)); then
    not_ok "$name" "hung: ended $((took - after)) ms after its limit"
  else
    ok "$name"
  fi
}

cat >trap.atoll <<'ATOLL'
module demo
func divide(a: i32, b: i32) -> i32 {
    ret (i32.div_s a, b)
}
func mean(sum: i32, n: i32) -> i32 {
    ret (call divide(sum, n))
}
export func main() -> i32 {
    ret (call mean(10, 0))
}
ATOLL
cat >copy.atoll <<'ATOLL'
module copy
memory 1 << 30
export func main() {
    loop { memory.copy 0, 1, (1 << 30) - 1 }
}
ATOLL
cat >start.atoll <<'ATOLL'
module start_first
global ready: mut i32 = 0
func init() { global.set ready, 5; ret }
start init
export func main() -> i32 { ret (global.get ready) }
ATOLL
cat >start_loop.atoll <<'ATOLL'
module start_loop
func init() { loop { } }
start init
export func main() { ret }
ATOLL

run_expect "a trap" 134 "" "$ATOLL" run trap.atoll
check "a trap's message and trace" "atoll: trap: integer divide by zero
  at divide (trap.atoll:3:LINE)
  at mean (trap.atoll:6:LINE)
  at main (trap.atoll:9:LINE)" "$(sed -E 's/:[0-9]+\)/:LINE)/' stderr)"
"$ATOLL" asm trap.atoll
run_expect "a trap in a module file" 134 "" "$ATOLL" run trap.atb
check_contains "its trace has lines" "at divide (trap.atoll:3:" "$(cat stderr)"
"$ATOLL" asm --strip trap.atoll -o stripped.atb
run_expect "a trap without a line table" 134 "" "$ATOLL" run stripped.atb
check_contains "its trace has words" "(word " "$(cat stderr)"

ends "endless recursion" 134 0 "$ATOLL" run "$limits/recurse.atoll"
check_contains "its message" "atoll: trap: call stack exhausted" "$(cat stderr)"
check_contains "its trace leaves the middle out" "  ... " "$(cat stderr)"
check_contains "and ends at main" "  at main (" "$(tail -1 stderr)"
ends "endless recursion, small stack" 134 0 "$ATOLL" run --stack 4k "$limits/recurse.atoll"
run_expect "endless recursion, large stack" 134 "" "$ATOLL" run --stack 64M "$limits/recurse.atoll"

run_expect "the start function runs first" 5 "" "$ATOLL" run start.atoll
ends "time: a loop" 124 100 "$ATOLL" run --time 100ms "$limits/loop.atoll"
check_contains "its message" "atoll: time limit reached" "$(cat stderr)"
check_contains "its trace" "  at main (" "$(cat stderr)"
ends "time: a loop in the start function" 124 100 "$ATOLL" run --time 0.1s start_loop.atoll
ends "time: sleeping" 124 100 "$ATOLL" run --time 100ms "$limits/sleep.atoll"
mkfifo silent && exec 8<>silent
ends "time: waiting for input" 124 100 "$ATOLL" run --time 100ms "$limits/read.atoll" <&8
mkfifo full && exec 9<>full
ends "time: output into a full pipe" 124 100 \
  bash -c '"$0" run --time 100ms "$1" >&9' "$ATOLL" "$limits/flood.atoll"
ends "time: copies of a whole memory" 124 100 "$ATOLL" run --time 100ms copy.atoll
ends "time: none left" 124 0 "$ATOLL" run --time 0ms "$limits/loop.atoll"
run_expect "time: enough" 5 "" "$ATOLL" run --time 10m start.atoll
run_expect "time: more than clocks hold" 5 "" "$ATOLL" run --time 999999999999s start.atoll

ends "fuel: a loop" 152 0 "$ATOLL" run --fuel 1000000 "$limits/loop.atoll"
check_contains "its message" "atoll: all fuel consumed" "$(cat stderr)"
ends "fuel: none" 152 0 "$ATOLL" run --fuel 0 "$limits/loop.atoll"
run_expect "fuel: enough" 5 "" "$ATOLL" run --fuel 1000 start.atoll
run_expect "fuel: the largest number" 5 "" "$ATOLL" run --fuel 18446744073709551615 start.atoll
"$ATOLL" run --stats --fuel 1000 trap.atoll 2>&1 | grep fuel >fuel1
"$ATOLL" run --stats --fuel 500 trap.atoll 2>&1 | grep fuel >fuel2
check "fuel used is the same each time" "$(cat fuel1)" "$(cat fuel2)"

ends "memory.grow to the limit" 1 0 "$ATOLL" run --memory 1M "$limits/grow.atoll"
printf 'module m\nmemory 1 << 20\nexport func main() -> i32 { ret 0 }\n' >megabyte.atoll
run_expect "a memory that does not fit the limit" 126 "" "$ATOLL" run --memory 512k megabyte.atoll
check_contains "its message" "memory" "$(cat stderr)"
run_expect "a memory that just fits" 0 "" "$ATOLL" run --memory 1M megabyte.atoll
for strategy in checked guarded; do
  run_expect "memory strategy $strategy" 0 "" "$ATOLL" run --memory-strategy $strategy megabyte.atoll
done
printf 'module m\nmemory 65536\nexport func main() -> i32 { ret (i32.load [65533]) }\n' >outside.atoll
for strategy in checked guarded; do
  run_expect "outside the memory, $strategy" 134 "" "$ATOLL" run --memory-strategy $strategy outside.atoll
  check_contains "its message, $strategy" "out of bounds memory access" "$(cat stderr)"
done

# The sanitizers' own address space is more than any limit of it.
if [[ ${ATOLL_PRESET:-release} == release ]]; then
  run_expect "no address space for a guarded memory" 126 "" \
    bash -c 'ulimit -v 2000000; exec "$@"' - "$ATOLL" run --memory-strategy guarded outside.atoll
  check "its message" "atoll: memory 0: the host has no room for it" "$(cat stderr)"
fi

# How many messages lie in a mailbox before there is no room.
cat >messages.atoll <<'ATOLL'
module m
use std.sys
reserve byte 1
export func main() -> i32 {
    var count: i32, error: i32
    loop {
        call process_send((call process_self()), 0, byte, 1) -> error
        if error { break }
        i32.add count, count, 1
    }
    if i32.ne error, -E_AGAIN { unreachable }
    ret count
}
ATOLL
for messages in 0 1 77; do
  run_expect "--mailbox $messages" $messages "" "$ATOLL" run --mailbox $messages messages.atoll
done
