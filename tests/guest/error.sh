#!/usr/bin/env bash
# std.error has words for each error of std.sys: those that its page has.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

"$ATOLL" doc std.sys | awk '/^const E_/ { getline text; sub(/^ */, "", text); print $2 "\t" text }' >errors
{
  echo 'use std.error'
  echo 'data path = "a/b"'
  echo 'export func main() -> i32 {'
  echo '    var p: i32, n: i32'
  while IFS=$'\t' read -r name _; do
    echo "    call error_text(-$name) -> p, n; call io_print_line(p, n)"
  done <errors
  for number in 0 -32768 1 44; do
    echo "    call error_text($number) -> p, n; call io_print_line(p, n)"
  done
  echo '    call error_print(path, len(path), -E_NOENT)'
  echo '    ret (call io_flush(io_out))'
  echo '}'
} >all.atoll
unknown=$'unknown error\nunknown error\nunknown error\nunknown error'
run_expect error-texts 0 "$(cut -f2 errors)"$'\n'"$unknown" "$ATOLL" run all.atoll
check error-print "a/b: no such file or directory" "$(cat stderr)"
if (($(wc -l <errors) > 30)); then ok error-count; else not_ok error-count "std.sys has few errors"; fi
