;; Initialises for long, by the loop of 20 million rounds, each time anew,
;; because of table.set.
(module
  (table 1 funcref)
  (func (export "_initialize") (local $n i32)
    (local.set $n (i32.const 20000000))
    (loop $l
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $l (local.get $n))))
  (func (export "change") (table.set 0 (i32.const 0) (ref.null func))))
