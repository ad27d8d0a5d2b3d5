; An evaluator of a part of the language, written in it; it runs a program, which has a small
; evaluator of its own.
(define (lookup name env)
  (cond ((null? env) (error "unbound:" name))
        ((assq name (vector-ref (car env) 0)) => (lambda (entry) (vector-ref (cdr entry) 0)))
        (else (lookup name (cdr env)))))

(define (extend names values env)
  (cons (vector (map (lambda (n v) (cons n (vector v))) names values)) env))

(define (define-in! name value env)
  (vector-set! (car env) 0 (cons (cons name (vector value)) (vector-ref (car env) 0))))

(define (evaluate x env)
  (cond ((symbol? x) (lookup x env))
        ((not (pair? x)) x)
        (else
         (case (car x)
           ((quote) (cadr x))
           ((if) (evaluate (if (evaluate (cadr x) env) (caddr x) (cadddr x)) env))
           ((define) (define-in! (cadr x) (evaluate (caddr x) env) env) 'defined)
           ((lambda)
            (lambda arguments (evaluate-all (cddr x) (extend (cadr x) arguments env))))
           (else
            (apply (evaluate (car x) env)
                   (map (lambda (part) (evaluate part env)) (cdr x))))))))

(define (evaluate-all forms env)
  (if (null? (cdr forms))
      (evaluate (car forms) env)
      (begin (evaluate (car forms) env) (evaluate-all (cdr forms) env))))

(define global
  (extend '(+ - * = cons car cdr null? pair? eq?) (list + - * = cons car cdr null? pair? eq?) '()))

(define program
  '((define fact (lambda (n) (if (= n 0) 1 (* n (fact (- n 1))))))
    (define reduce
      (lambda (f start list)
        (if (null? list) start (f (car list) (reduce f start (cdr list))))))
    (define calc
      (lambda (x)
        (if (pair? x)
            ((if (eq? (car x) '+) + (if (eq? (car x) '*) * -))
             (calc (car (cdr x)))
             (calc (car (cdr (cdr x)))))
            x)))
    (cons (fact 20) (cons (reduce + 0 '(1 2 3 4)) (cons (calc '(+ 2 (* 3 (- 10 4)))) '())))))

(write (evaluate-all program global))
(newline)
