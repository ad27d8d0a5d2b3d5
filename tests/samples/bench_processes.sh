#!/usr/bin/env bash
# The programs of tests/bench/processes do what they are to measure, here with few processes.
source "$(dirname "$0")/../lib.sh"
cd "$root/tests/bench/processes" || exit 1

# few WORKERS PROGRAM LINES ARGS...: ends well and prints lines with these names (of lines with the
# same name that follow each other, one).
few() {
  local workers=$1 program=$2 lines=$3 status=0 name out
  shift 3
  name="bench/$(basename "$program") $*"
  out=$(timeout 120 "$ATOLL" run --workers "$workers" "$program" "$@" \
    </dev/null 2>"$scratch/stderr") || status=$?
  check "$name: exit status" 0 "$status"
  ((status == 0)) || head -20 "$scratch/stderr" | sed 's/^/    /'
  check "$name: lines" "$lines" "$(cut -d' ' -f1 <<<"$out" | uniq | xargs)"
}

# With one worker processes run in the order in which they were started, which these check.
few 1 spawn.atoll "spawn spawn_monitor spawn spawn_monitor spawn spawn_monitor" 1
few 1 million.atoll "at create at answer at" 500
few 2 yield.atoll yield 20 10
few 2 ping_pong.atoll ping_pong 8 100
few 2 ping_pong.atoll ping_pong 1024 100
few 2 ring.atoll ring 100 3
few 2 fan_in.atoll fan_in 20 50
few 2 pairs.atoll pairs 5 50
for hogs in 0 1 2 3 4 5; do
  few 2 sleepers.atoll "samples p50 p99 p99.9 max" 1 10 1 "$hogs"
done

clang=clang-16
sysroot=/usr/lib/wasm32-wasi
if command -v "$clang" >/dev/null && [[ -e $sysroot/libc.a ]]; then
  flags=(--target=wasm32-wasi --sysroot=/usr -O2 -mbulk-memory -msign-ext
    -isystem "$root/stdlib/guest/c" -L"$sysroot")
  "$clang" "${flags[@]}" -nostdlib -Wl,--no-entry,-z,stack-size=1024 waiters_page.c \
    -o "$scratch/waiters_page.wasm"
  "$clang" "${flags[@]}" waiters_libc.c -o "$scratch/waiters_libc.wasm"
  few 1 "$scratch/waiters_page.wasm" "at create at answer at" 50
  few 1 "$scratch/waiters_libc.wasm" "at create at answer at" 50
else
  skip bench/waiters "no C compiler for WASI"
fi
