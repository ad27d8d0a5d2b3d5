; In how many ways n queens can stand on a board of n times n fields without attacking each other.
(define (safe? row placed)
  (let loop ((rest placed) (distance 1))
    (or (null? rest)
        (and (not (= (car rest) row))
             (not (= (abs (- (car rest) row)) distance))
             (loop (cdr rest) (+ distance 1))))))

(define (queens n)
  (let place ((left n) (placed '()))
    (if (= left 0)
        1
        (fold + 0
              (map (lambda (row) (if (safe? row placed) (place (- left 1) (cons row placed)) 0))
                   (iota n))))))

(define n
  (if (null? (command-line)) 8 (string->number (car (command-line)))))
(display (queens n))
(newline)
