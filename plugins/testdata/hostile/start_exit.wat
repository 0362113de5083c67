;; Exits in its start function, as if all were well.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (func $start (call $proc_exit (i32.const 0)))
  (start $start)
)
