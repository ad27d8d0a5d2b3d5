#!/usr/bin/env bash
# std.http's reading of messages: right, wrong and dangerous ones by hand, and generated ones, in pieces of
# all kinds. `--seed N --count N` for more of those.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
seeded_options 3000 "$@"
"$ATOLL" asm tests/guest/tools/http_check.atoll -o "$scratch/http_check.atb" || exit 1
python3 tests/guest/http_cases.py "$ATOLL" "$scratch/http_check.atb" "$seed" "$count" || lib_failures=1
