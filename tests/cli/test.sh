#!/usr/bin/env bash
# `atoll test`, and the checks of std.test.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1

cat >sum.atoll <<'ATOLL'
use std.sys
data out = "to output\n"
data err = "a <b> & \"c\" \x01\xff]]>\n"
data in_tests_only = "needle in the data"

func add(a: i32, b: i32) -> i32 { ret (i32.add a, b) }
func helper(x: i32) {
    if i32.eq x, 0 { unreachable }
}
export func main() -> i32 { ret (call add(20, 22)) }

test func adds() {
    if i32.ne (call add(1, 2)), 3 { unreachable }
}
test func traps() {
    var n: i32
    call write(1, out, len(out)) -> n
    call write(2, err, len(err)) -> n
    call write(2, in_tests_only, 6) -> n
    call helper(0)
}
test func leaves() { call exit(3) }
test func leaves_well() { call exit(0) }
ATOLL

# --- What is run and said ---
run_expect "results" 1 'ok sum.atoll: adds
FAILED sum.atoll: traps: trap: unreachable at sum.atoll:8:22
  at helper (sum.atoll:8:22)
  at traps (sum.atoll:20:5)
  standard output:
    to output
  standard error:
    a <b> & "c" ?'$'\xff'']]>
    needle
FAILED sum.atoll: leaves: exit code 3
ok sum.atoll: leaves_well
2 passed, 2 failed' "$ATOLL" test sum.atoll
run_expect "--filter" 0 'ok sum.atoll: adds
1 passed, 0 failed' "$ATOLL" test --filter dd sum.atoll
run_expect "--list" 0 'sum.atoll: leaves
sum.atoll: leaves_well' "$ATOLL" test --list --filter leaves sum.atoll
check_contains "--verbose: times" ' ms)' "$("$ATOLL" test --verbose --filter adds sum.atoll)"
run_expect "nothing to run" 1 "0 passed, 0 failed" "$ATOLL" test --filter nothing sum.atoll
check "nothing to run: a message" "atoll: test: no test to run" "$(cat stderr)"
run_expect "one after the other" 1 "$("$ATOLL" test sum.atoll)" "$ATOLL" test --jobs 1 sum.atoll
for i in {1..40}; do printf 'test func t%d() { call helper(%d) }\n' "$i" $((i % 7)); done >many.atoll
printf 'func helper(x: i32) {\n    if i32.eq x, 0 { unreachable }\n}\n' >>many.atoll
for jobs in 1 3 16; do
  check "order with $jobs jobs" "$(seq -f 'many.atoll: t%.0f' 40)" \
    "$("$ATOLL" test --jobs $jobs many.atoll | grep '^[oF]' | sed 's/^[okFAILED]* //; s/: trap.*//')"
done

# --- Limits and grants ---
cat >limits.atoll <<'ATOLL'
use std.sys
memory 65536
data name = "in/a.txt"
data long = zero 65536
test func spins() {
    loop { }
}
test func waits() {
    var n: i32
    call clock_sleep(100_000_000_000) -> n
}
test func grows() {
    if i32.lt_s (memory.grow 1 << 20), 0 { unreachable }
}
test func reads() {
    var h: i32
    call open(ROOT, name, len(name), 0, RIGHT_READ) -> h
    if i32.lt_s h, 0 { unreachable }
}
test func no_input() {
    var n: i32
    call read(0, long, 10) -> n
    if n { unreachable }
}
test func floods() {
    var n: i32
    loop {
        call write(1, long, len(long)) -> n
        if i32.lt_s n, 0 { break }
    }
}
ATOLL
mkdir in
echo text >in/a.txt
start=$SECONDS
text=$("$ATOLL" test --time 200ms --filter s --jobs 2 limits.atoll)
check_contains "--time: a loop" 'FAILED limits.atoll: spins: time limit reached at limits.atoll:6:5' "$text"
check_contains "--time: a wait" 'FAILED limits.atoll: waits: time limit reached at limits.atoll:10:5' "$text"
((SECONDS - start < 30)) && ok "limits end tests" || not_ok "limits end tests" "$((SECONDS - start)) s"
check_contains "--fuel" 'FAILED limits.atoll: spins: all fuel consumed' "$("$ATOLL" test --fuel 1000 --filter spins limits.atoll)"
run_expect "--memory: enough" 0 $'ok limits.atoll: grows\n1 passed, 0 failed' "$ATOLL" test --filter grows limits.atoll
check_contains "--memory: too little" 'FAILED limits.atoll: grows' "$("$ATOLL" test --memory 1M --filter grows limits.atoll)"
check_contains "no directory" 'FAILED limits.atoll: reads' "$("$ATOLL" test --filter reads limits.atoll)"
run_expect "--dir-ro" 0 $'ok limits.atoll: reads\n1 passed, 0 failed' "$ATOLL" test --dir-ro in --filter reads limits.atoll
run_expect "standard input is empty" 0 $'ok limits.atoll: no_input\n1 passed, 0 failed' "$ATOLL" test --filter no_input limits.atoll < <(echo text)
run_expect "output is limited" 0 $'ok limits.atoll: floods\n1 passed, 0 failed' "$ATOLL" test --filter floods limits.atoll

# --- Mistakes ---
printf 'test func f() { nonsense }\n' >wrong.atoll
run_expect "a mistake in a test" 2 "" "$ATOLL" test wrong.atoll sum.atoll
check_contains "a mistake in a test: its place" "wrong.atoll:1:17: error:" "$(cat stderr)"
"$ATOLL" check wrong.atoll 2>/dev/null
check "check looks at tests" 1 $?
run_expect "no such file" 2 "" "$ATOLL" test none.atoll
printf 'test func f(x: i32) { }\ntest func g() -> i32 { ret 1 }\n' >typed.atoll
"$ATOLL" test typed.atoll 2>stderr
check "tests have no parameters or results" 2 "$(grep -c 'neither parameters nor results' stderr)"

# --- What other commands see ---
"$ATOLL" asm sum.atoll -o sum.atb
check "modules have no tests" "" "$("$ATOLL" dis sum.atb | grep -E 'adds|traps|helper|needle|import')"
run_expect "a program with tests runs" 42 "" "$ATOLL" run sum.atoll
printf 'use "sum.atoll"\ntest func of_mine() { }\n' >user.atoll
run_expect "tests of used files" 0 $'ok user.atoll: of_mine\n1 passed, 0 failed' "$ATOLL" test user.atoll
printf 'func test(test: i32) -> i32 { ret test }\ntest func f() {\n    if (call test(1)) { ret }\n    unreachable\n}\n' \
  >word.atoll
"$ATOLL" test word.atoll >/dev/null 2>stderr
check "nothing may shadow an item" 2 $?
sed -i 's/test: i32/x: i32/; s/ret test/ret x/' word.atoll
run_expect "test is a name too" 0 $'ok word.atoll: f\n1 passed, 0 failed' "$ATOLL" test word.atoll
run_expect "the layout knows tests" 0 "" "$ATOLL" fmt --check word.atoll

# --- JUnit ---
"$ATOLL" test --junit report.xml sum.atoll many.atoll >/dev/null
python3 - report.xml <<'PYTHON' && ok "--junit" || not_ok "--junit" "see above"
import sys, xml.etree.ElementTree as ET

root = ET.parse(sys.argv[1]).getroot()
assert root.tag == "testsuites", root.tag
assert (root.get("tests"), root.get("failures")) == ("44", "7"), root.attrib
suites = root.findall("testsuite")
assert [s.get("name") for s in suites] == ["sum.atoll", "many.atoll"]
cases = {c.get("name"): c for c in root.iter("testcase")}
assert len(cases) == 44
assert all(float(c.get("time")) >= 0 and c.get("line").isdigit() for c in cases.values())
failure = cases["traps"].find("failure")
assert failure.get("message") == "trap: unreachable"
assert failure.text == "trap: unreachable\n  at helper (sum.atoll:8:22)\n  at traps (sum.atoll:20:5)"
assert cases["traps"].find("system-out").text == "to output\n"
assert cases["traps"].find("system-err").text == 'a <b> & "c" \ufffd\ufffd]]>\nneedle'
assert cases["leaves"].find("failure").get("message") == "exit code 3"
assert cases["adds"].find("failure") is None
PYTHON
"$ATOLL" test --junit none/report.xml --filter adds sum.atoll >/dev/null 2>stderr
check "--junit: it can't be written" 1 $?

# --- std.test ---
cat >checks.atoll <<'ATOLL'
use std.test
data abc = "abc"
data abd = "a\"d\n\xe9"
data long = zero 70, "x"
data why = "because"
test func good() {
    call check_true(7)
    call check_i32(-1, -1)
    call check_i64(1 << 40, 1 << 40)
    call check_f64(0.1, 0.1)
    call check_f64(nan, nan)
    call check_f64_near(1.0, 1.25, 0.25)
    call check_f32(0.1, 0.1)
    call check_bytes(abc, 3, abc, 3)
    call check_bytes(abc, 0, abd, 0)
}
test func c_true() { call check_true(0) }
test func c_failed() { call check_failed(why, len(why)) }
test func c_i32() { call check_i32(7, -2147483648) }
test func c_i64() { call check_i64(-9223372036854775808, 9223372036854775807) }
test func c_f64() { call check_f64(-0.0, 42) }
test func c_f64_zero() { call check_f64(-0.0, 0.0) }
test func c_f64_part() { call check_f64(0x1.8p-3, -0x0.000000000000fp-1022) }
test func c_f64_large() { call check_f64(1e15, 999999999999999) }
test func c_f64_nan() { call check_f64(nan, nan:0x4000000000001) }
test func c_near() { call check_f64_near(inf, 1, 1000) }
test func c_near_nan() { call check_f64_near(nan, 1, inf) }
test func c_f32() { call check_f32(0.1, -1) }
test func c_bytes() { call check_bytes(abc, 3, abd, len(abd)) }
test func c_short() { call check_bytes(abc, 2, abc, 3) }
test func c_long() { call check_bytes(long, 71, long, 70) }
ATOLL
text=$("$ATOLL" test checks.atoll)
check_contains "a good test passes" "ok checks.atoll: good" "$text"
said() { grep -A5 "checks.atoll: $1:" <<<"$text" | sed -n '/standard error/{n;s/^    //p;}' | head -1; }
check "check_true" "expected a condition to hold" "$(said c_true)"
check "check_failed" "because" "$(said c_failed)"
check "check_i32" "expected -2147483648, got 7" "$(said c_i32)"
check "check_i64" "expected 9223372036854775807, got -9223372036854775808" "$(said c_i64)"
check "check_f64" "expected 42.0, got -0.0" "$(said c_f64)"
check "check_f64: zeros" "expected 0.0, got -0.0" "$(said c_f64_zero)"
check "check_f64: parts" "expected -7.4e-323, got 0.1875" "$(said c_f64_part)"
check "check_f64: large" "expected 999999999999999.0, got 1000000000000000.0" "$(said c_f64_large)"
check "check_f64: nan" "expected nan:0x4000000000001, got nan" "$(said c_f64_nan)"
check "check_f64_near" "expected 1.0, got inf" "$(said c_near)"
check "check_f64_near: nan" "expected 1.0, got nan" "$(said c_near_nan)"
check "check_f32" "expected -1.0, got 0.1" "$(said c_f32)"
check "check_bytes" 'expected "a\"d\n\xe9", got "abc", first different at byte 1' "$(said c_bytes)"
check "check_bytes: short" 'expected "abc", got "ab", first different at byte 2' "$(said c_short)"
zeros=$(printf '\\x00%.0s' {1..64})
check "check_bytes: long" "expected \"$zeros\"..., got \"$zeros\"..., first different at byte 70" "$(said c_long)"
check_contains "the place is the test's" "c_i32: trap: unreachable at checks.atoll:19:21" "$text"

cat >processes.atoll <<'ATOLL'
use std.sys
use std.test
data name = "child"
reserve info sizeof(ExitInfo) align 8
export func child() { unreachable }
test func spawns() {
    var pid: i64, reference: i64
    call spawn((call entry_find(name, len(name))), 0, 0, 0) -> pid
    call process_monitor(pid) -> reference
    call check_i32((call receive(TAG_DOWN, info, sizeof(ExitInfo), -1, 0)), sizeof(ExitInfo))
    call check_i32((i32.load [info + ExitInfo.reason]), EXIT_NORMAL)
}
ATOLL
run_expect "processes of a test" 1 "FAILED processes.atoll: spawns: trap: unreachable at processes.atoll:11:5
  at check_i32 (std.test:163:5)
  at spawns (processes.atoll:11:5)
  standard error:
    expected 0, got 2
0 passed, 1 failed" "$ATOLL" test processes.atoll
