#!/usr/bin/env bash
# map_file: files in the memories of programs, in every way to run them.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
# The search for leaks makes system calls that --harden refuses.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

# `sum PATH` maps up to 4 MiB of a file, writes to it, has the memory grow, and gives a text that says what was there.
cat >sum.atoll <<'ATOLL'
module sum
use std.sys
memory 4259840
reserve path 4096
data well = "well\n"
const AT = 65536
export func main() -> i32 {
    var h: i32, n: i32, m: i32, i: i32, at: i32, wanted: i32
    call args_get(1, path, 4096) -> n
    call open(ROOT, path, n, 0, RIGHT_READ) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call map_file(h, AT, 4194304, 0) -> n
    if i32.lt_s n, 0 { ret (i32.sub 0, n) }
    // Each page begins with its number.
    loop {
        if i32.ge_u at, n { break }
        if i32.ne (i32.load [at + AT]), i { ret 200 }
        i32.store [at + AT + 4], 1
        i32.add i, i, 1
        i32.add at, at, 4096
    }
    memory.fill AT + 8192, 3, 4096
    memory.copy AT + 4096, AT + 8192, 4096
    if i32.lt_s (memory.grow 4194304), 0 { ret 201 }
    if i32.ne (i32.load8_u [AT + 4096]), 3 { ret 202 }
    if i32.ne (i32.load [AT + 12288]), 3 { ret 203 }
    if i32.ne (i32.load [AT + 12292]), 1 { ret 204 }
    // The file itself has not changed.
    call pread(h, AT, 4096, 4096) -> m
    if i32.lt_s m, 0 { ret (i32.sub 0, m) }
    if i32.ne (i32.load [AT]), 1 { ret 205 }
    if i32.ne (i32.load [AT + 4]), 0 { ret 206 }
    call write(STDOUT, well, len(well)) -> n
    ret 0
}
ATOLL
mkdir data
python3 -c '
import sys
sys.stdout.buffer.write(b"".join(i.to_bytes(4, "little") + bytes(4092) for i in range(1024)))' >data/pages
cp data/pages before

for options in "--tier interp" "--tier jit" "--tier jit --memory-strategy guarded" "--harden" \
  "--harden --memory-strategy guarded" "--stress 7"; do
  # shellcheck disable=SC2086 # several options
  run_expect "mapped: $options" 0 well "$ATOLL" run $options --dir data::/d sum.atoll /d/pages
done
check "the file is as it was" "" "$(cmp before data/pages)"
run_expect "from memory" 0 well "$ATOLL" run --mount overlay:data:/o sum.atoll /o/pages
run_expect "a limit of I/O" 19 "" "$ATOLL" run --dir data::/d --io-bytes 4M --io-operations 2 sum.atoll /d/pages
run_expect "a limit of memory" 48 "" "$ATOLL" run --dir data::/d --memory 5M sum.atoll /d/pages
head -c 8192 data/pages >data/short
run_expect "less than there is room for" 203 "" "$ATOLL" run --dir data::/d sum.atoll /d/short
