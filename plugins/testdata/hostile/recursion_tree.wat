;; Calls itself twice, 200 calls deep: no stack overflows and no loop is needed.
(module
  (func $down (param i32)
    (if (local.get 0) (then
      (call $down (i32.sub (local.get 0) (i32.const 1)))
      (call $down (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "run") (call $down (i32.const 200)))
)
