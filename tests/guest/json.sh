#!/usr/bin/env bash
# std.json against Python's json, on texts by hand and generated ones.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/json.atoll" -o json.atb || exit 1
for seed in 1 2; do
  check_contains "json/python/$seed" " cases, 0 wrong" \
    "$(python3 "$root/tests/guest/json_check.py" "$ATOLL" json.atb "$seed" 150)"
done
