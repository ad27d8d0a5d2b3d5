#!/usr/bin/env bash
# The samples' and the benchmarks' sources have no mistakes and are in the standard layout.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

for source in samples/*/*.atoll samples/*/*/*.atoll tests/bench/{atoll,processes}/*.atoll; do
  run_expect "style/$source" 0 "" "$ATOLL" fmt --check "$source"
  # Programs; the other files are parts of them.
  if grep -q '^module' "$source"; then run_expect "check/$source" 0 "" "$ATOLL" check "$source"; fi
done
