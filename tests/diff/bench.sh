#!/usr/bin/env bash
# The benchmark programs of tests/bench/wasm print the same checksum native and as WebAssembly.
source "$(dirname "$0")/../lib.sh"
if ! command -v clang-16 >/dev/null || [[ ! -e /usr/lib/wasm32-wasi/libc.a ]]; then
  skip "benchmark programs in C" "no clang-16 with wasi-libc"
  exit 0
fi
cd "$scratch" || exit 1
for source in "$root"/tests/bench/wasm/*.c; do
  name=$(basename "$source" .c)
  if ! clang-16 -O2 -ffp-contract=off "$source" -o native -lm ||
    ! clang-16 --target=wasm32-wasi --sysroot=/usr -O2 -mbulk-memory -msign-ext \
      -D_WASI_EMULATED_PROCESS_CLOCKS "$source" -o new.wasm -lwasi-emulated-process-clocks \
      -Wl,-z,stack-size=1048576 -lm; then
    not_ok "bench/$name" "does not build"
    continue
  fi
  expected=$(./native)
  run_expect "bench/$name" 0 "$expected" "$ATOLL" run new.wasm
done
