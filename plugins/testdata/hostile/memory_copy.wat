;; Moves nearly all of its memory by one byte, to and fro, for ever.
(module
  (memory 1)
  (func (export "run") (local $n i32)
    (drop (memory.grow (i32.const 1023)))
    (local.set $n (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))
    (loop $more
      (memory.copy (i32.const 1) (i32.const 0) (local.get $n))
      (memory.copy (i32.const 0) (i32.const 1) (local.get $n))
      (br $more)))
)
