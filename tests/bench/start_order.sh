#!/usr/bin/env bash
# start_order.sh: writes atoll/cli/start_order.txt, the functions that `atoll run` executes for a small
# module, and after them those for a small C program as WebAssembly. The linker places them side by side,
# so that starting touches few pages. A list that has become old does no harm but memory: run this when
# `./dev bench interp` and `./dev bench wasm` show that hello takes more.
# Needs the release build, valgrind, and the compiler for guests in C of `./dev bench`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# valgrind 3.19 gives up on the DWARF 5 of clang 19; names are in the symbol table.
strip --strip-debug -o "$scratch/atoll" build/release/atoll
"$scratch/atoll" asm samples/hello/hello.atoll -o "$scratch/hello.atb"
clang-16 --target=wasm32-wasi -O2 tests/bench/wasm/hello.c -o "$scratch/hello.wasm"

# The functions of the command that run FILE executes. The handlers of operations stay where they are,
# beside one another: they are hot in each program, and which of them are in a small one means nothing.
functions() {
  valgrind --quiet --tool=callgrind --callgrind-out-file="$scratch/profile" --demangle=no \
    --compress-strings=no "$scratch/atoll" run "$1" >"$scratch/out"
  awk -F= -v object="$scratch/atoll" '
    $1 == "ob" { ours = $2 == object }
    $1 == "fn" && ours && $2 ~ /^[A-Za-z_]/ && $2 !~ /atollvm6interp12_GLOBAL__N_16handleI/ {
      sub(/\047[0-9]+$/, "", $2)  # the depth of a recursion
      print $2
    }' "$scratch/profile" | sort -u
}

functions "$scratch/hello.atb" >"$scratch/module"
functions "$scratch/hello.wasm" >"$scratch/wasm"
{
  echo "# Written by tests/bench/start_order.sh."
  cat "$scratch/module"
  comm -13 "$scratch/module" "$scratch/wasm"
} >"$scratch/order"
mv "$scratch/order" atoll/cli/start_order.txt
