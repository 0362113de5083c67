;; Fills all of its memory with random bytes for ever.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory 1)
  (func (export "run")
    (drop (memory.grow (i32.const 1023)))
    (loop $more
      (drop (call $random_get (i32.const 0) (i32.const 0x4000000)))
      (br $more)))
)
