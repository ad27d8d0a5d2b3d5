#!/usr/bin/env bash
# samples/lisp: its programs, dialogues, errors, hostile input, and the collector under stress.
source "$(dirname "$0")/../lib.sh"
cd "$scratch" || exit 1
"$ATOLL" asm "$root/samples/lisp/lisp.atoll" -o lisp.atb || exit 1
lisp=("$ATOLL" run --argv0 lisp --dir-ro . --dir-ro "$root/samples/lisp/programs::programs" lisp.atb)

# --- Programs, also with a collection whenever something is made ---------------------------------
run_expect lisp/fib 0 $'6765\n4660046610375530309' "${lisp[@]}" programs/fib.scm 20
primes="(2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97)"
run_expect lisp/primes 0 "$primes"$'\n1229' "${lisp[@]}" programs/primes.scm
run_expect lisp/queens 0 92 "${lisp[@]}" programs/queens.scm
run_expect lisp/words 0 'the 4
dog 2
fox 2
quick 2
brown 1
is 1
jumps 1
lazy 1
over 1
sleeps 1
"ORDER-IN"' "${lisp[@]}" programs/words.scm
run_expect lisp/evaluator 0 "(2432902008176640000 10 20)" "${lisp[@]}" programs/evaluator.scm
mandelbrot=$(python3 -c '
for row in range(12):
    line = ""
    for column in range(30):
        cx, cy = 3.0 * (column / 30) - 2.2, 2.4 * (row / 12) - 1.2
        x = y = 0.0
        n = 0
        while n < 50 and x * x + y * y <= 4.0:
            x, y, n = x * x - y * y + cx, 2.0 * x * y + cy, n + 1
        line += " .:-=+*#%@"[n // 6]
    print(line)')
run_expect lisp/mandelbrot 0 "$mandelbrot" "${lisp[@]}" programs/mandelbrot.scm 30
# In constant memory: 8 MiB would not do for a frame each.
run_expect lisp/tail 0 $'125000250000\ndone' "$ATOLL" run --memory 8M \
  --dir-ro "$root/samples/lisp/programs::programs" lisp.atb programs/tail.scm 500000

stress() {
  local name=$1
  shift
  "${lisp[@]}" "programs/$name.scm" "$@" >plain 2>&1
  run_expect "lisp/stress/$name" 0 "$(cat plain)" "${lisp[@]}" --gc-stress "programs/$name.scm" "$@"
}
stress fib 10
stress primes
stress queens 5
stress words
stress evaluator
stress mandelbrot 8
stress tail 1000

# --- Sessions ------------------------------------------------------------------------------------
# dialogue NAME INPUT OUTPUT: forms from standard input; values and errors, in their order. Also with
# a collection whenever something is made.
dialogue() {
  check "lisp/$1" "$3" "$(printf '%s\n' "$2" | "${lisp[@]}" 2>&1)"
  check "lisp/stress/$1" "$3" "$(printf '%s\n' "$2" | "${lisp[@]}" --gc-stress 2>&1)"
}
dialogue values '1 -7 1.5 "a\n\"b\\" (quote sym) #t #f #\a #\space (quote (1 (2 . 3) . 4)) (vector 1 "x")
"two
lines" #xff .5 -1e3 1e400 +nan.0 car (lambda (x) x) `(a ,(+ 1 2))' '1
-7
1.5
"a\n\"b\\"
sym
#t
#f
#\a
#\space
(1 (2 . 3) . 4)
#(1 "x")
"two\nlines"
255
0.5
-1000.0
+inf.0
+nan.0
#<procedure car>
#<procedure>
(a 3)'
dialogue comments '1 ; one
#| two #| nested |# |# 2 #;(three 3) 4' $'1\n2\n4'
dialogue goes-on '(define (f x)
  (* x
     2))
(f 21)
(car 1) (f 1)
(f 1 2)
nowhere
) 1
(f 3)
(error "text:" (list 1 "x") (quote y))' '42
standard input:5:1: car: not a pair: 1
2
standard input:6:1: f: wrong number of arguments: 2, needs 1
standard input:7:1: undefined variable: nowhere
standard input:8:1: this ) has no (
6
standard input:10:1: text: (1 "x") y'
dialogue inside '(define (f x) (g x)) (define (g x) (car x) 1) (g 1)' \
  'standard input:1:47: car: not a pair: 1 (in g)'
dialogue integers '(+ 9223372036854775807 0) (+ 9223372036854775807 1) (- -9223372036854775808)
(* 4294967296 4294967296) (* 3037000499 3037000499) (- 4611686018427387904 1) (+ 4611686018427387903 1)
(- -4611686018427387904 1) (quotient -9223372036854775808 -1) 9223372036854775808
(quotient -7 2) (remainder -7 2) (modulo -7 2) (/ 6 3) (/ 1 4) (/ 1 0) (+ 1 2.5) (max 1 2.0) (abs -5)
(expt 2 62) (sqrt 49) (exact 3.0) (exact 0.5) (round 2.5) (number->string 255 16) (string->number "1x")' \
  '9223372036854775807
standard input:1:27: +: integer overflow
standard input:1:53: -: integer overflow
standard input:2:1: *: integer overflow
9223372030926249001
4611686018427387903
4611686018427387904
-4611686018427387905
standard input:3:28: quotient: integer overflow
standard input:3:63: integer out of range
-3
-1
1
2
0.25
standard input:4:64: /: division by zero
3.5
2.0
5
4611686018427387904
7
3
standard input:5:35: exact: no integer of 64 bits: 0.5
2.0
"ff"
#f'
dialogue scope "(define x 1) (define (get) x) (let ((x 2)) (get)) (set! x 5) (get)
(define (counter) (let ((n 0)) (lambda () (set! n (+ n 1)) n)))
(define a (counter)) (define b (counter)) (a) (a) (b)
(define (adders) (map (lambda (n) (lambda (x) (+ x n))) '(1 2 3)))
(map (lambda (f) (f 10)) (adders))
(define (shadow if) (if 1 2)) (shadow +)
(define fs (do ((i 0 (+ i 1)) (l '() (cons (lambda () i) l))) ((= i 3) l))) (map (lambda (f) (f)) fs)
(define gs (do ((i 0 (+ i 1)) (l '() (cons (lambda () (set! i (+ i 10)) i) l))) ((= i 3) l)))
(map (lambda (f) (f)) gs) (map (lambda (f) (f)) gs)" '1
5
1
2
1
(11 12 13)
3
(2 1 0)
(12 11 10)
(22 21 20)'
dialogue forms "(let* ((x 1) (y (+ x 1))) (list x y)) (let loop ((i 0)) (if (< i 5) (loop (+ i 1)) i))
(letrec ((e? (lambda (n) (if (= n 0) #t (o? (- n 1))))) (o? (lambda (n) (if (= n 0) #f (e? (- n 1))))))
  (e? 1001))
(define (t) (define a 1) (define (b) (+ a c)) (define c 2) (b)) (t)
(letrec ((a b) (b 1)) a)
(cond ((assv 2 '((1 a) (2 b))) => cadr) (else 'none)) (cond (#f 1)) (cond (3)) (cond (#f 1) (else 2 3))
(case (* 2 3) ((2 3 5 7) 'prime) ((1 4 6 8 9) 'composite)) (case 'x ((y) 1) (else 2))
(and) (or) (and 1 2) (and #f 2) (or #f 3) (when #t 1 2) (unless #t 1)
((lambda (a . rest) (list a rest)) 1 2 3) ((lambda all all)) (define (f a b . c) (list a b c)) (f 1 2)
(f 1) (apply f 1 '(2 3 4))
\`(1 ,@(list 2 3) ,(+ 2 2) . ,(+ 2 3)) \`(1 \`(2 ,(3 ,(+ 1 3)))) \`#(1)
(eval '(let ((x 2)) (* x x)))" '(1 2)
5
#f
3
standard input:5:1: variable used before it has a value
b
3
3
composite
2
#t
#f
2
#f
3
2
(1 (2 3))
()
(1 2 ())
standard input:10:1: f: wrong number of arguments: 1, needs 2 or more
(1 2 (3 4))
(1 2 3 4 . 5)
(1 `(2 ,(3 4)))
#(1)
4'
dialogue lists "(map + '(1 2 3) '(10 20 30)) (filter odd? (iota 6)) (fold cons '() '(1 2 3)) (reverse '(1 2 3))
(append '(1) '(2 3) '() '4) (list-tail '(1 2 3) 2) (sort '(3 1 2 5 4) <) (reduce max 0 '(3 9 2))
(equal? '(1 (2 #(\"x\"))) '(1 (2 #(\"x\")))) (eq? 'a 'a) (eqv? 1.5 1.5) (eq? \"a\" \"a\") (member \"b\" '(\"a\" \"b\"))
(assoc 2.0 '((1 . a) (2.0 . b))) (length '(1 . 2)) (vector->list (vector-map square (vector 1 2 3)))
(vector-ref (vector 1 2) 2) (let ((v (make-vector 2 0))) (vector-set! v 1 'x) v)" '(11 22 33)
(1 3 5)
(3 2 1)
(3 2 1)
(1 2 3 . 4)
(3)
(1 2 3 4 5)
9
#t
#t
#t
#f
("b")
(2.0 . b)
standard input:4:34: length: not a list: (1 . 2)
(1 4 9)
standard input:5:1: vector-ref: no such index: 2
#(0 x)'
dialogue strings '(string-append "fü" "r") (string-length "für") (string-ref "für" 1) (substring "für alle" 1 5)
(string-search "für alle" "alle") (string-split "a,b,,c" ",") (string-join (list "x" "y") "-")
(list->string (reverse (string->list "für"))) (string<? "a" "b") (string-upcase "abc") (symbol->string (quote a))
(string->symbol "b") (char->integer #\A) (integer->char 955) (string-ref "abc" 3) (substring "abc" 2 1)' '"für"
3
#\ü
"ür a"
4
("a" "b" "" "c")
"x-y"
"rüf"
#t
"ABC"
"a"
b
65
#\λ
standard input:4:62: string-ref: no such index: 3
standard input:4:83: substring: no such part: 2'
dialogue redefine '(define (f x) (+ x 1)) (define (+ a b) (* a b)) (f 2) (+ 3 4) (define (reverse x) 0) (map car (quote ((1) (2))))' \
  $'3\n12\n(1 2)'
dialogue read-line $'(define (get) (read-line)) (list (get) (get) (get))\nthis line' '("" "this line" #<eof>)'
check lisp/exit 7 "$(printf '(display "x") (exit 7) (display "y")' | "${lisp[@]}" >out; echo $?)"
check lisp/exit/output x "$(cat out)"

# --- Errors in files -----------------------------------------------------------------------------
# broken NAME TEXT MESSAGE: a program that ends with status 1 and a message.
broken() {
  printf '%s' "$2" >"$1.scm"
  run_expect "lisp/broken/$1" 1 "" "${lisp[@]}" "$1.scm"
  check "lisp/broken/$1/message" "$1.scm:$3" "$(cat stderr)"
}
broken open $'(define x 1)\n  (display\n' "2:3: the text ends inside of a list"
broken string $'\n"abc' "2:1: the text ends inside of a string"
broken comment '#| abc' "1:1: the text ends inside of a comment"
broken close '(+ 1 2))' "1:8: this ) has no ("
broken dot '(1 . 2 3)' "1:5: a dot in a wrong place"
broken hash '#q' "1:1: unknown syntax"
broken escape '"a\qb"' "1:5: unknown escape in a string"
broken character '#\abc' "1:1: unknown character"
broken range 99999999999999999999 "1:1: integer out of range"
broken parentheses "$(printf '(%.0s' {1..1000})" "1:502: nested too deeply"
broken quotes "$(printf "'%.0s" {1..1000})" "1:502: nested too deeply"
broken if '(if)' "1:1: bad syntax: (if)"
broken let '(let ((x)) x)' "1:1: bad syntax: (x)"
broken else '(else)' "1:1: bad syntax: (else)"
broken lambda '(lambda (1) 1)' "1:1: bad parameters: (1)"
broken body '(lambda (x))' "1:1: bad syntax: (lambda (x))"
broken empty '()' "1:1: () is no expression; for the empty list write '()"
broken define '(let ((x 1)) (if x (define y 1)))' "1:1: not at the top or in a body"
broken set '(set! x 1)' "1:1: undefined variable: x"
broken call '(1 2)' "1:1: not a procedure: 1"
broken arguments '(+ 1 . 2)' "1:1: the arguments are no list: (+ 1 . 2)"
broken cycle '(define v (vector 1)) (vector-set! v 0 v) (define w (vector 1)) (vector-set! w 0 w) (equal? v w)' \
  "1:85: equal?: nested too deeply"
broken long '(car (iota 1000) 1)' "1:1: car: wrong number of arguments: 2, needs 1"
broken value '(vector-ref (iota 1000) 1)' \
  "1:1: vector-ref: not a vector: ($(seq -s ' ' 0 300 | head -c 199)..."
printf '(define (nest n x) (if (= n 0) x (nest (- n 1) (list x)))) (write (nest 5000 1))' >nest.scm
run_expect lisp/print-deep 0 "$(printf '(%.0s' {1..500})...$(printf ')%.0s' {1..500})" "${lisp[@]}" nest.scm

# A frame each for 100,000 calls, and too many of them.
printf '(define (f n) (if (= n 0) 0 (+ 1 (f (- n 1))))) (display (f 100000)) (newline) (f 20000000)' >deep.scm
run_expect lisp/deep 1 100000 "$ATOLL" run --memory 64M --dir-ro . lisp.atb deep.scm
check lisp/deep/message "deep.scm:1:80: recursion too deep (in f)" "$(cat stderr)"
printf "(define (grow l) (grow (cons (make-vector 100000 0) l))) (grow '())\n(+ 1 2)\n" >grow
check lisp/memory $'standard input:1:58: make-vector: out of memory (in grow)\n3' \
  "$("$ATOLL" run --memory 64M lisp.atb <grow 2>&1)"
# Garbage is given back: far more than the limit is made in all.
printf '(define (f n) (if (> n 0) (begin (make-vector 10000 n) (f (- n 1))) n)) (display (f 5000))' >garbage.scm
run_expect lisp/garbage 0 0 "$ATOLL" run --memory 16M --dir-ro . lisp.atb garbage.scm

run_expect lisp/missing 2 "" "${lisp[@]}" nothing.scm
check lisp/missing/message "lisp: nothing.scm: No such file or directory" "$(cat stderr)"
run_expect lisp/unknown-option 2 "" "${lisp[@]}" --nonsense
head -c 20000 "$ATOLL" >binary
"${lisp[@]}" <binary >out 2>&1
check lisp/binary 0 $?

# On a terminal there is a prompt, another one inside of a form, and an end by Ctrl-D.
check lisp/terminal $'> (define (f x)\n... (* x 2))\n> (f 4)\n8\n> ' "$(python3 - "$ATOLL" <<'END'
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "lisp.atb"])
text = b""
def until(end):
    global text
    while not text.endswith(end):
        text += os.read(terminal, 1000)
until(b"> ")
os.write(terminal, b"(define (f x)\n")
until(b"... ")
os.write(terminal, b"(* x 2))\n")
until(b"\n> ")
os.write(terminal, b"(f 4)\n")
until(b"8\r\n> ")
os.write(terminal, b"\x04")
try:
    while part := os.read(terminal, 1000):
        text += part
except OSError:
    pass
sys.stdout.write(text.decode().replace("\r", ""))
END
)"
