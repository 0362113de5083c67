;; Ten lines: what the package example runs.
(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (func (export "double") (param $n i32) (result i32)
    (i32.mul (local.get $n) (i32.const 2)))
  (func (export "calls") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (global.get $calls))
)
