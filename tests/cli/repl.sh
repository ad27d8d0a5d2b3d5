#!/usr/bin/env bash
# `atoll repl`, with its input from a pipe.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

# session NAME OUTPUT [OPTIONS...] <INPUT: what it prints to both streams, one after the other.
session() {
  local name=$1 output=$2
  shift 2
  check "$name" "$output" "$("$ATOLL" repl "$@" 2>&1)"
}

session "expressions" '42 (0x2a): i32
-1 (0xffffffff): i32
1099511627776 (0x10000000000): i64
1.5: f64
0.5: f32
7: i32' <<'IN'
i32.mul 6, 7
-1
1 << 40
1.5
f32.const 0.5
(i32.add (i32.mul 2, 3), 1)
IN

session "variables stay" 'x: i32 = 5
y: f64 = 0.25
x: i32 = 6
6: i32
0.5: f64
x: i32 = 6
y: f64 = 0.25
x: i32 = 6
y: f64 = 0.25
x: i64 = 7' <<'IN'
var x: i32 = 5, y: f64 = 0.25
i32.add x, x, 1
x
f64.sqrt y
:regs
$
var x: i64 = 7
IN

session "definitions, in any order and over several lines" '36 (0x24): i32
x: i32 = 0
x: i32 = 45 (0x2d)
7: i32
3: i32
49 (0x31): i64
8: i32' <<'IN'
// Doubles.
/* and
   more */
func square(a: i32) -> i32 {
    ret (i32.mul a, a)   // }
}
call square(6)
var x: i32
for i: i32 in 0 .. 10 {
    i32.add x, x, i
}
const seven = 7
seven
data text = "{("
len(text) +
    1
func square(a: i32) -> i64 { ret (i64.extend_i32_s (i32.mul a, a)) }
call square(seven)
struct P { x: i32, y: i64 }
P.y
IN

session "memory and globals stay" '00000000  68 65 6c 6c 6f                                    |hello|
00000000  44 43 42 41 6f 77 6f 72  6c 64 00 00              |DCBAoworld..|
10 (0xa): i32
4: i32
5: i32
65536 (0x10000): i32
65636 (0x10064): i32
00000002  42 41                                             |BA|' <<'IN'
data hi = "hello"
:mem hi 5
i32.store [hi], 0x41424344
data more = "world"
:mem 0 12
len(hi) + len(more)
global counter: mut i32 = 3
global.set counter, 4
global.get counter
func count() { var n: i32; global.get n, counter; i32.add n, n, 1; global.set counter, n }
call count()
global.get counter
memory.grow 100
memory.size
:mem (i32.add hi, 2) 2
IN

session "mistakes and traps change nothing" 'x: i32 = 3
atoll: trap: integer divide by zero
  at the input (<3>:1:1)
<4>:1:1: error: unknown statement `nonsense`
 1 | nonsense
   | ^~~~~~~~
<5>:3:16: error: expected i32, but `y` is f64
 3 |     i32.add x, y, 1
   |                ^
  hint: convert it: (i32.trunc_f64_s x) or _u
atoll: trap: unreachable
  at fails (<6>:1:35)
  at the input (<7>:3:5)
atoll: the line ended the process with exit code 9; it changes nothing
<10>:1:29: error: expected i64, but `a` is i32
 1 | func g(a: i32) -> i64 { ret a }
   |                             ^
  hint: widen it: (i64.extend_i32_s x) or _u
x: i32 = 3
0: i32
atoll: no command `:nothing`; :help lists them' <<'IN'
var x: i32 = 3
data d = "\0\0\0\0"
i32.div_s x, 1, 0
nonsense
if x {
    var y: f64
    i32.add x, y, 1
}
func fails() { i32.store [d], 77; unreachable }
loop {
    i32.add x, x, 100
    call fails()
}
use std.sys
i32.add x, x, 1; call exit(9)
func g(a: i32) -> i64 { ret a }
$
i32.load [d]
:nothing
:quit
x
IN

session "a start anew" 'x: i32 = 1
<3>:1:1: error: unknown statement `x`
 1 | x
   | ^
8: i32' <<'IN'
var x: i32 = 1
:reset
x
i32.shl 1, 3
IN

# The heap of a library's allocator begins behind the data: it can't be moved.
session "data that would move what is in use" 'atoll: the data of memory 0 have moved: memory and globals start anew
0: i32
5: i32
atoll: the data of memory 0 have moved: memory and globals start anew
3: i32' <<'IN'
i32.store [1024], 7
data hi = "hello"
i32.load [1024]
len(hi)
data hi = "you"
len(hi)
IN

session ":dis" 'raw func 1 twice(i32) -> i32 locals 1 frame 2 {
    name $0 a
    i32.shl.i $1, $0, 1
    ret.1 $1
}
atoll: there is no function `none`' <<'IN'
func twice(a: i32) -> i32 { ret (i32.shl a, 1) }
:dis twice
:dis none
IN

session "a macro, and a library" 'a: i32 = 1
b: i32 = 2
a: i32 = 2
b: i32 = 1
8: i32
"aGVsbG8="' < <(
  cat <<'IN'
macro swap(a, b) { var t: i32; mov t, a; mov a, b; mov b, t }
var a: i32 = 1, b: i32 = 2
swap!(a, b)
use std.base64
use std.sys
data hello = "hello"
data text = "\"        \"\n"
call base64_encode(hello, 5, text + 1)
if i32.ne (call write(1, text, len(text))), 0 { }
IN
)

# --- Files, grants, limits ---
mkdir in
echo text >in/a.txt
cat >lib.atoll <<'ATOLL'
use std.sys
use "more.atoll"
data name = "in/a.txt"
func try() -> i32 { ret (call open(ROOT, name, len(name), 0, RIGHT_READ)) }
ATOLL
echo 'const from_more = 11' >more.atoll
session "files, no directory" '11 (0xb): i32
1: i32' lib.atoll <<'IN'
from_more
i32.lt_s (call try()), 0
IN
session "a directory" '0: i32' --dir-ro in lib.atoll <<<'i32.lt_s (call try()), 0'
session "a file from an input" '11 (0xb): i32' <<'IN'
use "lib.atoll"
from_more
IN
echo 'func f() { nonsense }' >wrong.atoll
run_expect "a file with a mistake" 1 "" "$ATOLL" repl wrong.atoll
check_contains "a file with a mistake: its place" "wrong.atoll:1:12: error:" "$(cat stderr)"
session "limits" 'atoll: time limit reached
  at the input (<1>:1:1)
7: i32' --time 200ms <<'IN'
loop { }
7
IN
session "a memory limit" 'atoll: memory 0: its minimum is more than the memory limit of 1024 bytes allows' --memory 1k <<'IN'
7
IN
check_contains "--help" "Usage: atoll repl " "$("$ATOLL" repl --help)"
run_expect "an unknown option" 2 "" "$ATOLL" repl --no-such-option
check_contains ":help" ":mem ADDR N" "$(echo :help | "$ATOLL" repl)"
run_expect "an empty input" 0 "" "$ATOLL" repl </dev/null
run_expect "an input without end" 0 "" "$ATOLL" repl < <(printf 'func f() {\n')
check_contains "an input without end: a message" "error:" "$(cat stderr)"
head -c 3000 /dev/urandom | timeout 60 "$ATOLL" repl >/dev/null 2>&1
check "random bytes" 0 $?

# --- Ctrl-C ---
mkfifo pipe
"$ATOLL" repl <pipe >output 2>&1 &
pid=$!
exec 3>pipe
printf 'var x: i32 = 1\ni32.add x, x, 1; loop { }\n' >&3
for _ in {1..100}; do
  sleep 0.05
  [[ -s output ]] && break
done
sleep 0.3
kill -INT $pid
for _ in {1..100}; do
  sleep 0.05
  grep -q interrupted output && break
done
echo 'i32.add x, x, 10' >&3
exec 3>&-
wait $pid
check "Ctrl-C stops a line, not the command" 0 $?
check "Ctrl-C leaves the state" 'x: i32 = 1
atoll: interrupted
  at the input (<2>:1:18)
x: i32 = 11 (0xb)' "$(cat output)"
