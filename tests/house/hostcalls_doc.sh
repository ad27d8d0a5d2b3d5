#!/usr/bin/env bash
# docs/hostcalls.md and stdlib/guest/c/atoll.h say what the tables of stdlib/host say, and std.sys is a
# program that assembles.
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

# The header for guests in C and C++.
if ! "$gen_hostcalls" --c >"$scratch/atoll.h"; then
  not_ok guest-header "gen_hostcalls failed"
elif diff "$scratch/atoll.h" "$root/stdlib/guest/c/atoll.h" >"$scratch/diff"; then
  ok guest-header
else
  not_ok guest-header "stdlib/guest/c/atoll.h is stale: $gen_hostcalls --c > stdlib/guest/c/atoll.h"
  head -10 "$scratch/diff" | sed 's/^/    /'
fi
# A use of every function in C and in C++: the compiler takes the header, and the loader the types.
if ! command -v clang-16 >/dev/null || ! command -v wasm-ld-16 >/dev/null; then
  skip guest-header/use "no clang-16 and lld-16"
  exit 0
fi
{
  echo '#include <atoll.h>'
  echo '#ifdef __cplusplus'
  echo 'extern "C"'
  echo '#endif'
  echo '__attribute__((export_name("main"))) int run(void) {'
  echo '  if (atoll_args_count() > 0) return ATOLL_STDIN;'
  "$gen_hostcalls" --c | sed -n 's/^.*\batoll_\([a-z_]*\)(\(.*\));$/\1 \2/p' |
    while read -r name parameters; do
      arguments=""
      # As many zeros as there are parameters.
      if [[ $parameters != void ]]; then arguments=$(sed 's/[^,]\+/0/g' <<<"$parameters"); fi
      # What follows a call that never returns would be left out.
      if [[ $name != exit ]]; then echo "  atoll_$name($arguments);"; fi
    done
  echo '  atoll_exit(ATOLL_E_INVAL);'
  echo '}'
} >"$scratch/all.c"
for language in c c++; do
  if clang-16 -x "$language" --target=wasm32 -Wall -Wextra -Werror -nostdlib -isystem \
    "$root/stdlib/guest/c" -Wl,--no-entry "$scratch/all.c" -o "$scratch/all.wasm" 2>"$scratch/log"; then
    run_expect "guest-header/use in $language" 0 "" "$ATOLL" run "$scratch/all.wasm"
  else
    not_ok "guest-header/use in $language" "$(head -3 "$scratch/log")"
  fi
done
