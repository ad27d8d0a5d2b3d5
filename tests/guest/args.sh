#!/usr/bin/env bash
# std.args against Python's getopt (GNU and POSIX) and known answers.
source "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1
tool=$scratch/args.atb
"$ATOLL" asm tests/guest/tools/args.atoll -o "$tool" || exit 1

# A '.' first: options among the operands; '+': before them.
run_expect args-none 0 " --" "$ATOLL" run "$tool" .
run_expect args-letters 0 " 97 100 98 'x' 98 'y' 97 98 '-a' -- 'one' '-' 'two'" \
  "$ATOLL" run "$tool" . -ad -bx one -b y - two -ab-a
run_expect args-possible 0 " 99 99 'v' 99 'w' 99 -- 'u' 'x'" "$ATOLL" run "$tool" . -c u -cv --gamma=w --gamma x
run_expect args-long 0 " 97 98 'x' 98 'y' 98 '' 256 257 258 'z' 257 -- 'op'" \
  "$ATOLL" run "$tool" . --alpha --beta=x op --beta y --beta= --alpi --delta --deltas=z --delta
run_expect args-short-forms 0 " 98 'v' 99 -- ''" "$ATOLL" run "$tool" . --b v --g -- ""
run_expect args-dashes 0 " 97 -- '-b' '--' '--alpha'" "$ATOLL" run "$tool" . -a -- -b -- --alpha
run_expect args-posix 0 " 97 -- 'op' '-a' '--' 'x'" "$ATOLL" run "$tool" + -a op -a -- x
run_expect args-empty 0 " -- '' 'x'" "$ATOLL" run "$tool" . "" x

# mistake NAME KIND-AND-TEXT OUTPUT ARGUMENT...
mistake() {
  run_expect "args-$1" 1 "$3" "$ATOLL" run "$tool" . "${@:4}"
  check "args-$1-text" "$2" "$(cat "$scratch/stderr")"
}
mistake unknown-letter 2x " 97 97 --" -axa
mistake unknown-name 2--no " -- 'y'" --no=x y
mistake ambiguous 3--al " --" --al
mistake ambiguous-prefix 3--delt " --" --delt=1
mistake missing-letter 4b " 97 --" -ab
mistake missing-name 4--beta " --" --beta
mistake unexpected 5--alpha " --" --alpha=1
mistake empty-name 3-- " --" --=

python3 - "$ATOLL" "$tool" <<'PY'
import getopt, random, subprocess, sys
random.seed(3)
atoll, tool = sys.argv[1:]
pieces = ["-a", "-b", "-d", "-ad", "-bx", "-ab", "-dab", "--alpha", "--beta", "--beta=1", "--beta=", "--alpi", "--delta",
          "--deltas", "--deltas=2", "--bet", "--delt", "--al", "--", "-", "", "x", "op", "-x", "--nope", "--alpha=1", "-da=b"]
numbers = {"-a": 97, "--alpha": 97, "-b": 98, "--beta": 98, "-d": 100, "--alpine": 256, "--delta": 257, "--deltas": 258}
wrong = []
for turn in range(600):
    arguments = [random.choice(pieces) for _ in range(random.randint(0, 6))]
    posix = turn % 2
    take = getopt.getopt if posix else getopt.gnu_getopt
    try:
        options, rest = take(arguments, "ab:d", ["alpha", "beta=", "alpine", "delta", "deltas="])
        expected = ""
        for name, value in options:
            expected += f" {numbers[name]}"
            if name in ("-b", "--beta", "--deltas"):
                expected += f" '{value}'"
        expected += " --" + "".join(f" '{each}'" for each in rest) + "\n"
    except getopt.GetoptError:
        expected = None
    done = subprocess.run([atoll, "run", tool, "+" if posix else ".", *arguments], capture_output=True, text=True)
    if (done.returncode == 1) != (expected is None) or (expected is not None and done.stdout != expected):
        wrong.append((arguments, expected, done.stdout))
print(f"not ok args-random: {len(wrong)}: {wrong[:3]}" if wrong else "ok args-random")
PY
