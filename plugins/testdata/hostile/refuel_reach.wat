;; Calls whatever of the refuel function's type it can get at by a number: its own
;; function 1, which the refuel function takes the place of in the rewritten
;; module, all of its table, and what is behind that.
(module
  (type $refuel (func (param i64) (result i64)))
  (type $sized (func (param i32) (result i64)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (func $own (export "own") (type $refuel) (i64.add (local.get 0) (i64.const 1))) ;; function 1
  (func $last (export "last") (type $refuel) (i64.add (local.get 0) (i64.const 2))) ;; function 2
  (table $t 8 funcref)
  (elem (i32.const 0) func $yield $own $last)
  (func (export "direct") (type $refuel) (call 1 (local.get 0)))
  (func (export "indirect") (param i32) (result i64)
    (call_indirect (type $refuel) (i64.const 40) (local.get 0)))
  (func (export "by_reference") (result i64)
    (table.set $t (i32.const 7) (table.get $t (i32.const 1)))
    (call_indirect (type $refuel) (i64.const 40) (i32.const 7)))
)
