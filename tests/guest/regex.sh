#!/usr/bin/env bash
# std.regex against grep -E -o on generated patterns and texts.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/tests/guest/tools/regex.atoll" -o regex.atb || exit 1
for seed in 1 2; do
  check_contains "regex/grep/$seed" "2000 cases, 0 wrong" \
    "$(python3 "$root/tests/guest/regex.py" "$ATOLL" regex.atb "$seed" 1000)"
done
