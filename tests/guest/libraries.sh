#!/usr/bin/env bash
# How libraries are found, and that misuse of them traps.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

printf 'use std.nothing\n' >"$scratch/unknown.atoll"
run_expect libraries-unknown 1 "" "$ATOLL" check "$scratch/unknown.atoll"
check_contains libraries-unknown-message 'there is no library `std.nothing`' "$(cat "$scratch/stderr")"
for source in stdlib/guest/*.atoll; do
  name=std.$(basename "$source" .atoll)
  check_contains "libraries-listed-$name" " $name" "$(tr ',' '\n' <"$scratch/stderr")"
done

# All libraries at once: their names don't meet. What is not needed leaves nothing behind.
for source in stdlib/guest/*.atoll; do
  echo "use std.$(basename "$source" .atoll)"
done >"$scratch/all.atoll"
echo 'export func main() -> i32 { ret 7 }' >>"$scratch/all.atoll"
echo 'export func main() -> i32 { ret 7 }' >"$scratch/none.atoll"
run_expect libraries-all 7 "" "$ATOLL" run "$scratch/all.atoll"
"$ATOLL" asm "$scratch/all.atoll" -o "$scratch/all.atb" && "$ATOLL" asm "$scratch/none.atoll" -o "$scratch/none.atb"
"$ATOLL" dis "$scratch/all.atb" | grep -v '^raw file\|^ *line\|^raw module' >"$scratch/all.txt"
"$ATOLL" dis "$scratch/none.atb" | grep -v '^raw file\|^ *line\|^raw module' >"$scratch/none.txt"
check libraries-left-out "$(cat "$scratch/none.txt")" "$(cat "$scratch/all.txt")"

# misuse NAME TRAP LIBRARY STATEMENTS
misuse() {
  cat >"$scratch/misuse.atoll" <<PROGRAM
use std.$3
memory 65536 .. 1 << 20
reserve place 64 align 8
export func main() -> i32 {
    var p: i32, q: i32
    $4
    ret 0
}
PROGRAM
  run_expect "misuse-$1" 134 "" "$ATOLL" run "$scratch/misuse.atoll"
  check_contains "misuse-$1-trap" "trap: $2" "$(cat "$scratch/stderr")"
}
misuse free-twice unreachable mem 'call mem_alloc(100) -> p; call mem_free(p); call mem_free(p)'
misuse free-twice-joined unreachable mem \
  'call mem_alloc(100) -> p; call mem_alloc(100) -> q; call mem_free(p); call mem_free(q); call mem_free(q)'
misuse free-inside unreachable mem 'call mem_alloc(100) -> p; call mem_free((i32.add p, 16))'
misuse free-odd unreachable mem 'call mem_alloc(100) -> p; call mem_free((i32.add p, 4))'
misuse free-static unreachable mem 'call mem_free(place + 16)'
misuse free-outside 'out of bounds' mem 'call mem_free(0x7fff_fff0)'
misuse free-low 'out of bounds' mem 'call mem_free(4)'
misuse free-after-overrun unreachable mem \
  'call mem_alloc(24) -> p; call mem_alloc(24) -> q; memory.fill p, 0xff, 40; call mem_free(p)'
misuse resize-freed unreachable mem 'call mem_alloc(100) -> p; call mem_free(p); call mem_resize(p, 200) -> p'
misuse vec-index unreachable vec 'call vec_init(place, 4); call vec_get_i32(place, 0) -> p'
misuse vec-pop unreachable vec 'call vec_init(place, 4); call vec_pop_i32(place) -> p'
misuse vec-size unreachable vec 'call vec_init(place, 8); call vec_push_i32(place, 1) -> p'
misuse vec-remove unreachable vec 'call vec_init(place, 8); call vec_remove(place, 0, 1)'
misuse int-base unreachable int 'call int_put_base(place, 1, 1) -> p'
misuse sort-size unreachable sort 'call sort(place, -1, 0x10000, (ref.func sort_by_i32))'
misuse sort-order 'uninitialized element' sort 'call sort(place, 2, 4, null)'

# heap NAME STATUS MEMORY BYTES: whether the heap has so many bytes in such a memory.
heap() {
  cat >"$scratch/heap.atoll" <<PROGRAM
use std.mem
$3
export func main() -> i32 {
    var p: i32
    call mem_alloc($4) -> p
    if not p { ret 1 }
    memory.fill p, 1, $4
    ret 0
}
PROGRAM
  run_expect "heap-$1" "$2" "" "$ATOLL" run "$scratch/heap.atoll"
}
heap without-memory-item 0 "" 1_000_000
heap in-pages 0 "memory 2 .. 16 pages" 900_000
heap in-pages-too-much 1 "memory 2 .. 16 pages" 1_100_000
heap one-page 0 "memory 1 .. 1 pages" 60_000
heap large-at-start 0 "memory 1 << 20 .. 1 << 20" 1_000_000
heap odd-size 0 "memory 100_001 .. 300_000" 150_000
heap no-growth 1 "memory 8192 .. 8192" 8192
heap above-2-gib 0 "memory 65536 .. 0xffff_0000" 0x9000_0000
