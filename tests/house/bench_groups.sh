#!/usr/bin/env bash
# Each group of benchmarks can be loaded; running them takes longer than tests may.
source "$(dirname "$0")/../lib.sh"
cd "$root/tests/bench" || exit 1
for group in groups/*.py; do
  name=$(basename "$group" .py)
  run_expect "bench $name" 0 "" python3 -B -c "import groups.$name as group; group.run"
done
