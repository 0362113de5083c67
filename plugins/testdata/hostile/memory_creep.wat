;; Grows its memory by one page for ever, whatever it is answered.
(module
  (memory 1)
  (func (export "run")
    (loop $more
      (drop (memory.grow (i32.const 1)))
      (br $more)))
)
