#!/usr/bin/env bash
# samples/toy/toy.py: programs, mistakes, traps, and random programs against Python's own results.
# tests/package/toy.sh has the compiler in C++.
source "$(dirname "$0")/../lib.sh"
here=$root/tests/samples/toy
toy=$root/samples/toy/toy.py
export PYTHONDONTWRITEBYTECODE=1
cp "$root"/samples/toy/programs/*.motu "$here/mistakes.motu" "$scratch"
cd "$scratch" || exit 1

for program in fib gcd primes mandelbrot collatz newton; do
  python3 "$toy" $program.motu >$program.atoll || not_ok "toy/$program" "does not compile"
  # What compilers write may be read by people.
  "$ATOLL" fmt --check $program.atoll >/dev/null && ok "toy/$program: layout" ||
    not_ok "toy/$program: layout" "atoll fmt would change it"
done
run_expect toy/fib 0 10946 "$ATOLL" run fib.atoll 21
run_expect toy/gcd 0 "gcd 14, lcm 9576" "$ATOLL" run gcd.atoll 504 266
run_expect toy/gcd/deep 0 "gcd 1, lcm 2880067194370816121" "$ATOLL" run --stack 4k gcd.atoll \
  1836311903 1568397607
run_expect toy/primes 0 "$(python3 -c '
primes = [n for n in range(2, 1000) if all(n % d for d in range(2, n))]
print(*primes)
print(len(primes), "primes")')" "$ATOLL" run primes.atoll 999
run_expect toy/collatz 0 "871 takes 178 steps" "$ATOLL" run collatz.atoll 1000
run_expect toy/newton 0 "$(python3 -c '
for n in range(1, 21):
    guess, last = float(n), 0.0
    while abs(guess - last) > 1.0e-15 * guess:
        last, guess = guess, (guess + n / guess) / 2.0
    print(f"root({n}) = {guess!r}")')" "$ATOLL" run newton.atoll 20
run_expect toy/mandelbrot 0 "$(python3 -c '
def escape(cr, ci):
    zr = zi = 0.0
    for n in range(256):
        if zr * zr + zi * zi > 4.0:
            return n
        zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
    return 256
for y in range(20):
    ci = 2 * y / 20 - 1.0
    print("".join("#" if n >= 256 else "*" if n >= 32 else "+" if n >= 8 else "." if n >= 4 else " "
                  for n in (escape(3 * x / 40 - 2.0, ci) for x in range(40))))')" \
  "$ATOLL" run mandelbrot.atoll 40

run_expect toy/no-argument 2 "" "$ATOLL" run gcd.atoll 1
check toy/usage "usage: gcd A B" "$(cat stderr)"
run_expect toy/bad-argument 2 "" "$ATOLL" run fib.atoll 1x
run_expect toy/large-argument 2 "" "$ATOLL" run fib.atoll 9223372036854775808

# A trap names the functions and lines of the source; what was printed before it is there.
run_expect toy/trap 134 "" "$ATOLL" run gcd.atoll 0 0
check toy/trace "atoll: trap: integer divide by zero
  at lcm (gcd.motu:8:5)
  at main (gcd.motu:12:5)
  at start_ (gcd.atoll:$(grep -n 'call main(' gcd.atoll | cut -d: -f1):5)" "$(cat stderr)"
cat >traps.motu <<'END'
fn check(n: int) -> bool {
    if n < 0 {
        print "negative";
    } else if 100 / n > 10 and
              n != 5 {
        print "small";
    }
    while 100 / (n - 3) > 0 and n > 3 {
        print n;
        n = n - 1;
    }
    return int(float(n) / 0.0) == 0;
}

fn main(n: int) -> int {
    if check(n) { return 1; }
    return 300 + 7;
}
END
python3 "$toy" traps.motu >traps.atoll
place() { sed -n 's/  at check (\(.*\))/\1/p' stderr; }
run_expect toy/else-if 134 "" "$ATOLL" run traps.atoll 0
check toy/else-if/place traps.motu:4:12 "$(place)"
run_expect toy/while 134 "small
6
5
4" "$ATOLL" run traps.atoll 6
check toy/while/place traps.motu:8:5 "$(place)"
run_expect toy/conversion 134 negative "$ATOLL" run traps.atoll -1
check toy/conversion/place traps.motu:12:5 "$(place)"
check_contains toy/conversion/trap "integer overflow" "$(cat stderr)"
echo 'fn main() -> int { print 7; return 7; }' >seven.motu
python3 "$toy" seven.motu | run_expect toy/exit-code 7 7 "$ATOLL" run -

# All mistakes of a source; then those after which nothing more is looked at.
check toy/mistakes "$(cat "$here/mistakes.expected")" "$(python3 "$toy" mistakes.motu 2>&1)"
count=0
while IFS= read -r source; do
  printf '%b' "$source" >syntax.motu
  python3 "$toy" syntax.motu 2>&1
  count=$((count + 1))
done <"$here/syntax.txt" >syntax.actual
check "toy/syntax: $count mistakes" "$(cat "$here/syntax.expected")" "$(cat syntax.actual)"

seed=$((RANDOM * 32768 + RANDOM))
echo "# seed $seed"
mkdir generated
programs=200
[[ $ATOLL == *-emulated ]] && programs=30
python3 "$here/generate.py" $seed $programs generated
python3 "$here/check.py" "$ATOLL" generated | sed "/^not/s/\$/ (seed $seed)/" >checked
cat checked
! grep -q '^not' checked || lib_failures=$((lib_failures + 1))
