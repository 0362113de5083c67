;; Goes round by tail calls, without a loop instruction.
(module
  (type $t (func))
  (table 1 funcref)
  (elem (i32.const 0) func $indirect)
  (func $self (export "self") (return_call $self))
  (func $a (export "pair") (return_call $b))
  (func $b (if (i32.const 1) (then (return_call $a))))
  (func $indirect (export "indirect") (return_call_indirect (type $t) (i32.const 0)))
  (func $growing (export "growing") (return_call $eight (i64.const 0) (i64.const 1) (i64.const 2)
    (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)))
  (func $eight (param i64 i64 i64 i64 i64 i64 i64 i64) (return_call $growing))
)
