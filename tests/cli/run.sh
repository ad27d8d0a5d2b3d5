#!/usr/bin/env bash
# `atoll run`: programs, their arguments and environment, how they end, and what is no program.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

cat >hello.atoll <<'ATOLL'
module hello
use std.sys
data text = "hello\n"
export func main() {
    call write(STDOUT, text, len(text))
    ret
}
ATOLL
# Ends with the number that its argument 1 is, in decimal.
cat >code.atoll <<'ATOLL'
module code
export func main() -> i32 { ret 300 }
ATOLL
cat >exit.atoll <<'ATOLL'
module leave
use std.sys
func deep(n: i32) {
    if i32.eqz n { call exit(7) }
    call deep((i32.sub n, 1))
    ret
}
export func main() -> i32 {
    call deep(10)
    ret 1
}
ATOLL

# Prints all arguments, or all variables, one a line.
lister() { # COUNT SIZE GET
  cat <<ATOLL
module lister
use std.sys
data newline = "\\n"
reserve buffer 1 << 18
export func main() -> i32 {
    var count: i32, n: i32
    call $1() -> count
    for i: i32 in 0 .. count {
        call $2(i, buffer, 1 << 18) -> n
        call write(STDOUT, buffer, n)
        call write(STDOUT, newline, 1)
    }
    ret 0
}
ATOLL
}
lister args_count args_get >args.atoll
lister env_count env_get >env.atoll

run_expect "a program from source" 0 hello "$ATOLL" run hello.atoll
"$ATOLL" asm hello.atoll || not_ok "assembling" "exit status $?"
run_expect "a program from a module file" 0 hello "$ATOLL" run hello.atb
run_expect "source on standard input" 0 hello "$ATOLL" run - <hello.atoll
run_expect "a module on standard input" 0 hello "$ATOLL" run - <hello.atb
cp hello.atb misnamed.atoll
run_expect "the bytes decide, not the name" 0 hello "$ATOLL" run misnamed.atoll
run_expect "a program without a result ends with 0" 0 hello "$ATOLL" run hello.atoll
run_expect "the low 8 bits of main's result" 44 "" "$ATOLL" run code.atoll
run_expect "exit from deep inside" 7 "" "$ATOLL" run exit.atoll

run_expect "arguments, those like options too" 0 $'args.atoll\n--time\n-x\n--\n\na b' \
  "$ATOLL" run --stack 64k args.atoll --time -x -- "" "a b"
run_expect "options with =" 0 args.atoll "$ATOLL" run --stack=64k --memory=1M args.atoll
run_expect "no argument belongs to a list option" 0 $'args.atoll\nx' \
  "$ATOLL" run --env A=1 args.atoll x
run_expect "argument 0 of standard input" 0 - "$ATOLL" run - <args.atoll

run_expect "no variable without --env" 0 "" env SECRET=1 "$ATOLL" run env.atoll
run_expect "variables" 0 $'A=1\nB=x=y\nC=\nPASSED=on' \
  env PASSED=on "$ATOLL" run --env A=1 --env B=x=y --env C= --env PASSED --env NOT_SET_AT_ALL env.atoll

huge=$(head -c 100000 /dev/zero | tr '\0' x)
"$ATOLL" run args.atoll "$huge" >long
check "a long argument" 100012 "$(wc -c <long)"
many=$(seq 1 20000)
actual=$("$ATOLL" run args.atoll $many | tail -1)
check "many arguments" 20000 "$actual"

# Closed streams: no other file may get their numbers, and using them fails with badf.
cat >streams.atoll <<'ATOLL'
module streams
use std.sys
reserve b 8
export func main() -> i32 {
    var in: i32, out: i32
    call read(STDIN, b, 8) -> in
    call write(STDOUT, b, 8) -> out
    ret (i32.sub (i32.mul in, -10), out)
}
ATOLL
mkdir -p granted
run_expect "closed streams" 88 "" bash -c '"$0" run --dir-ro granted streams.atoll <&- >&- 2>&-' "$ATOLL"
run_expect "output to a closed stream" 1 "" bash -c '"$0" --version >&-' "$ATOLL"

# --- What can't be run ---
expect_refused() { # NAME STATUS MESSAGE COMMAND...
  local name=$1 status=$2 message=$3
  shift 3
  run_expect "$name" "$status" "" "$@"
  check_contains "$name: message" "$message" "$(cat stderr)"
}
expect_refused "a missing file" 127 "missing.atoll: No such file" "$ATOLL" run missing.atoll
expect_refused "a directory" 126 "Is a directory" "$ATOLL" run .
expect_refused "an empty file" 126 "main" "$ATOLL" run /dev/null
head -c 4096 /dev/urandom | tr '\0' x >garbage
run_expect "garbage" 126 "" "$ATOLL" run garbage
head -c 100 hello.atb >short.atb
expect_refused "a module file that ends early" 126 "short.atb" "$ATOLL" run short.atb
printf '\0atb\x63\0\0\0' >future.atb
expect_refused "a module file of another version" 126 "format 99" "$ATOLL" run future.atb
printf '\0asm\x01\0\0\0' >web.wasm
run_expect "a WebAssembly module" 126 "" "$ATOLL" run web.wasm
printf 'module m\nexport func main() -> i32 {\n    i32.ad $0, 1\n    i32.add nothing, 1, 2\n    ret 0\n}\n' >wrong.atoll
expect_refused "a source with mistakes" 126 "wrong.atoll:3:" "$ATOLL" run wrong.atoll
check_contains "all mistakes are shown" "wrong.atoll:4:" "$(cat stderr)"
check_contains "mistakes are counted" "atoll: 2 errors" "$(cat stderr)"
printf 'module m\nexport func start() { ret }\n' >no_main.atoll
expect_refused "no main" 126 "main" "$ATOLL" run no_main.atoll
printf 'module m\nexport func main(a: i32) { ret }\n' >typed_main.atoll
expect_refused "a main of another type" 126 "main" "$ATOLL" run typed_main.atoll
printf 'module m\nimport func f(a: i32) from "nobody" "knows"\nexport func main() { call f(1); ret }\n' >import.atoll
expect_refused "an unknown import" 126 "nobody" "$ATOLL" run import.atoll
expect_refused "a directory that is not there" 126 "not/there" "$ATOLL" run --dir not/there hello.atoll
expect_refused "a granted file" 126 "hello.atb" "$ATOLL" run --dir-ro hello.atb hello.atoll
printf 'module m\nuse "other.atoll"\nuse "other.atoll"\nexport func main() -> i32 { ret (call f()) }\n' >uses.atoll
expect_refused "a used file that is not there" 126 "other.atoll" "$ATOLL" run uses.atoll
printf 'use "uses.atoll"\nfunc f() -> i32 { ret 9 }\n' >other.atoll
run_expect "files that use each other" 9 "" "$ATOLL" run uses.atoll
mkdir -p sub && mv uses.atoll other.atoll sub
run_expect "used files lie beside the using one" 9 "" "$ATOLL" run sub/uses.atoll
run_expect "by an absolute path too" 9 "" "$ATOLL" run "$scratch/sub/uses.atoll"

# --- Wrong command lines ---
for line in "" "--no-such-option hello.atoll" "--time" "--time 5 hello.atoll" "--time x hello.atoll" \
  "--time -1s hello.atoll" "--time 1e3s hello.atoll" "--memory 1X hello.atoll" "--memory -1 hello.atoll" \
  "--memory 99999999999G hello.atoll" "--stack k hello.atoll" "--fuel x hello.atoll" \
  "--fuel -1 hello.atoll" "--dir :: hello.atoll" "--dir a:: hello.atoll" "--dir ::b hello.atoll" \
  "--env =1 hello.atoll" "--handles -1 hello.atoll" "--memory-strategy none hello.atoll"; do
  run_expect "wrong: run $line" 2 "" "$ATOLL" run $line
  check_contains "wrong: run $line: message" "atoll: " "$(cat stderr)"
done
run_expect "an empty file name" 127 "" "$ATOLL" run ""

run_expect "statistics" 0 hello "$ATOLL" run --stats --tier interp --fuel 1000 hello.atoll
for part in start-up run fuel memory stack "peak resident"; do
  check_contains "statistics: $part" "  $part" "$(cat stderr)"
done
check "statistics: nothing is compiled" "" "$(grep compiled stderr)"

# --- Compiled code ---
cat >compiled.atoll <<'ATOLL'
module compiled
func twice(x: i32) -> i32 { ret (i32.mul x, 2) }
func never_called() -> i32 { ret 1 }
export func main() -> i32 { ret (call twice(21)) }
ATOLL
if [[ $(uname -m) != x86_64 ]]; then
  skip "compiled code" "x86-64 only"
elif ! command -v python3 >/dev/null; then
  skip "compiled code" "no python3"
else
  run_expect "statistics: what was compiled" 42 "" "$ATOLL" run --stats --tier jit compiled.atoll
  compiled=$(grep compiled stderr)
  [[ $compiled =~ ^\ \ compiled\ +2\ functions,\ ([0-9]+)\ bytes,\ [0-9.]+\ ms$ ]] &&
    ok "statistics: functions, bytes and time" || not_ok "statistics: functions, bytes and time" "$compiled"

  # Many functions, in room for a part of them.
  {
    printf 'module many\nexport func main() -> i32 {\n    var x: i32\n    for i: i32 in 0 .. 50 {\n'
    printf '        call work_%d(x) -> x\n' {1..400}
    printf '    }\n    ret (i32.and x, 127)\n}\n'
    printf 'func work_%d(x: i32) -> i32 { ret (i32.add (i32.mul x, 5), 3) }\n' {1..400}
  } >many.atoll
  "$ATOLL" run --tier interp many.atoll
  expected=$?
  for tier in jit auto; do
    run_expect "--code-memory, --tier $tier" $expected "" \
      "$ATOLL" run --tier $tier --code-memory 64k --warm-up 10 many.atoll
  done
  run_expect "--code-memory 0" $expected "" "$ATOLL" run --stats --tier jit --code-memory 0 many.atoll
  check "--code-memory 0: nothing is compiled" "" "$(grep compiled stderr)"
  run_expect "--warm-up 0" $expected "" "$ATOLL" run --stats --warm-up 0 many.atoll
  check_contains "--warm-up 0: all is compiled" " 401 functions" "$(cat stderr)"
  run_expect "--code-memory that is no size" 2 "" "$ATOLL" run --code-memory much many.atoll

  mkdir -p dump && cd dump || exit 1
  run_expect "--jitdump" 42 "" "$ATOLL" run --jitdump --tier jit ../compiled.atoll
  # The format: tools/perf/Documentation/jitdump-specification.txt of Linux. The code of each function
  # must be there as a whole; what is not used of its last bytes traps.
  cat >../read.py <<'PYTHON'
import glob, struct
[path] = glob.glob("jit-*.dump")
data = open(path, "rb").read()
magic, version, size, machine, _, pid, time, flags = struct.unpack_from("<6I2Q", data)
assert (magic, version, size, machine, flags) == (0x4A695444, 1, 40, 62, 0), data[:40]
assert path == f"jit-{pid}.dump", path
at, index, names, ends = size, 0, [], []
while at < len(data):
    kind, total, when, of, thread, virtual, address, code_size, number = struct.unpack_from("<2IQ2I4Q", data, at)
    assert (kind, of, number) == (0, pid, index) and thread and virtual == address and when >= time, at
    name, body = data[at + 56 : at + total].split(b"\0", 1)
    assert len(body) == code_size, (name, len(body), code_size)
    assert b"\xc3" in body, name  # ret
    assert all(address + code_size <= b or e <= address for b, e in ends), name
    names.append(name.decode())
    ends.append((address, address + code_size))
    time, at, index = when, at + total, index + 1
assert at == len(data)
print(*names, sum(e - b for b, e in ends[1:]), sep=", ")
PYTHON
  bytes=$(sed -E 's/.*functions, ([0-9]+) bytes.*/\1/' <<<"$compiled")
  check "--jitdump: header, names and sizes" "[routines of compiled code], main, twice, $bytes" "$(python3 ../read.py 2>&1)"
  "$ATOLL" run --jitdump --tier jit ../compiled.atoll
  check "--jitdump: a file for each process" 2 "$(ls jit-*.dump | wc -l)"
  cd ..
  run_expect "--gdb" 42 "" "$ATOLL" run --gdb --tier jit compiled.atoll
  run_expect "--gdb: nothing is compiled" 2 "" "$ATOLL" run --gdb --tier interp compiled.atoll
  check_contains "--gdb: and says what to do" "--tier jit" "$(cat stderr)"
  run_expect "--jitdump: nothing is compiled" 2 "" "$ATOLL" run --tier interp --jitdump compiled.atoll
  check_contains "--jitdump: and says what to do" "--tier jit" "$(cat stderr)"
  mkdir -p closed/away && cd closed/away && rmdir ../away
  run_expect "--jitdump: the file can't be written" 126 "" "$ATOLL" run --jitdump --tier jit "$scratch/compiled.atoll"
  check_contains "--jitdump: and says which" "jit-" "$(cat "$scratch/stderr")"
  cd "$scratch" || exit 1
fi
