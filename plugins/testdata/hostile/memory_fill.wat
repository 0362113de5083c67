;; Fills all of its memory for ever.
(module
  (memory 1)
  (func (export "run")
    (drop (memory.grow (i32.const 1023)))
    (loop $more
      (memory.fill (i32.const 0) (i32.const 0x5a) (i32.mul (memory.size) (i32.const 65536)))
      (br $more)))
)
