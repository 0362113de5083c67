;; Sleeps in initialisation, and keeps what the clocks said and random bytes.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_initialize")
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 1000000000)) ;; 1 s
    (drop (call $poll_oneoff (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000)))
    (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)))
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8)))
    (drop (call $random_get (i32.const 16) (i32.const 8))))
  (func (export "kept") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "monotonic") (result i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 32)))
    (i64.load (i32.const 32))))
