#!/usr/bin/env bash
# Volumes whose program is killed, whose computer loses its power, and whose bytes are damaged:
# volumes.sh [--seed N] [--resume POINT] [--count N]. A point is a number of each; `at N` says that
# all before it went well.
source "$(dirname "$0")/../lib.sh"
seeded_options 500 "$@"
tests=$(dirname "$ATOLL")/bin/unit_tests
step=50
while ((point < count)); do
  echo "at $point"
  next=$((point + step < count ? point + step : count))
  each=$((seed + point))
  if ATOLL_SEED=$each ATOLL_KILLS=$((next - point)) ATOLL_CUTS=$((next - point)) \
    ATOLL_DAMAGES=$(((next - point) * 20)) \
    "$tests" -tc='volumes: a program*,volumes: a computer*,volumes: files with*' >"$scratch/log" 2>&1; then
    ok "seeds $each to $((seed + next - 1))"
    grep -h 'MESSAGE' "$scratch/log" | sed 's/.*MESSAGE: */    /' | tail -4
  else
    not_ok "seeds $each to $((seed + next - 1))" "$(grep -m 3 -E 'ERROR|seed' "$scratch/log")"
    tail -40 "$scratch/log" | sed 's/^/    /'
  fi
  point=$next
done
echo "at $point"
