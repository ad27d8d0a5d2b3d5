#!/usr/bin/env bash
# 9,000 connections at once, each served by its own process: all are served about equally, and an idle one takes
# at most 6 KiB of the server's memory.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/net/connections.sh"
count=${ATOLL_CONNECTIONS:-9000}
connections "$count" 20
[[ -s $scratch/figures ]] || exit 1
bytes=$(sed -n "s/^the server's memory: \([0-9]*\) .*/\1/p" "$scratch/figures")
if ((bytes <= 6144)); then ok "connections/memory"; else not_ok "connections/memory" "$bytes bytes a connection, more than 6144"; fi
read -r least most < <(sed -n 's/^echoes: .* of one connection \([0-9]*\) to \([0-9]*\)/\1 \2/p' "$scratch/figures")
if ((most <= 2 * least + 2)); then ok "connections/fair"; else not_ok "connections/fair" "$least to $most echoes of one connection"; fi
