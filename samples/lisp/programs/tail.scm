; A loop of many turns, and two functions that call each other: no stack is used by either.
(define (sum i total)
  (if (= i 0) total (sum (- i 1) (+ total i))))
(define (ping n) (if (= n 0) 'done (pong (- n 1))))
(define (pong n) (if (= n 0) 'done (ping (- n 1))))

(define turns
  (if (null? (command-line)) 1000000 (string->number (car (command-line)))))
(display (sum turns 0))
(newline)
(display (ping turns))
(newline)
