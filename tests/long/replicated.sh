#!/usr/bin/env bash
# 1,000 schedules of faults of links and nodes for samples/replicated: replicated.sh [--seed N] [--resume POINT] [--count N].
# Nothing that somebody was told of may be lost, doubled or in another order.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/replicated_virtual.sh"
seeded_options 1000 "$@"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/samples/replicated/replicated.atoll" -o node.atb || not_ok replicated/assemble failed
for (( ; point < count; point += 20)); do
  echo "at $point"
  if python3 "$root/tests/net/replicated.py" "$ATOLL" node.atb "$scratch/state" $((seed % 1000000 + point)) 20 >figures 2>why; then
    ok "replicated/seeds $((seed % 1000000 + point)) and 19 more"
  else
    not_ok "replicated/seeds $((seed % 1000000 + point)) and 19 more" "$(grep FAILED figures) $(tail -5 why)"
  fi
  replicated_virtual $((seed % 1000000 + point))
  awk '{ entries += $3; } END { printf "    %d entries kept\n", entries }' figures
done
echo "at $point"
