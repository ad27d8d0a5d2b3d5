#!/usr/bin/env bash
# Processes that are killed at random and started again lose and double nothing: processes.sh
# [--seed N] [--resume POINT] [--count N]. A point is a number of kills. `at N` says that all before
# it went well. What is random comes from the threads more than from the seed.
source "$(dirname "$0")/../lib.sh"
seeded_options 20000 "$@"
step=2000
while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  if ATOLL_STRESS_ROUNDS=$((next - point)) "$(dirname "$ATOLL")/bin/unit_tests" \
    -tc='processes: no message*' >"$scratch/log" 2>&1; then
    ok "kills $point to $((next - 1))"
  else
    not_ok "kills $point to $((next - 1))" "$(grep -m 3 -E 'values|policy|workers' "$scratch/log")"
  fi
  point=$next
done
echo "at $point"
