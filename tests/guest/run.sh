#!/usr/bin/env bash
# The tests of the guest library that are programs: each tests/guest/NAME_test.atoll gives 0, or the
# number of its first check that fails. Also the layout of the library and of what tests it.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

for source in tests/guest/*_test.atoll; do
  name=$(basename "$source" _test.atoll)
  run_expect "guest/$name" 0 "" "$ATOLL" run "$source"
done
for source in stdlib/guest/*.atoll tests/guest/*.atoll tests/guest/tools/*.atoll; do
  run_expect "style/$source" 0 "" "$ATOLL" fmt --check "$source"
done
