(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (export "_initialize" (func $yield)))
