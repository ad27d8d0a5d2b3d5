#!/usr/bin/env bash
# Modules that guests load from files: what is there, and what is none, is hostile, or changes meanwhile.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
mkdir files outside
load() { timeout 100 "$ATOLL" run --dir-ro files "$root/tests/guest/tools/load.atoll" "$@"; }

cat >child.atoll <<'END'
use std.io
export func child(x: i64) {
    var error: i32
    call io_print_i64(x)
    call io_put_byte(io_out, '\n')
    call io_flush(io_out) -> error
    ret
}
END
"$ATOLL" asm child.atoll -o files/child.atb
cat >foreign.atoll <<'END'
import func f() from "elsewhere" "f"
export func child(x: i64) {
    call f()
    ret
}
END
"$ATOLL" asm foreign.atoll -o files/foreign.atb
# WebAssembly, with a function of WASI.
cat >wasi.wat <<'END'
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "from WASI\n")
  (func (export "child") (param i64)
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 10))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
END
"$ATOLL" translate wasi.wat -o files/wasi.atb
cp files/child.atb outside/
ln -s ../outside/child.atb files/link.atb
: >files/empty
head -c 40 files/child.atb >files/cut
truncate -s $((16 << 20)) files/zeros
truncate -s $(((16 << 20) + 1)) files/large
truncate -s 10G files/huge
mkdir files/folder

run_expect modules/good 0 $'5\nfiles/child.atb loaded\nfrom WASI\nfiles/wasi.atb loaded' \
  load 1 files/child.atb files/wasi.atb
run_expect modules/often 0 "files/child.atb loaded" bash -c \
  'timeout 100 "$0" run --dir-ro files "$1" 300 files/child.atb | grep -v "^5$"' "$ATOLL" "$root/tests/guest/tools/load.atoll"
run_expect modules/none 0 "files/empty no module: offset 0x0: not an Atoll module: the first bytes are not \"\\0atb\" and a version
files/cut no module: $("$ATOLL" check files/cut 2>&1 | sed 's/^atoll: [^:]*: //; q')
files/zeros no module: offset 0x0: not an Atoll module: the first bytes are not \"\\0atb\" and a version
files/large file too large
files/huge file too large
files/foreign.atb no module: import \"elsewhere\" \"f\": unknown import: nothing here gives a function of type ()" \
  load 1 files/empty files/cut files/zeros files/large files/huge files/foreign.atb
run_expect modules/unreachable 0 "files/folder no such handle, or of another kind
files/nothing no such file or directory
outside/child.atb no such file or directory
files/link.atb the handle lacks the right" load 1 files/folder files/nothing outside/child.atb files/link.atb

# While it is loaded, the file is another one, is cut, and has other bytes: it is a module, or none.
cp files/child.atb files/moving
(
  while [[ ! -e stop ]]; do
    cp files/wasi.atb files/moving
    head -c 100 /dev/urandom >>files/moving
    cp files/child.atb files/moving
  done
) &
load 300 files/moving >out 2>errors
status=$?
touch stop
wait
check modules/moving 0 $status
check modules/moving-errors "" "$(grep -v -e '^5$' -e '^from WASI$' -e ' loaded$' -e ' no module: ' out)"
