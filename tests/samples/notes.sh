#!/usr/bin/env bash
# Notes on a volume: each command, and that what was added is there after the program was killed.
source "$(dirname "$0")/../lib.sh"
source "$root/tests/build_wasm.sh"
cd "$root" || exit 1
build notes samples/notes/notes.c /usr/lib/wasm32-wasi/libc.a \
  "$clang" "${wasi[@]}" -D_GNU_SOURCE samples/notes/notes.c -o || exit 0
cd "$scratch" || exit 1
"$ATOLL" volume create notes.vol --size 16M
notes() { "$ATOLL" run --mount volume:notes.vol:/ "$built/notes.wasm" "$@"; }

run_expect "list: none" 0 "" notes list
run_expect "add" 0 1 notes add buy milk
run_expect "add: another" 0 2 notes add "call Ada"
printf 'A plan\n\nwith lines\n' | run_expect "add: standard input" 0 3 notes add -
run_expect "list" 0 "$(printf '   1  buy milk\n   2  call Ada\n   3  A plan')" notes list
run_expect "search" 0 "   3  A plan" notes search LINES
run_expect "show" 0 "$(printf 'A plan\n\nwith lines')" notes show 3
run_expect "edit" 0 "" notes edit 1 buy oat milk
run_expect "edit: it is there" 0 "buy oat milk" notes show 1
run_expect "delete" 0 "" notes delete 2
run_expect "delete: it is gone" 0 "$(printf '   1  buy oat milk\n   3  A plan')" notes list
run_expect "delete: again" 1 "" notes delete 2
run_expect "no such note" 1 "" notes show 7
run_expect "a name that is none" 2 "" notes delete ../x
run_expect "no command" 2 "" notes
check_contains "the volume is sound" "sound" "$("$ATOLL" volume check notes.vol)"

# Killed while it adds: what it said is added is there, and all notes are whole.
for turn in 1 2 3; do
  : >said
  (
    for i in $(seq 1000); do
      "$ATOLL" run --mount volume:notes.vol:/ "$built/notes.wasm" add "note $i of $turn is whole" >>said &
      echo $! >running
      wait $! || exit
    done
  ) 2>/dev/null &
  loop=$!
  sleep 0.$((turn * 3 % 10))7
  # Between two of them there is nobody to kill.
  while kill -0 $loop 2>/dev/null; do kill -9 "$(cat running)" 2>/dev/null; done
  wait $loop 2>/dev/null
  check_contains "kill $turn: the volume is sound" "sound" "$("$ATOLL" volume check notes.vol)"
  lost=0
  while read -r number; do
    [[ $(notes show "$number") == "note "*" of $turn is whole" ]] || lost=$((lost + 1))
  done < <(tail -3 said)
  check "kill $turn: what was added is there" 0 "$lost"
  check "kill $turn: each note is whole" "" "$(notes list | sed 1,2d | grep -vE '^ *[0-9]+  note [0-9]+ of [0-9] is whole$')"
done
