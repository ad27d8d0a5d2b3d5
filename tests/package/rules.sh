#!/usr/bin/env bash
# The rules sample: rules that change, break, never end and go away while records are judged.
source "$(dirname "$0")/prefix.sh"
for compiler in g++-12 clang++-19; do
  build_sample rules "$compiler" || exit 1
done
cd "$scratch" || exit 1
cp -r "$root/samples/rules/rules" rules

run_expect "rules/gcc" 0 "# foreign.atoll: loaded
# large.atoll: loaded
# often.atoll: loaded
1: 15: foreign 5 (DE to FR); large 10 (a large amount)
2: 0
3: 1: often 1
4: 0" "$scratch/rules.g++-12/rules" rules <<'RECORDS'
customer=bo amount=1001 paid=DE sent=FR
customer=bo amount=1000 paid=DE sent=DE
customer=bo amount=x paid=Germany

RECORDS

# One that goes on while the directory changes.
coproc host { exec "$scratch/rules.clang++-19/rules" rules; }
host_pid=$!
# answers NAME LINE...: the host's next lines.
answers() {
  local name=$1 expected actual=() line
  shift
  expected=$(printf '%s\n' "$@")
  while ((${#actual[@]} < $#)) && IFS= read -r -t 20 line <&"${host[0]}"; do actual+=("$line"); done
  check "rules/$name" "$expected" "$(printf '%s\n' "${actual[@]}")"
}
record() { echo "$1" >&"${host[1]}"; }
# Not written in place, as an editor might; a half of it may be seen then.
write() {
  cat >new.tmp
  mv new.tmp "rules/$1"
}
large="amount=2000"

answers start "# foreign.atoll: loaded" "# large.atoll: loaded" "# often.atoll: loaded"
record "$large"
answers first "1: 10: large 10 (a large amount)"

sed 's/limit = 1000/limit = 5000/; s/ret 10/ret 99/' "$root/samples/rules/rules/large.atoll" | write large.atoll
record "$large"
record amount=6000
answers changed "# large.atoll: changed" "2: 0" "3: 99: large 99 (a large amount)"

write large.atoll <<'RULE'
export func judge(record: i32) -> i32 {
    ret recrod
}
RULE
record amount=6000
answers broken "# large.atoll:2:9: error: unknown name \`recrod\`" "#  2 |     ret recrod" \
  "#    |         ^~~~~~" "#   hint: did you mean \`record\`?" "# large.atoll: the version before stays" \
  "4: 99: large 99 (a large amount)"
record amount=6000
answers "broken, told once" "5: 99: large 99 (a large amount)"

write large.atoll <<'RULE'
export func judge(record: i64) -> i32 { ret 1 }
RULE
record amount=6000
answers "another type" "# large.atoll: judge: is of type (i64) -> i32, not (i32) -> i32" \
  "# large.atoll: the version before stays" "6: 99: large 99 (a large amount)"
write large.atoll <<'RULE'
import func pay(amount: i64) from "bank" "pay"
export func judge(record: i32) -> i32 { call pay(1); ret 1 }
RULE
record amount=6000
answers "unknown import" '# large.atoll: import "bank" "pay": unknown import: nothing here gives a function of type (i64)' \
  "# large.atoll: the version before stays" "7: 99: large 99 (a large amount)"

# Three times, then no more, but all others go on.
write large.atoll <<<'export func judge(record: i32) -> i32 { loop { } }'
for i in 8 9 10 11; do record "paid=DE sent=FR"; done
answers endless "# large.atoll: changed" \
  "# large.atoll: stopped: judge: all fuel consumed" "8: 5: foreign 5 (DE to FR)" \
  "# large.atoll: stopped: judge: all fuel consumed" "9: 5: foreign 5 (DE to FR)" \
  "# large.atoll: stopped: judge: all fuel consumed; switched off until it changes" \
  "10: 5: foreign 5 (DE to FR)" "11: 5: foreign 5 (DE to FR)"
kill -HUP "$host_pid"
answers "another chance" "# foreign.atoll: changed" "# large.atoll: changed" "# often.atoll: changed"
record ""
answers "no better" "# large.atoll: stopped: judge: all fuel consumed" "12: 0"

# Waiting takes no fuel, but time; memory has its limit, and a record is for its own call.
write large.atoll <<'RULE'
use std.sys
export func judge(record: i32) -> i32 {
    var ignored: i32
    call clock_sleep(3600 * 1000000000) -> ignored
    ret 1
}
RULE
record ""
answers waits "# large.atoll: changed" "# large.atoll: stopped: judge: time limit reached" "13: 0"
write large.atoll <<'RULE'
memory 1 pages
export func judge(record: i32) -> i32 {
    if i32.ge_s (memory.grow 15), 0 { ret (memory.grow 1) }
    ret 7
}
RULE
record ""
answers memory "# large.atoll: changed" "14: -1: large -1"
write large.atoll <<'RULE'
import func has(record: i32, name: i32, n: i32) -> i32 from "record" "has"
global kept: mut i32 = 0
memory 1 pages
export func judge(record: i32) -> i32 {
    if (global.get kept) { ret (call has(0xffff, 0, 0)) }
    global.set kept, 1
    ret (call has(record, -1, 4))
}
RULE
record ""
answers lies "# large.atoll: changed" "# large.atoll: stopped: judge: out of bounds memory access" "15: 0"
write large.atoll <<'RULE'
import func has(record: i32, name: i32, n: i32) -> i32 from "record" "has"
export func judge(record: i32) -> i32 { ret (call has((i32.add record, 1), 0, 0)) }
RULE
record ""
answers forges "# large.atoll: changed" "# large.atoll: stopped: judge: host function failed: handle 5 names \
no object of the type that the function takes" "16: 0"
write large.atoll <<'RULE'
use std.sys
import func has(record: i32, name: i32, n: i32) -> i32 from "record" "has"
global kept: mut i32 = 0
export func judge(record: i32) -> i32 {
    var ignored: i32
    if (global.get kept) { ret (call has((global.get kept), 0, 0)) }
    global.set kept, (call handle_attenuate(record, (call handle_rights(record))))
    call close(record) -> ignored
    ret (call has((global.get kept), 0, 0))
}
RULE
record ""
record ""
answers keeps "# large.atoll: changed" "17: 0" \
  "# large.atoll: stopped: judge: host function failed: record: it was of a call before" "18: 0"
write large.atoll <<'RULE'
use std.sys
export func judge(record: i32) -> i32 {
    call exit(0)
    ret 1
}
RULE
record ""
answers exits "# large.atoll: changed" "# large.atoll: stopped: the guest ended itself with exit code 0" "19: 0"

rm rules/large.atoll
write new.atoll <<<'export func judge(record: i32) -> i32 { ret 0x7fffffff }'
write newer.atoll <<<'export func judge(record: i32) -> i32 { ret 1 }'
write no_rule.txt <<<'nothing'
record ""
answers "deleted and new" "# large.atoll: gone" "# new.atoll: loaded" "# newer.atoll: loaded" \
  "20: 2147483648: new 2147483647; newer 1"
mv rules away
record ""
answers "no directory" "# rules: No such file or directory; the rules stay as they are" \
  "21: 2147483648: new 2147483647; newer 1"
exec {host[1]}>&-
wait "$host_pid"
check "rules/end" 0 $?
