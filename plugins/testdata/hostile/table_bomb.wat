;; Grows its tables for ever.
(module
  (table $a 1 funcref)
  (table $b 1 externref)
  (func (export "run")
    (loop $more
      (drop (table.grow $a (ref.null func) (i32.const 1000)))
      (drop (table.grow $b (ref.null extern) (table.size $b)))
      (br $more)))
)
