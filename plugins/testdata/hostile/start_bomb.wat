;; Takes all the memory it gets in its start function.
(module
  (memory 1)
  (func $start
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable)
  (start $start)
)
