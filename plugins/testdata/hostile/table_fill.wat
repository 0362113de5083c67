;; Fills and copies a full table for ever.
(module
  (table $a 262144 funcref)
  (func (export "run")
    (loop $more
      (table.fill $a (i32.const 0) (ref.null func) (i32.const 262144))
      (table.copy $a $a (i32.const 1) (i32.const 0) (i32.const 262143))
      (br $more)))
)
