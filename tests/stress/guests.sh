#!/usr/bin/env bash
# What guests print does not hang on where they are stopped, for how long, and on which worker they
# go on: the tests of the guest library, and samples, give the same disturbed as undisturbed.
# guests.sh [--seed N] [--count N]; with a count of 2 also with fuel.
source "$(dirname "$0")/../lib.sh"
seeded_options 1 "$@"
cd "$root" || exit 1
counts=$scratch/counts

# same NAME COMMAND...: its output and exit status are the same disturbed.
same() {
  local name=$1 plain disturbed
  shift
  plain=$("$@" 2>&1 </dev/null; echo "status $?")
  disturbed=$(ATOLL_STRESS=$seed:$counts timeout 600 "$@" 2>&1 </dev/null; echo "status $?")
  check "$name, disturbed by seed $seed" "$plain" "$disturbed"
}

for source in tests/guest/*_test.atoll; do
  verb=run
  if grep -q '^test func' "$source"; then verb=test; fi
  # However long it takes: what each test may have by itself is soon used up here.
  same "$source" "$ATOLL" $verb --time 10m "$source"
  ((count < 2)) || same "$source, with fuel" "$ATOLL" $verb --time 10m --fuel 4000000000000000000 "$source"
done

awk '{ stops += $1; moves += $3; naps += $5 } END {
  printf "%d stops, %d moves to another worker, %d naps\n", stops, moves, naps }' "$counts"
if awk '{ stops += $1; moves += $3; naps += $5 } END {
  exit !(stops > 100000 && moves > 1000 && naps > 100) }' "$counts"; then
  ok "they were disturbed"
else
  not_ok "they were disturbed" "hardly ever"
fi
