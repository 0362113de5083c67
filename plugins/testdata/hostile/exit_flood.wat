;; Exits, and would go on.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (func (export "zero") (loop $more (call $proc_exit (i32.const 0)) (br $more)))
  (func (export "most") (loop $more (call $proc_exit (i32.const -1)) (br $more)))
)
