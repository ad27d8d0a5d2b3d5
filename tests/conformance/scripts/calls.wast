;; Results of calls whose window had to be one slot higher, and what needs their slots next.
(module
  (global $count (mut i32) (i32.const 0))
  (func $next (result i32)
    (global.set $count (i32.add (i32.const 1) (global.get $count)))
    (global.get $count))
  (func $step (drop (call $next)))
  (func $twice (param i64) (result i64 i64) (local.get 0) (local.get 0))
  (func $over (param i64 i64) (result i64 i64 i64) (local.get 0) (local.get 1) (local.get 0))
  (func $id (param i32) (result i32) (local.get 0))
  (type $unary (func (param i32) (result i32)))
  (table funcref (elem $id))

  ;; A call without arguments over a high result.
  (func (export "no-arguments") (result i32)
    (global.set $count (i32.const 0))
    call $next
    call $next
    call $step
    i32.add)
  ;; The index of an indirect call is a call's result above two others.
  (func (export "index") (result i32)
    (global.set $count (i32.const 6))
    call $next
    call $next
    (call $id (i32.const 0))
    call_indirect (type $unary)
    i32.sub)
  ;; An operation takes the topmost of three high results: the lowest is in its result's slot.
  (func (export "operation") (param i64) (result i64)
    (i64.const 1) (local.get 0)
    (loop $l (param i64 i64) (result i64)
      (call $over) (call $over) (i64.mul)
      (call $over) (i64.const 1) (i64.sub)
      (call $twice) (i64.const 0) (i64.gt_u)
      (br_if $l)
      (drop) (return))))

(assert_return (invoke "no-arguments") (i32.const 3))
(assert_return (invoke "index") (i32.const -1))
(assert_return (invoke "operation" (i64.const 25)) (i64.const 7034535277573963776))

;; The first break of a rule is in the first function, but the second has a byte that is no
;; instruction's: the module is malformed.
(assert_malformed
  (module binary
    "\00asm" "\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\03\02\00\00"
    "\0a\09\02"
    "\03\00\6a\0b"
    "\03\00\ff\0b")
  "illegal opcode")
