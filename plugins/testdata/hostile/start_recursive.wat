;; Overflows the stack in its start function.
(module (func $start (call $start) (drop (i32.const 0))) (start $start))
