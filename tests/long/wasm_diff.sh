#!/usr/bin/env bash
# Thousands of generated WebAssembly modules, each validated and run here and by wabt, and four
# spoilt ones of each: wasm_diff.sh [--seed N] [--resume POINT] [--count N]. A point is the number of
# a module; `at N` says that all before it agreed. Modules that differ are kept in build/wasm_diff.
source "$(dirname "$0")/../lib.sh"
seeded_options 6000 "$@"
step=500

program=$root/build/release/bin/diff_tests
export ATOLL_WASM_KEEP=$root/build/wasm_diff
mkdir -p "$ATOLL_WASM_KEEP"
while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  if ATOLL_WASM_SEED=$seed ATOLL_WASM_FIRST=$point ATOLL_WASM_COUNT=$((next - point)) \
    "$program" --no-colors --no-skipped-summary -tc="generated WebAssembly*" >"$scratch/log" 2>&1 &&
    grep -q ' modules, ' "$scratch/log"; then
    ok "modules $point to $((next - 1)) of seed $seed"
    sed -n 's/.*MESSAGE: /    /p' "$scratch/log"
  else
    not_ok "modules $point to $((next - 1)) of seed $seed" "they differ, kept in $ATOLL_WASM_KEEP"
    tail -40 "$scratch/log" | sed 's/^/    /'
  fi
  point=$next
done
echo "at $point"
