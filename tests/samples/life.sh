#!/usr/bin/env bash
# samples/life: known populations of known patterns, both formats, and random soups against a program in Python.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/samples/life/life.atoll" -o life.atb || exit 1
life() { "$ATOLL" run --dir-ro . --dir-ro "$root/samples/life/patterns::patterns" life.atb "$@"; }

# ends NAME GENERATION POPULATION: the pattern has so many cells then.
ends() { check "life/$1 in generation $2" "$2 $3" "$(life -n "$2" --format count "patterns/$1")"; }
ends r-pentomino.cells 1103 116
ends diehard.cells 129 2
ends diehard.cells 130 0
ends gosper-glider-gun.rle 30 41
# Slower builds leave out those that live long.
if [[ ${ATOLL_PRESET:-release} == release ]]; then
  ends acorn.rle 5206 633
  ends rabbits.cells 17331 1744
fi
# What is stable grows no more but for the gun's gliders, one each 30 generations: five cells.
check "life/gun" "$(for i in {0..20}; do echo "$((i * 30)) $((36 + i * 5))"; done)" \
  "$(life -n 600 --every 30 --format count patterns/gosper-glider-gun.rle)"
check "life/after stability" $'1103 116\n2206 116' "$(life -n 2206 --every 1103 --format count patterns/r-pentomino.cells | tail -2)"

# A glider and a spaceship come back to their shapes, wherever they are.
for pattern in glider.cells lightweight-spaceship.rle; do
  check "life/$pattern flies" "$(life --format rle "patterns/$pattern")" "$(life -n 4000 --format rle "patterns/$pattern")"
done
run_expect "life/cells" 0 $'!Generation: 1\nO.O\n.OO\n.O' life -n 1 patterns/glider.cells
run_expect "life/rle" 0 $'x = 3, y = 3, rule = B3/S23\nobo$b2o$bo!' life -n 1 --format rle patterns/glider.cells
run_expect "life/every" 0 $'0 3\n2 3\n3 3' life --every 2 -n 3 --format count <<<OOO
run_expect "life/one cell" 0 $'0 1\n1 0\n2 0' life --every 1 -n 2 --format count <<<O
run_expect "life/nothing" 0 "!Generation: 5" life -n 5 </dev/null
run_expect "life/nothing as rle" 0 $'x = 0, y = 0, rule = B3/S23\n!' life --format rle </dev/null
run_expect "life/empty rows" 0 $'x = 4, y = 5, rule = B3/S23\n3bo4$o!' life --format rle < <(printf '...O\r\n!\r\n\r\n\n\nO..\n')
run_expect "life/rle as others write it" 0 "0 4" life --format count < <(printf '#N x\n#C y\nx = 10,y=3 , rule = b3/s23 \n 2o $ \n\r\n3b 2o2$!\n')
run_expect "life/rle without rule" 0 "0 200" life --format count < <(printf 'x = 1, y = 2\n100o$\n100o! and anything\n')
check_contains "life/watch" "generation 3, cells 5" "$(life --watch 1 -n 3 patterns/glider.cells)"
check "life/watch shows" "2" "$(life --watch 0 -n 0 patterns/glider.cells | grep -c '[▀▄█]')"

# refused NAME STATUS MESSAGE INPUT ARGS...
refused() {
  local name=$1 status=$2 message=$3 got=0
  printf '%b' "$4" >input
  shift 4
  life "$@" <input >out 2>err || got=$?
  check "life/$name" "$status $message" "$got $(head -1 err)"
}
refused "bad cell" 1 "life: stdin:3:2: unexpected character" '!x\n.O\n.x'
refused "bad run" 1 "life: stdin:3:4: unexpected character" '#C\nx = 3, y = 3\n3o2A!'
refused "no letter" 1 "life: stdin:2:3: no ! at the end" 'x = 3, y = 3\n3o'
refused "number at the end" 1 "life: stdin:2:4: no ! at the end" 'x = 3, y = 3\n3o3'
refused "number and line" 1 "life: stdin:2:4: unexpected character" 'x = 3, y = 3\n3o3\no!'
refused "bad header" 1 "life: stdin:1:5: bad header" 'x = a'
refused "short header" 1 "life: stdin:1:2: bad header" 'x'
refused "other rule" 1 "life: stdin:1:22: the rule is not B3/S23" 'x = 1, y = 2, rule = B36/S23\no!'
refused "large run" 1 "life: stdin:2:2: too large" 'x = 1, y = 2\no1073741824b!'
refused "large number" 1 "life: stdin:2:1: too large" 'x = 1, y = 2\n99999999999999999999999999b!'
refused "many large runs" 1 "life: stdin:2:12: too large" 'x = 1, y = 2\n1073741823bobo!'
refused "many rows" 1 "life: stdin:2:12: too large" 'x = 1, y = 2\n1073741823$3$o!'
refused "missing file" 1 "life: missing: No such file or directory" '' missing
refused "bad number" 2 "life: not a number: 1x" '' -n 1x
refused "bad count" 2 "life: not a number: 0" '' --every 0
refused "bad format" 2 "life: no such format: gif" '' --format gif
refused "two files" 2 "life: more than one file" '' a b
got=0
life patterns/glider.cells >/dev/full 2>err || got=$?
check "life/full" "1 life: life: No space left on device" "$got $(cat err)"

# Soups: sets of cells in Python. At generation 0 the formats are compared with what was made.
soups=8
[[ ${ATOLL_PRESET:-release} == release ]] || soups=2
cat >soup.py <<'END'
import random, sys
from collections import Counter
seed, form = int(sys.argv[1]), sys.argv[2]
rng = random.Random(seed)
width, height = rng.choice([(3, 70), (64, 16), (65, 17), (130, 33), (200, 5), (20, 20), (1, 200), (129, 40)])
density = rng.choice([0.1, 0.3, 0.5, 0.9])
cells = {(x, y) for y in range(height) for x in range(width) if rng.random() < density}

def plain(cells):
    if not cells:
        return ""
    left, top = min(x for x, y in cells), min(y for x, y in cells)
    rows = [""] * (max(y for x, y in cells) - top + 1)
    for x, y in sorted(cells):
        rows[y - top] += "." * (x - left - len(rows[y - top])) + "O"
    return "".join(row + "\n" for row in rows)

with open("soup", "w") as out:
    if form == "cells":
        out.write(plain(cells))
    else:
        out.write("x = %d, y = %d, rule = B3/S23\n" % (width, height))
        for row in plain(cells).split("\n"):
            out.write(row.replace(".", "b").replace("O", "o") + "$\n")
        out.write("!\n")
for generation in range(241):
    if generation % 80 == 0:
        print("!Generation: %d\n%s" % (generation, plain(cells)), end="")
    near = Counter((x + a, y + b) for x, y in cells for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)
    cells = {cell for cell, n in near.items() if n == 3 or n == 2 and cell in cells}
END
for ((seed = 1; seed <= soups; seed++)); do
  form=$( ((seed % 2)) && echo cells || echo rle)
  python3 soup.py "$seed" "$form" >expected
  check "life/soup $seed" "$(cat expected)" "$(life -n 240 --every 80 soup)"
  life -n 77 --format rle soup >half.rle
  check "life/soup $seed, from one format to the other and back" "$(life -n 77 soup | tail -n +2) " \
    "$(life half.rle | tail -n +2) "
  check "life/soup $seed, lines of run lengths" "" "$(awk 'length > 70' half.rle)"
done
