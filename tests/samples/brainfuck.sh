#!/usr/bin/env bash
# samples/brainfuck: its programs, what it optimises, and what it must refuse.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
brainfuck=("$ATOLL" run --dir-ro . --dir-ro "$root/samples/brainfuck/programs::programs"
  "$root/samples/brainfuck/brainfuck.atoll")

run_expect brainfuck/hello 0 "Hello World!" "${brainfuck[@]}" programs/hello.bf
run_expect brainfuck/squares 0 "$(for i in {0..100}; do echo $((i * i)); done)" \
  "${brainfuck[@]}" programs/squares.bf
triangle=$(python3 -c '
for y in range(32):
    print(" " * (31 - y) + "".join("* " if x & y == x else "  " for x in range(y + 1)))')
run_expect brainfuck/sierpinski 0 "$triangle" "${brainfuck[@]}" programs/sierpinski.bf
run_expect brainfuck/quine 0 "$(cat "$root/samples/brainfuck/programs/quine.bf")" \
  "${brainfuck[@]}" programs/quine.bf
check brainfuck/reverse desserts "$(printf stressed | "${brainfuck[@]}" programs/reverse.bf)"
head -c 5000 "$root/docs/assembly.md" | tr -d '\0' >text
check brainfuck/reverse/text \
  "$(python3 -c 'import sys; sys.stdout.buffer.write(open("text", "rb").read()[::-1])')" \
  "$("${brainfuck[@]}" programs/reverse.bf <text)"

# run NAME PROGRAM OUTPUT [STATUS]: a program on the spot; input is "abc".
run() {
  printf '%s' "$2" >program.bf
  printf abc >input
  run_expect "brainfuck/$1" "${4:-0}" "$3" "${brainfuck[@]}" program.bf <input
}
run nothing "" ""
run comment "no command at all" ""
run echo ",.,.,.,[.]" abc
run wrap "-[------->+<]>-." H
run wrap-up "+++++++++++++[->+++++<]>." A
run clear "+++[-]++++++++[>++++++++<-]>+." A
run clear-up "-[+]++++++++[>++++++++<-]>+." A
run multiply "++++++++[>++++++++>+++++++++<<-]>+.>." AH
run multiply-back ">>++++++++[<++++++++<+++++++++>>-]<<.>+." HA
run multiply-down "+++++[->-------------<]>[-]+++++[->+++++++++++++<]>." A
run multiply-nothing "[>>>>+<<<<-]++++++++[>++++++++<-]>+." A
run scan "+>+>+>>++++++++[>++++++++<-]>+<<<<<[>]>>." A
run scan-by-two "+>>+>>+<<<<[>>]++++++++[>++++++++<-]>+." A
run loop-twice "++[>+++[>+++++++++++<-]<-]>>-." A
run balanced-move "+>>><<<+++++++[>+++++++++<-]>+." I
run left "<" "" 1
check brainfuck/left/message "brainfuck: the pointer left the tape" "$(cat stderr)"
run left-later "+[<+]" "" 1
run right "+[>+]" "" 1
run output-then-left "++++++++[>++++++++<-]>+.<<" A 1
run unopened $'+\n  ]' "" 1
check brainfuck/unopened/message "brainfuck: program.bf:2:3: this ] has no [" "$(cat stderr)"
run unclosed "[[]" "" 1
check brainfuck/unclosed/message "brainfuck: program.bf:1:1: this [ has no ]" "$(cat stderr)"

deep=$(printf '[%.0s' {1..30000}; printf ']%.0s' {1..30000})
run deep "$deep++++++++[>++++++++<-]>+." A

run_expect brainfuck/missing 1 "" "${brainfuck[@]}" nothing.bf
check brainfuck/missing/message "brainfuck: nothing.bf: No such file or directory" "$(cat stderr)"
run_expect brainfuck/directory 1 "" "${brainfuck[@]}" programs
run_expect brainfuck/none 2 "" "${brainfuck[@]}"
run_expect brainfuck/two 2 "" "${brainfuck[@]}" programs/hello.bf programs/hello.bf
head -c 200000 "$ATOLL" | tr -d '[]<>,.' >program.bf
run_expect brainfuck/binary 0 "" "${brainfuck[@]}" program.bf
