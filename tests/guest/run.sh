#!/usr/bin/env bash
# The tests of the guest library in assembly, tests/guest/NAME_test.atoll: `test func` items, or programs
# that give 0 or the number of their first check that fails. Also the layout of all of it.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

for source in tests/guest/*_test.atoll; do
  name=$(basename "$source" _test.atoll)
  if grep -q '^test func' "$source"; then
    "$ATOLL" test "$source" >"$scratch/out" 2>&1 || not_ok "guest/$name" "$(cat "$scratch/out")"
    grep '^ok' "$scratch/out"
  else
    run_expect "guest/$name" 0 "" "$ATOLL" run "$source"
  fi
done
for source in stdlib/guest/*.atoll tests/guest/*.atoll tests/guest/tools/*.atoll; do
  run_expect "style/$source" 0 "" "$ATOLL" fmt --check "$source"
done
