;; Asks for the time for ever.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory 1)
  (func (export "clock")
    (loop $more (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0))) (br $more)))
  (func (export "yield")
    (loop $more (drop (call $yield)) (br $more)))
)
