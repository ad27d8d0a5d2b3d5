#!/usr/bin/env bash
# Thousands of generated programs, each run in all ways: generated.sh [--seed N] [--resume POINT]
# [--count N]. A point is the number of a program; `at N` says that all before it agreed.
source "$(dirname "$0")/../lib.sh"
seeded_options 200000 "$@"
step=5000

program=$root/build/release/bin/diff_tests
while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  if ATOLL_GENERATED_SEED=$seed ATOLL_GENERATED_FIRST=$point ATOLL_GENERATED_COUNT=$((next - point)) \
    "$program" --no-colors --no-skipped-summary -tc="generated programs*" >"$scratch/log" 2>&1; then
    ok "programs $point to $((next - 1)) of seed $seed"
  else
    not_ok "programs $point to $((next - 1)) of seed $seed" "they differ, or the test crashed"
    tail -40 "$scratch/log" | sed 's/^/    /'
  fi
  point=$next
done
echo "at $point"
