#!/usr/bin/env bash
# The library for processes in C, stdlib/guest/c/atoll_process.c: servers, supervisors and pools; crashes are injected.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

if ! { command -v clang-16 && command -v wasm-ld-16; } >/dev/null; then
  skip guest/c-processes "no clang-16 and wasm-ld-16 (apt-get install clang-16 lld-16)"
elif ! clang-16 --target=wasm32 -O2 -Wall -Wextra -Werror -nostdlib -isystem stdlib/guest/c -Wl,--no-entry \
  tests/guest/tools/processes.c stdlib/guest/c/atoll_process.c -o "$scratch/processes.wasm" 2>"$scratch/log"; then
  not_ok guest/c-processes "does not build"
  head -20 "$scratch/log" | sed 's/^/    /'
else
  status=0
  echo "no module" >"$scratch/text"
  timeout 100 "$ATOLL" run --dir-ro "$scratch::." "$scratch/processes.wasm" >"$scratch/out" 2>"$scratch/err" || status=$?
  cat "$scratch/out"
  # The crashes that are meant have their traces on standard error.
  check guest/c-processes "0 60" "$status $(grep -c '^ok ' "$scratch/out")"
fi
