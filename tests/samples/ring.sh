#!/usr/bin/env bash
# samples/ring: tokens go round through rings of all sizes.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
ring() { timeout 60 "$ATOLL" run samples/ring/ring.atoll "$@"; }

run_expect ring/usual 0 "1000 processes, 10010 hops" ring
run_expect ring/one 0 "1 processes, 2 hops" ring 1 1
run_expect ring/rounds 0 "7 processes, 8000 hops" ring 7 1000
run_expect ring/many 0 "20000 processes, 60003 hops" ring 20000 3
if [[ ${ATOLL_PRESET:-release} == release ]]; then
  run_expect ring/million 0 "1000000 processes, 1000001 hops" ring 1000000 1
fi
for wrong in 0 x -1 10000001 1.5; do
  run_expect "ring/refused $wrong" 1 "" ring "$wrong"
  check_contains "ring/refused $wrong, why" "usage: ring" "$(cat "$scratch/stderr")"
done
