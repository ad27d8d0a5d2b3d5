#!/usr/bin/env bash
# flock() and fcntl() for programs in C: stdlib/guest/c/atoll_lock.h.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

compile=(clang-16 --target=wasm32-wasi --sysroot=/usr -O2 -Wall -Wextra -Werror -isystem stdlib/guest/c)
if ! { command -v clang-16 && command -v wasm-ld-16; } >/dev/null || [[ ! -e /usr/include/wasm32-wasi ]]; then
  skip guest/c-locks "no clang-16, wasm-ld-16 and wasi-libc"
elif ! "${compile[@]}" tests/guest/tools/locks.c -o "$scratch/locks.wasm" 2>"$scratch/log"; then
  not_ok guest/c-locks "does not build"
  head -20 "$scratch/log" | sed 's/^/    /'
else
  mkdir "$scratch/data"
  run_expect guest/c-locks/directory 0 well "$ATOLL" run --dir "$scratch/data::." "$scratch/locks.wasm"
  run_expect guest/c-locks/memory 0 well "$ATOLL" run --mount memory::. "$scratch/locks.wasm"
fi
