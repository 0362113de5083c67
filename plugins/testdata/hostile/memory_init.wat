;; Copies a data segment in for ever, and nothing of it for ever.
(module
  (memory 1)
  (data $d "0123456789abcdef0123456789abcdef")
  (func (export "run")
    (loop $more
      (memory.init $d (i32.const 7) (i32.const 0) (i32.const 32))
      (br $more)))
  (func (export "nothing")
    (loop $more
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))
      (br $more)))
)
