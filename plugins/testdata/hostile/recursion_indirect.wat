;; Calls itself without end, through a table.
(module
  (type $t (func))
  (table 1 funcref)
  (elem (i32.const 0) func $down)
  (func $down (export "run")
    (call_indirect (type $t) (i32.const 0))
    (drop (i32.const 0)))
)
