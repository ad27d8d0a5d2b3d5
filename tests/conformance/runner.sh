#!/usr/bin/env bash
# The program that runs conformance scripts: it passes what is right and fails what is not.
source "$(dirname "$0")/../lib.sh"
runner=$(dirname "$ATOLL")/wast-runner
scripts=$root/tests/conformance/scripts

if ! command -v wast2json >/dev/null; then
  skip "conformance runner" "no wast2json (Debian's package wabt)"
  exit
fi

for way in "checked interp" "guarded interp" "checked jit" "guarded jit" "checked auto" "checked hardened"; do
  read -r memory tier <<<"$way"
  for name in calls linking; do
    output=$("$runner" --memory $memory --tier $tier "$scripts/$name.wast" 2>&1)
    check "$name, $way: status" 0 $?
    check "$name, $way: nothing failed" "" "$(grep FAILED <<<"$output")"
  done
  check_contains "the strategy is named" "memory: $memory: 3 modules, at lines 2 11 37" "$output"
done

directives=$(grep -cE '^\((assert|invoke|module|register)' "$scripts/wrong.wast")
for tier in interp jit auto; do
  "$runner" --seconds 1 --failures 100 --tier $tier "$scripts/wrong.wast" >"$scratch/out" 2>&1
  check "wrong.wast, $tier: status" 1 $?
  check_contains "wrong.wast, $tier: all but four directives fail" \
    "total, 1 scripts, memory checked: 4 passed, $((directives - 4)) failed, 0 not run" \
    "$(cat "$scratch/out")"
  check "wrong.wast, $tier: each failure has a line" "$((directives - 4))" \
    "$(grep -cE '^FAILED .*wrong\.wast:[0-9]+: [a-z_]+: .' "$scratch/out")"
done

printf '(assert_malformed (module quote "(func") "unexpected token")' >"$scratch/text.wast"
check_contains "modules in text are not run, and why" "not run: 1: a module in the text format" \
  "$("$runner" "$scratch/text.wast")"

echo "(module" >"$scratch/broken.wast"
"$runner" "$scratch/broken.wast" >"$scratch/out" 2>&1
check "a script that wast2json refuses: status" 2 $?
check_contains "a script that wast2json refuses" "unexpected token" "$(cat "$scratch/out")"
echo "{}" >"$scratch/broken.json"
"$runner" "$scratch/broken.json" >/dev/null 2>&1
check "a file that is no script: status" 2 $?
echo '{"commands": [{"type": "module", "line": 1, "filename": "none.wasm"}, {"type": 5}, 7]}' \
  >"$scratch/strange.json"
"$runner" "$scratch/strange.json" >"$scratch/out" 2>&1
check "directives that are none: status" 1 $?
check_contains "directives that are none" "0 passed, 3 failed" "$(cat "$scratch/out")"
