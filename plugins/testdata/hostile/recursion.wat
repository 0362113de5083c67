;; Calls itself without end, each time with something to do after it.
(module
  (func $down (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)
    (call $down (local.get 1) (local.get 2) (local.get 3) (local.get 4)
      (local.get 5) (local.get 6) (local.get 7) (i64.add (local.get 0) (i64.const 1)))
    (i64.add (local.get 0)) (i64.xor (local.get 1)) (i64.add (local.get 2)) (i64.xor (local.get 3))
    (i64.add (local.get 4)) (i64.xor (local.get 5)) (i64.add (local.get 6)) (i64.xor (local.get 7)))
  (func (export "run") (param i64) (result i64)
    (call $down (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0)))
)
