#!/usr/bin/env bash
# docs/hostcalls.md says what the tables of stdlib/host say, and std.sys is a program that assembles.
source "$(dirname "$0")/../lib.sh"

gen_hostcalls=$(dirname "$ATOLL")/bin/gen_hostcalls
if ! "$gen_hostcalls" >"$scratch/hostcalls.md"; then
  not_ok hostcalls-page "gen_hostcalls failed"
elif diff "$scratch/hostcalls.md" "$root/docs/hostcalls.md" >"$scratch/diff"; then
  ok hostcalls-page
else
  not_ok hostcalls-page "docs/hostcalls.md is stale: $gen_hostcalls > docs/hostcalls.md"
  head -10 "$scratch/diff" | sed 's/^/    /'
fi

# A use of every function by its declared type: the assembler and the module loader both check it.
{
  echo 'module all'
  echo 'use std.sys'
  echo 'export func main() -> i32 {'
  echo '    var none: i32, wide: i64'
  echo '    if i32.eqz none { ret 0 }'
  "$gen_hostcalls" --declarations | grep '^import func' | while read -r _ _ declaration; do
    name=${declaration%%(*}
    parameters=${declaration#*(}
    parameters=${parameters%%)*}
    arguments=$(sed 's/[a-z_]*: i32/none/g; s/[a-z_]*: i64/wide/g' <<<"$parameters")
    case $declaration in
      *') -> i32 '*) echo "    call $name($arguments) -> none" ;;
      *') -> i64 '*) echo "    call $name($arguments) -> wide" ;;
      *) echo "    call $name($arguments)" ;;
    esac
  done
  echo '    ret 1'
  echo '}'
} >"$scratch/all.atoll"
run_expect "every host call can be imported as declared" 0 "" "$ATOLL" run "$scratch/all.atoll"
