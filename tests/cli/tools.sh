#!/usr/bin/env bash
# `atoll asm`, `dis`, `check`, `link`, `fmt`, `inspect`, help and version.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

cat >main.atoll <<'ATOLL'
module demo
use std.sys

extern func triple(x: i32) -> i32

/// Doc comment.
export func main() -> i32 {
    ret (call triple(4))   // a comment
}
ATOLL
cat >util.atoll <<'ATOLL'
module util
export func triple(x: i32) -> i32 { ret (i32.mul x, 3) }
func unused() -> i32 { ret 1 }
ATOLL
cat >alone.atoll <<'ATOLL'
module alone
use std.sys
memory 65536 .. 1 << 20
data text = "hi\n"
export global answer: i32 = 42
export func main() -> i32 {
    call write(STDOUT, text, len(text))
    ret 0
}
ATOLL
printf 'module wrong\nexport func main() -> i32 {\n    i32.ad $0, 1\n    i32.add nothing, 1, 2\n    ret 0\n}\n' >wrong.atoll
head -c 5000 /dev/urandom >garbage
printf '\0atb' >short.atb

# refused NAME STATUS MESSAGE COMMAND...: nothing on standard output, MESSAGE on standard error.
refused() {
  local name=$1 message=$3
  run_expect "$name" "$2" "" "${@:4}"
  check_contains "$name: message" "$message" "$(cat stderr)"
}

# --- asm, dis, link ---
run_expect "asm" 0 "" "$ATOLL" asm alone.atoll
[[ -s alone.atb ]] && ok "asm writes beside the source" || not_ok "asm writes beside the source" "no alone.atb"
run_expect "asm -o" 0 "" "$ATOLL" asm alone.atoll -o other.atb
cmp -s alone.atb other.atb && ok "asm is deterministic" || not_ok "asm is deterministic" "bytes differ"
"$ATOLL" asm - -o - <alone.atoll >piped.atb
run_expect "a module from pipes runs" 0 hi "$ATOLL" run piped.atb
run_expect "asm several" 0 "" "$ATOLL" asm main.atoll util.atoll -o program.atb
run_expect "what asm linked runs" 12 "" "$ATOLL" run program.atb
run_expect "asm -c main" 0 "" "$ATOLL" asm -c main.atoll
run_expect "asm -c util" 0 "" "$ATOLL" asm -c util.atoll
run_expect "link" 0 "" "$ATOLL" link main.atb util.atb -o linked.atb
run_expect "what link made runs" 12 "" "$ATOLL" run linked.atb
refused "link: a missing symbol" 1 triple "$ATOLL" link main.atb -o x.atb
refused "link: a symbol twice" 1 triple "$ATOLL" link main.atb util.atb util.atb -o x.atb
refused "link: a source" 1 "not a module file" "$ATOLL" link main.atoll -o x.atb
refused "link: garbage" 1 short.atb "$ATOLL" link short.atb -o x.atb
refused "asm: extern without -c" 1 triple "$ATOLL" asm main.atoll -o x.atb
refused "asm: mistakes" 1 "wrong.atoll:3:" "$ATOLL" asm wrong.atoll -o x.atb
check_contains "asm: all mistakes" "wrong.atoll:4:" "$(cat stderr)"
[[ ! -e x.atb ]] && ok "nothing is written after mistakes" || not_ok "nothing is written after mistakes" "x.atb exists"
refused "asm: a missing file" 1 "none.atoll: No such file" "$ATOLL" asm none.atoll
refused "asm: a missing folder" 1 "No such file" "$ATOLL" asm alone.atoll -o none/x.atb
refused "asm: output is a directory" 1 "Is a directory" "$ATOLL" asm alone.atoll -o .
run_expect "asm: to a device" 0 "" "$ATOLL" asm alone.atoll -o /dev/null
[[ -c /dev/null ]] && ok "devices stay" || not_ok "devices stay" "/dev/null was replaced"
refused "asm: several need -o" 2 "-o OUT" "$ATOLL" asm main.atoll util.atoll
refused "asm: -c takes one" 2 "-c" "$ATOLL" asm -c main.atoll util.atoll -o x.atb
"$ATOLL" asm --strip alone.atoll -o stripped.atb
[[ $(stat -c %s stripped.atb) -lt $(stat -c %s alone.atb) ]] && ok "asm --strip is smaller" ||
  not_ok "asm --strip is smaller" "$(stat -c %s stripped.atb alone.atb | tr '\n' ' ')"

run_expect "dis -o" 0 "" "$ATOLL" dis alone.atb -o again.atoll
"$ATOLL" asm again.atoll -o again.atb
cmp -s alone.atb again.atb && ok "dis and asm give the same bytes" || not_ok "dis and asm give the same bytes" "they differ"

# --- dis --native ---
if [[ $(uname -m) == x86_64 ]]; then
  "$ATOLL" dis --native main alone.atb >native.txt
  check "dis --native" 0 $?
  check "dis --native: the instructions are those of dis" \
    "$(sed -n '/^raw func . main/,/^}/p' again.atoll)" \
    "$(grep -v '^            ' native.txt | sed 's| *// [0-9].*||' | sed '/^$/d')"
  check_contains "dis --native: machine code" "            ret  " "$(cat native.txt)"
  check "dis --native: by number" "$(cat native.txt)" "$("$ATOLL" dis --native 1 alone.atb)"
  cat >memory.atoll <<'ATOLL'
module m
memory 1 pages
export func main(at: i32) -> i32 { ret (i32.load [at]) }
ATOLL
  "$ATOLL" asm memory.atoll -o memory.atb
  for options in "" "--memory-strategy guarded" --fuel --harden; do
    # shellcheck disable=SC2086
    "$ATOLL" dis --native main $options memory.atb >"native$options.txt"
    check "dis --native $options" 0 $?
  done
  check "dis --native: each is another" 4 "$(sha256sum native{,--*}.txt | cut -c 1-64 | sort -u | wc -l)"
  refused "dis: --harden without --native" 2 "--native" "$ATOLL" dis --harden memory.atb
  run_expect "dis --native: no such function" 1 "" "$ATOLL" dis --native nobody alone.atb
  check_contains "dis --native: and says so" "nobody" "$(cat stderr)"
  run_expect "dis --native: an import" 1 "" "$ATOLL" dis --native write alone.atb
fi

check "dis of a pipe" "$(cat again.atoll)" "$("$ATOLL" dis - <alone.atb)"
refused "dis: a source" 1 alone.atoll "$ATOLL" dis alone.atoll
refused "dis: garbage" 1 garbage "$ATOLL" dis garbage
refused "dis: nothing" 1 /dev/null "$ATOLL" dis /dev/null

# --- check ---
run_expect "check: all is well" 0 "" "$ATOLL" check alone.atoll main.atoll util.atoll alone.atb
check "check is silent" "" "$(cat stderr)"
refused "check: mistakes" 1 "wrong.atoll:3:" "$ATOLL" check alone.atoll wrong.atoll short.atb none.atoll
for part in "wrong.atoll:4:" short.atb "none.atoll: No such file" "atoll: 2 errors"; do
  check_contains "check: $part" "$part" "$(cat stderr)"
done
run_expect "check: standard input" 0 "" "$ATOLL" check - <alone.atoll
refused "check: mistakes in standard input" 1 "<stdin>:3:" "$ATOLL" check - <wrong.atoll
run_expect "check: random bytes" 1 "" "$ATOLL" check garbage
run_expect "check: a directory" 1 "" "$ATOLL" check .

# --- fmt ---
printf 'module  ugly\nexport func   main( )->i32{\nret   0 // why\n}\n' >ugly.atoll
cp ugly.atoll before.atoll && chmod 640 ugly.atoll
refused "fmt --check" 1 "" "$ATOLL" fmt --check none.atoll
"$ATOLL" fmt ugly.atoll >pretty.atoll
check_contains "fmt keeps comments" "// why" "$(cat pretty.atoll)"
cmp -s ugly.atoll before.atoll && ok "fmt leaves the file alone" || not_ok "fmt leaves the file alone" "it changed"
check "fmt of a pipe" "$(cat pretty.atoll)" "$("$ATOLL" fmt - <ugly.atoll)"
run_expect "fmt --check of an ugly file" 1 ugly.atoll "$ATOLL" fmt --check ugly.atoll pretty.atoll
run_expect "fmt --write" 0 "" "$ATOLL" fmt --write ugly.atoll
check "fmt --write changes the file" "$(cat pretty.atoll)" "$(cat ugly.atoll)"
check "fmt --write keeps the mode" 640 "$(stat -c %a ugly.atoll)"
run_expect "fmt --check of a formatted file" 0 "" "$ATOLL" fmt --check ugly.atoll
ln -s ugly.atoll link.atoll && cp before.atoll ugly.atoll
"$ATOLL" fmt --write link.atoll
[[ -L link.atoll ]] && ok "fmt --write follows links" || not_ok "fmt --write follows links" "the link was replaced"
check "and changes what they name" "$(cat pretty.atoll)" "$(cat ugly.atoll)"
printf 'module m\nexport func main() { "open }\n' >broken.atoll && cp broken.atoll kept.atoll
refused "fmt: mistakes" 1 "broken.atoll:2:" "$ATOLL" fmt --write broken.atoll
cmp -s broken.atoll kept.atoll && ok "fmt leaves files with mistakes" || not_ok "fmt leaves files with mistakes" "it changed"
refused "fmt: both flags" 2 "--check" "$ATOLL" fmt --check --write ugly.atoll

# --- inspect ---
"$ATOLL" inspect alone.atb >inspected 2>stderr
for part in "module alone: $(stat -c %s alone.atb) bytes" "sections:" "  code" "function atoll.write (i32, i32, i32) -> i32" \
  "  stream or file: write or append" "function main () -> i32" "global answer i32" "65536 bytes, at most 1048576" "alone.atoll:7" "sources:"; do
  check_contains "inspect: $part" "$part" "$(cat inspected)"
done
run_expect "inspect of a source shows its module" 0 "$(cat inspected)" "$ATOLL" inspect alone.atoll
if command -v python3 >/dev/null; then
  check "inspect --json" "alone ['write'] stream or file ['write or append'] ['main', 'answer'] 65536 True" \
    "$("$ATOLL" inspect --json alone.atb | python3 -c '
import json, os, sys
m = json.load(sys.stdin)
i = m["imports"][0]
names = sorted((e["name"] for e in m["exports"]), reverse=True)
print(m["name"], [i["name"]], i["handle"]["object"], i["handle"]["rights"], names,
      m["memories"][0]["min_bytes"], m["file_bytes"] == os.path.getsize("alone.atb"))')"
else
  skip "inspect --json" "no python3"
fi
refused "inspect: garbage" 1 short.atb "$ATOLL" inspect short.atb
refused "inspect: mistakes" 1 "wrong.atoll:3:" "$ATOLL" inspect wrong.atoll
# Names out of modules can't drive the terminal.
printf 'module m\nimport func f() from "a\\x1b[2J" "b\\n"\nexport func main() { call f(); ret }\n' >escape.atoll
"$ATOLL" inspect escape.atoll >escaped
grep -q $'\x1b' escaped && not_ok "no control characters" "they are printed" || ok "no control characters"

# --- help, version, wrong command lines ---
run_expect "--version" 0 "atoll $(sed -n 's/^project(atoll VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")" "$ATOLL" --version
check_contains "--help" "Usage: atoll COMMAND" "$("$ATOLL" --help)"
for command in run asm dis check link translate fmt inspect test doc; do
  check_contains "--help lists $command" "  $command " "$("$ATOLL" --help)"
  text=$("$ATOLL" $command --help 2>stderr)
  check "$command --help: exit status" 0 $?
  check_contains "$command --help: usage" "Usage: atoll $command " "$text"
  check_contains "$command --help: examples" "Examples:"$'\n'"  atoll " "$text"
  refused "$command: nothing" 2 "atoll: $command: " "$ATOLL" $command
  refused "$command: an unknown option" 2 "atoll: $command: " "$ATOLL" $command --no-such-option x
done
run_expect "no command" 2 "" "$ATOLL"
refused "an unknown command" 2 'did you mean `run`?' "$ATOLL" rnu
refused "nothing like a command" 2 'atoll --help' "$ATOLL" hello.atoll
refused "an empty command" 2 'atoll --help' "$ATOLL" ""

# --- Colours ---
has_color() { grep -q $'\x1b\[' "$1"; }
"$ATOLL" check wrong.atoll 2>plain
has_color plain && not_ok "no colour into a file" "escapes in it" || ok "no colour into a file"
if command -v script >/dev/null; then
  on_terminal() { TERM=xterm script -qefc "$*" /dev/null </dev/null >terminal 2>&1; }
  unset NO_COLOR
  on_terminal "$ATOLL check wrong.atoll"
  has_color terminal && ok "colour on a terminal" || not_ok "colour on a terminal" "no escapes"
  on_terminal "NO_COLOR=1 $ATOLL check wrong.atoll"
  has_color terminal && not_ok "NO_COLOR" "escapes on the terminal" || ok "NO_COLOR"
  on_terminal "TERM=dumb $ATOLL check wrong.atoll"
  has_color terminal && not_ok "a dumb terminal" "escapes on it" || ok "a dumb terminal"
  on_terminal "$ATOLL asm alone.atoll -o -"
  check_contains "no module to a terminal" "standard output is a terminal" "$(cat terminal)"
else
  skip "colour on a terminal" "no script(1)"
fi
