;; Rotates letters by 13 places, from standard input to standard output.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: an iovec (address, size); 8: how many bytes were read or written; 4096: the text.
  (memory (export "memory") 2)
  (global $text i32 (i32.const 4096))
  (global $room i32 (i32.const 65536))

  (func $rotate (param $c i32) (result i32)
    (local $place i32)
    ;; The place in the alphabet of the letter's small form; above 25: no letter.
    (local.set $place
      (i32.sub (i32.or (local.get $c) (i32.const 32)) (i32.const 97)))
    (if (i32.gt_u (local.get $place) (i32.const 25)) (then (return (local.get $c))))
    (i32.add (local.get $c)
      (select (i32.const 13) (i32.const -13) (i32.lt_u (local.get $place) (i32.const 13)))))

  (func $rotate_all (param $at i32) (param $end i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return)))
      (i32.store8 (local.get $at) (call $rotate (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))

  ;; The process ends with status 1 when a call fails.
  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func $write (param $at i32) (param $end i32)
    (loop $next
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.sub (local.get $end) (local.get $at)))
      (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end)))))

  (func (export "_start")
    (local $end i32)
    (loop $next
      (i32.store (i32.const 0) (global.get $text))
      (i32.store (i32.const 4) (global.get $room))
      (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.eqz (i32.load (i32.const 8))) (then (return)))
      (local.set $end (i32.add (global.get $text) (i32.load (i32.const 8))))
      (call $rotate_all (global.get $text) (local.get $end))
      (call $write (global.get $text) (local.get $end))
      (br $next))))
