#!/usr/bin/env bash
# docs/isa.md says what the tables of vm/isa say.
source "$(dirname "$0")/../lib.sh"

gen_isa=$(dirname "$ATOLL")/bin/gen_isa
if ! "$gen_isa" "$root/vm/isa/opcodes.def" >"$scratch/isa.md"; then
  not_ok isa-page "gen_isa failed"
elif diff "$scratch/isa.md" "$root/docs/isa.md" >"$scratch/diff"; then
  ok isa-page
else
  not_ok isa-page "docs/isa.md is stale: $gen_isa vm/isa/opcodes.def > docs/isa.md"
  head -10 "$scratch/diff" | sed 's/^/    /'
fi
