#!/usr/bin/env bash
# All that guests do, disturbed by several seeds: stress.sh [--seed N] [--resume POINT] [--count N].
# A point is a number of seeds; `at N` says that all before it gave the same as undisturbed.
source "$(dirname "$0")/../lib.sh"
seeded_options 5 "$@"
cd "$root" || exit 1

# part NAME SEED COMMAND...: a suite of its own passes.
part() {
  local name="$1, seed $2"
  shift 2
  if "$@" >"$scratch/log" 2>&1 && ! grep -q '^not ok' "$scratch/log"; then
    ok "$name"
    grep -h ' stops, ' "$scratch/log" | sed 's/^/    /'
  else
    not_ok "$name" "$(grep -m 3 '^not ok' "$scratch/log")"
    sed 's/^/    /' "$scratch/log" | tail -60
  fi
}

for (( ; point < count; point++)); do
  echo "at $point"
  each=$(((seed + point) % 1000000007 + 1))
  part stress/guests $each tests/stress/guests.sh --seed $each --count 2
  part stress/conformance $each tests/stress/conformance.sh --seed $each --count 2
  for script in tests/guest/*.sh tests/samples/*.sh; do
    [[ -x $script ]] || continue
    : >"$scratch/counts"
    part "${script#tests/}" $each env "ATOLL_STRESS=$each:$scratch/counts" "$script"
    awk '{ stops += $1; moves += $3 } END { printf "    %d stops, %d moves\n", stops, moves }' \
      "$scratch/counts"
  done
done
echo "at $point"
