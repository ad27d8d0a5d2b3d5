#!/usr/bin/env bash
# samples/chaos: however the store is struck, no write is lost or done twice, and no answer is wrong.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
sample=$root/samples/chaos/chaos.atoll
chaos() { timeout 100 "$ATOLL" run --dir . "$@"; }
good=$'wrong answers: 0\nlost writes: 0\ndoubled writes: 0'

writes=500
[[ ${ATOLL_PRESET:-release} == release ]] || writes=60
for seed in 1 2 3; do
  # How often it strikes depends on the seed alone, whatever runs when.
  chaos --workers 2 "$sample" 8 $writes $seed >first 2>errors
  check "chaos/seed $seed: exit status" 0 $?
  check "chaos/seed $seed" "$good" "$(tail -n +2 first)"
  check "chaos/seed $seed: writes" "8 clients, $((8 * writes)) writes" "$(head -1 first | cut -d, -f1,2)"
  run_expect "chaos/seed $seed with one thread" 0 "$(<first)" chaos --workers 1 "$sample" 8 $writes $seed
  check_contains "chaos/seed $seed: shards crash" "unreachable" "$(<errors)"
done
run_expect chaos/disturbed 0 "$good" bash -c \
  'timeout 100 "$0" run --dir . --stress 5 --workers 2 "$1" 4 50 2>/dev/null | tail -n +2' "$ATOLL" "$sample"
# Another run begins anew, with logs of its own.
run_expect chaos/small 0 $'1 clients, 1 writes, 0 strikes\n'"$good" chaos "$sample" 1 1
check chaos/logs 35 "$(cat shard-*.log | wc -c)"

# The strikes are real: without the requests' numbers writes are done twice.
sed 's/if i64.le_s number, last {/if i64.lt_s number, 0 {/
     s/if i64.gt_s (i64.load \[p + Request.number\]), last { \(.*\) }/\1/' "$sample" >numberless.atoll
chaos numberless.atoll 8 $writes 1 >out 2>errors
check "chaos/without numbers: exit status" 1 $?
doubled=$(sed -n 's/^doubled writes: //p' out)
if ((doubled > 0)); then
  ok "chaos/without numbers"
else
  not_ok "chaos/without numbers" "$(<out)$(tail -20 errors)"
fi

for wrong in 0 x -1 1001 1.5; do
  run_expect "chaos/refused $wrong" 1 "" chaos "$sample" "$wrong"
  check_contains "chaos/refused $wrong, why" "usage: chaos" "$(<stderr)"
done
