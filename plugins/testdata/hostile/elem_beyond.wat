;; An element segment whose last element is beyond the table: none of it is there.
(module
  (table 2 funcref)
  (elem (i32.const 1) func $f $f)
  (func $f)
  (func (export "run") (call_indirect (i32.const 1)))
)
