; The Mandelbrot set in characters.
(define width
  (if (null? (command-line)) 60 (string->number (car (command-line)))))
(define height (quotient (* width 2) 5))

(define (steps cx cy)
  (let loop ((x 0.0) (y 0.0) (n 0))
    (if (or (= n 50) (> (+ (* x x) (* y y)) 4.0))
        n
        (loop (+ (- (* x x) (* y y)) cx) (+ (* 2.0 x y) cy) (+ n 1)))))

(do ((row 0 (+ row 1)))
    ((= row height))
  (do ((column 0 (+ column 1)))
      ((= column width))
    (let ((n (steps (- (* 3.0 (/ column width)) 2.2) (- (* 2.4 (/ row height)) 1.2))))
      (display (string-ref " .:-=+*#%@" (quotient n 6)))))
  (newline))
