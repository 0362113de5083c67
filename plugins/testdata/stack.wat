;; Functions of several types, to be seen in the stack of a trap.
(module
  (func $inner (param i32) (result f64 i64) unreachable)
  (func $middle (param i64 f32) (result i64)
    local.get 0
    i32.wrap_i64
    call $inner
    local.set 0
    drop
    local.get 0)
  (func $outer (export "run") (result i64)
    i64.const 1
    f32.const 2
    call $middle))
