; Counts the words of a text: strings, association lists, sorting, quasiquote.
(define text
  "the quick brown fox jumps over the lazy dog; the dog sleeps, the fox is quick")

(define (letters word) (list->string (filter char-alphabetic? (string->list word))))

(define (count-word counts word)
  (let ((entry (assoc word counts)))
    (if entry
        (map (lambda (e) (if (eq? e entry) `(,word . ,(+ 1 (cdr e))) e)) counts)
        (cons (cons word 1) counts))))

(define counts
  (let loop ((words (map letters (string-split text " "))) (counts '()))
    (if (null? words) counts (loop (cdr words) (count-word counts (car words))))))

(for-each (lambda (entry)
            (display (string-append (car entry) " " (number->string (cdr entry)) "\n")))
          (sort counts
                (lambda (a b)
                  (or (> (cdr a) (cdr b))
                      (and (= (cdr a) (cdr b)) (string<? (car a) (car b)))))))
(write (string-upcase (string-join (reverse (string-split "in order" " ")) "-")))
(newline)
