#!/usr/bin/env bash
# The C sample with a key-value store: guests good and hostile, what stays after the program ended or
# was killed, what a torn log gives. For a sanitizer's build: with that sanitizer.
source "$(dirname "$0")/prefix.sh"
sample=$root/samples/kvstore
cc=$(command -v cc || command -v gcc-12)
guests=("$sample"/guests/*.atoll)

make_it() { make -s -C "$sample" BUILD="$scratch" CFLAGS="-O2 -g -Werror" "$@" >"$scratch/log" 2>&1; }
fail_build() {
  not_ok "kvstore" "does not build"
  tail -20 "$scratch/log" | sed 's/^/    /'
  exit 1
}
if [[ -n $sanitizer ]]; then
  make_it CC=clang-19 LDFLAGS="-fsanitize=$sanitizer -fsanitize-link-c++-runtime" \
    ATOLL_CFLAGS="$sanitized" ATOLL_LIBS="$archives" || fail_build
else
  export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
  for compiler in clang-19 "$cc"; do
    rm -f "$scratch/kvstore"
    make_it CC="$compiler" LDFLAGS="-Wl,-rpath,$prefix/lib" || fail_build
  done
fi
kvstore=$scratch/kvstore
cd "$scratch" || exit 1

run_expect "kvstore/guests" 0 "batch: exit 0
counter: exit 0
  run 1
notes: exit 0
  fruit/apple
  fruit/pear
the store: 3 spaces, 42 keys, 174 bytes, all right" "$kvstore" a.log "${guests[@]}"
run_expect "kvstore/again" 0 "counter: exit 0
  run 2
the store: 3 spaces, 42 keys, 174 bytes, all right" "$kvstore" a.log "$sample/guests/counter.atoll"

if make_it guests; then
  run_expect "kvstore/wasm" 0 "words: exit 0
  and 2
  cat 1
  dog 1
  owl 1
  the 3
the store: 0 spaces, 0 keys, 0 bytes, all right" "$kvstore" words.log words.wasm
else
  skip "kvstore/wasm" "no clang-16 with lld-16 for WebAssembly"
fi

# Each is stopped, or told no; the store is as it must be.
run_expect "kvstore/hostile" 0 "address: stopped: main: out of bounds memory access
babble: stopped: main: host function failed: it says too much
$(yes '  ?[2J ??' | head -7)
endless: stopped: main: time limit reached
flood: exit 0
  8
hoard: exit 0
into: stopped: main: out of bounds memory access
large: exit 0
leave: exit 3
length: stopped: main: out of bounds memory access
prefix: stopped: main: out of bounds memory access
tickets: exit 0
trap: stopped: main: unreachable
the store: 6 spaces, 106 keys, 66620 bytes, all right" \
  "$kvstore" -t 2500 hostile.log "$sample"/hostile/*.atoll
# On a slow disk they all end while their requests are under way, and good ones run out of time.
run_expect "kvstore/slow" 0 "counter: stopped: main: time limit reached
leave: exit 3
trap: stopped: main: unreachable
the store: 2 spaces, 3 keys, 28 bytes, all right" "$kvstore" -t 100 -d 500 slow.log \
  "$sample"/guests/counter.atoll "$sample"/hostile/{leave,trap}.atoll

# Many at once share what the disk does.
many=$("$kvstore" -n 50 -d 20 many.log "${guests[@]}" "$sample"/hostile/{flood,leave,trap}.atoll)
check "kvstore/many" "50 batch
50 counter
50 flood
50 leave
50 notes
50 trap" "$(grep -v '^  \|^the store' <<<"$many" | sed 's/[.:].*//' | sort | uniq -c | sed 's/^ *//')"
check "kvstore/many/right" "all right" "$(tail -1 <<<"$many" | sed 's/.*bytes, //')"
check "kvstore/many/failed" "" "$(grep '^\(batch\|counter\|notes\).*: ' <<<"$many" | grep -v 'exit 0')"

# A torn log: whatever its end is, whole records stay and the rest is cut off.
count() { "$kvstore" "$1" "$sample/guests/counter.atoll"; }
size=$(stat -c %s a.log)
report='counter: exit 0
  run 2
the store: 3 spaces, 42 keys, 174 bytes, all right'
for lost in 1 5 11 12 20 23; do
  head -c $((size - lost)) a.log >torn.log
  run_expect "kvstore/torn/$lost" 0 "$((24 - lost)) bytes were not whole at the log's end: cut off
$report" count torn.log
done
{ cat a.log && printf 'garbage behind it'; } >torn.log
run_expect "kvstore/garbage" 0 "17 bytes were not whole at the log's end: cut off
${report/run 2/run 3}" count torn.log
{ head -c $((size - 1)) a.log && printf '9'; } >torn.log
run_expect "kvstore/checksum" 0 "24 bytes were not whole at the log's end: cut off
$report" count torn.log
printf 'KVL' >torn.log
run_expect "kvstore/new log" 0 "3 bytes were not whole at the log's end: cut off
counter: exit 0
  run 1
the store: 1 spaces, 1 keys, 5 bytes, all right" count torn.log
printf 'something else' >other.log
run_expect "kvstore/other file" 2 "" count other.log
check "kvstore/other file/kept" "something else" "$(cat other.log)"

# Killed at any moment, what it acknowledged is there: counters only go up.
last=0
for delay in 0.02 0.05 0.08 0.11 0.14; do
  "$kvstore" -n 20 -d 10 killed.log "${guests[@]}" >/dev/null 2>&1 &
  sleep $delay
  kill -9 $! && wait $! 2>/dev/null
  run=$(count killed.log | sed -n 's/^  run //p')
  ((run > last)) || not_ok "kvstore/killed" "run $run after run $last"
  last=$run
done
check_contains "kvstore/killed" "all right" "$(count killed.log)"
