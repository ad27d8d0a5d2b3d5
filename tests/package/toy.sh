#!/usr/bin/env bash
# samples/toy in C++, built against the installed library: it makes the same text and tells the same
# mistakes as toy.py, and runs programs in its own process.
source "$(dirname "$0")/prefix.sh"
here=$root/tests/samples/toy
export PYTHONDONTWRITEBYTECODE=1
for compiler in clang++-19 g++-12; do
  build_sample toy "$compiler" || exit 1
done
toy=$scratch/toy.clang++-19/toy
cp "$root"/samples/toy/programs/*.motu "$here/mistakes.motu" "$scratch"
cd "$scratch" || exit 1

count=0
while IFS= read -r source; do
  count=$((count + 1))
  printf '%b' "$source" >"syntax$count.motu"
done <"$here/syntax.txt"
seed=$((RANDOM * 32768 + RANDOM))
python3 "$here/generate.py" $seed 200 .
cat >everywhere.py <<'END'
import glob, subprocess, sys
sys.path.insert(0, sys.argv[2])
import toy
wrong, files = [], sorted(glob.glob("*.motu"))
for file in files:
    with open(file, encoding="utf-8") as source:
        text, mistakes, status = "", "", 0
        try:
            text = toy.compile_source(file, source.read())
        except SystemExit as stopped:
            mistakes, status = stopped.code + "\n", 1
    ours = subprocess.run([sys.argv[1], "--emit", file], capture_output=True, text=True)
    if (ours.stdout, ours.stderr, ours.returncode) != (text, mistakes, status):
        wrong.append(file)
print("differ: " + " ".join(wrong) if wrong else "the same")
print(len(files) > 225)
END
run_expect "toy/the same (seed $seed)" 0 $'the same\nTrue' python3 everywhere.py "$toy" "$root/samples/toy"

run_expect toy/run 0 6765 "$toy" fib.motu 20
run_expect toy/gcc 0 6765 "$scratch/toy.g++-12/toy" fib.motu 20
run_expect toy/trap 134 "" "$toy" gcd.motu 0 0
check toy/trace "toy: trap: integer divide by zero
  at lcm (gcd.motu:8:5)
  at main (gcd.motu:12:5)
  at start_ (<made of gcd.motu>:$("$toy" --emit gcd.motu | grep -n 'call main(' | cut -d: -f1):5)" \
  "$(cat stderr)"
run_expect toy/usage 2 "" "$toy" gcd.motu 1
check toy/usage/message "usage: gcd A B" "$(cat stderr)"
echo 'fn main(n: int) -> int { return n; }' >exit.motu
run_expect toy/exit-code 7 "" "$toy" exit.motu 7
run_expect toy/no-file 126 "" "$toy" none.motu
run_expect toy/no-arguments 2 "" "$toy"
