;; Doubles its memory until that is refused, and then gives up.
(module
  (memory 1)
  (func (export "run")
    (loop $more
      (br_if $more (i32.ne (memory.grow (memory.size)) (i32.const -1))))
    unreachable)
)
