#!/usr/bin/env bash
# map_file for programs in C: stdlib/guest/c/atoll.h.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

compile=(clang-16 --target=wasm32-wasi --sysroot=/usr -O2 -Wall -Wextra -Werror -isystem stdlib/guest/c)
if ! { command -v clang-16 && command -v wasm-ld-16; } >/dev/null || [[ ! -e /usr/include/wasm32-wasi ]]; then
  skip guest/c-map "no clang-16, wasm-ld-16 and wasi-libc"
elif ! "${compile[@]}" tests/guest/tools/map.c -o "$scratch/map.wasm" 2>"$scratch/log"; then
  not_ok guest/c-map "does not build"
  head -20 "$scratch/log" | sed 's/^/    /'
else
  mkdir "$scratch/data"
  head -c 3000000 /dev/zero | tr '\0' x >"$scratch/data/large"
  run_expect guest/c-map/directory 0 "3000000 bytes, 3000000 x" "$ATOLL" run --dir "$scratch/data::." "$scratch/map.wasm" large
fi
