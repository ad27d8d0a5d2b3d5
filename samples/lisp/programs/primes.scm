; The primes below a number, by the sieve of Eratosthenes.
(define (primes-below n)
  (let ((composite (make-vector n #f)))
    (let next ((i 2) (found '()))
      (cond ((>= i n) (reverse found))
            ((vector-ref composite i) (next (+ i 1) found))
            (else
             (do ((j (* i i) (+ j i)))
                 ((>= j n))
               (vector-set! composite j #t))
             (next (+ i 1) (cons i found)))))))

(write (primes-below 100))
(newline)
(display (length (primes-below 10000)))
(newline)
