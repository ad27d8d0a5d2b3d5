; Fibonacci numbers: (fib 25) by calls of itself, and the largest one that fits 64 bits by a loop.
(define (fib n)
  (if (< n 2)
      n
      (+ (fib (- n 1)) (fib (- n 2)))))

(define (fib-loop n)
  (let loop ((i 0) (a 0) (b 1))
    (if (= i n) a (loop (+ i 1) b (+ a b)))))

(define n
  (if (null? (command-line)) 25 (string->number (car (command-line)))))
(display (fib n))
(newline)
(display (fib-loop 91))
(newline)
