#!/usr/bin/env bash
# Rates of I/O: calls wait beyond them. A test is about who waits for at least how long by the guest's clock; nothing is
# ever too late.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# `write COUNT SIZE` writes SIZE bytes COUNT times to nowhere, and prints whether that took a tenth of a second.
cat >write.atoll <<'ATOLL'
module write
use std.int
use std.io
use std.sys
data path = "/dev/null"
data waited = "waited"
reserve text 4096
func number(index: i32) -> i32 {
    var n: i32, value: i32, error: i32
    call args_get(index, text, 4096) -> n
    call int_parse_u32(text, n, 10) -> value, error
    ret value
}
export func main() -> i32 {
    var h: i32, count: i32, size: i32, error: i32, begin: i64
    call number(1) -> count
    call number(2) -> size
    call open(ROOT, path, len(path), 0, RIGHT_WRITE) -> h
    if i32.lt_s h, 0 { ret (i32.sub 0, h) }
    call clock_now(CLOCK_MONOTONIC) -> begin
    loop {
        call io_write_all(h, text, size) -> error
        if error { ret (i32.sub 0, error) }
        i32.sub count, count, 1
        if i32.eqz count { break }
    }
    if i64.ge_s (i64.sub (call clock_now(CLOCK_MONOTONIC)), begin), 100_000_000 {
        call io_write_all(STDOUT, waited, len(waited)) -> error
    }
    ret 0
}
ATOLL
run() { "$ATOLL" run --mount dev::/dev "$@"; }
dquot=19

# 12 bytes, then half of that as much.
run_expect "bytes a second" 0 waited run --io-bytes-rate 2000/s write.atoll 3 1000
run_expect "bytes a second: large ones go in pieces" 0 waited run --io-bytes-rate 2000 write.atoll 1 2400
run_expect "bytes a second: a size with a unit" 0 waited run --io-bytes-rate 2k/s write.atoll 3 1000
run_expect "operations a second" 0 waited run --io-operations-rate 10 write.atoll 12 1
run_expect "with totals: bytes" $dquot "" run --io-bytes-rate 1G --io-bytes 2999 write.atoll 3 1000
run_expect "with totals: operations" $dquot "" run --io-operations-rate 1000 --io-operations 3 write.atoll 3 1000
# What waits for hours ends at once.
got=0
timeout 60 "$ATOLL" run --mount dev::/dev --time 200ms --io-bytes-rate 1 write.atoll 10 1000 >out 2>&1 || got=$?
check "who waits can be ended" 124 "$got"

got=0
text=$(run --io-bytes-rate 0 write.atoll 1 1 2>&1) || got=$?
check "a rate of nothing: status" 2 "$got"
check_contains "a rate of nothing" "--io-bytes-rate: '0' is not a size from 1 on" "$text"
text=$(run --io-bytes-rate 1M/m write.atoll 1 1 2>&1)
check_contains "another time than a second" "--io-bytes-rate: '1M/m' is not a size" "$text"
text=$(run --io-operations-rate 0 write.atoll 1 1 2>&1)
check_contains "no operations" "--io-operations-rate: it is at least 1" "$text"

cat >cat.atoll <<'ATOLL'
module cat
use std.sys
reserve path 256
reserve buffer 4096
export func main() -> i32 {
    var n: i32, h: i32
    call args_get(1, path, 256) -> n
    call open(ROOT, path, n, 0, RIGHT_READ) -> h
    call read(h, buffer, 4096) -> n
    call write(STDOUT, buffer, n) -> n
    ret 0
}
ATOLL
rates() { grep _rate | tr '\n' ' '; }
check "a process sees its own" "io_bytes_rate 65536 io_operations_rate 500 " \
  "$("$ATOLL" run --mount proc::/proc --io-bytes-rate 64k/s --io-operations-rate 500 cat.atoll /proc/self/limits | rates)"
check "none" "io_bytes_rate unlimited io_operations_rate unlimited " \
  "$("$ATOLL" run --mount proc::/proc cat.atoll /proc/self/limits | rates)"
cat >machine.toml <<'TOML'
[[machine]]
name = "rated"
module = "cat.atoll"
arguments = ["/proc/machine/limits"]
mounts = [{ type = "proc", guest = "/proc", access = "ro" }]
stdout = "limits"
limits = { io_bytes_rate = "1 MiB/s", io_operations_rate = 1000 }
process = { io_bytes_rate = "64k", io_operations_rate = 100 }
TOML
run_expect "a machine" 0 "" "$ATOLL" up machine.toml
check "a machine: its limits" "io_bytes_rate 1048576 io_operations_rate 1000 " "$(rates <limits)"
rm limits
sed -i 's|/proc/machine/limits|/proc/self/limits|' machine.toml
run_expect "a process of a machine" 0 "" "$ATOLL" up machine.toml
check "a process of a machine: its limits" "io_bytes_rate 65536 io_operations_rate 100 " "$(rates <limits)"

text=$("$ATOLL" run --net bandwidth=0 cat.atoll 2>&1)
check_contains "a network's bandwidth" "write bandwidth=SIZE, bytes a second like 500k or 2M" "$text"
