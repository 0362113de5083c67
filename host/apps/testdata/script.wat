;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Does what the event says: a list of records of four i32 (op, a, b, c), read
;; to 131072, with whatever data the test puts behind them. The manifest is
;; patched into the binary by the test.
(module
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "settings_read" (func $settings_read (param i32 i32) (result i32)))
  (import "auricle_v1" "result_read" (func $result_read (param i32 i32) (result i32)))
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "error_write" (func $error_write (param i32 i32)))
  (import "auricle_v1" "log" (func $log (param i32 i32 i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (import "auricle_v1" "call" (func $call (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 8)
  (data (i32.const 1024) "MANIFEST                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 1024) (i32.const 8192)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (local $pc i32) (local $a i32) (local $b i32) (local $c i32) (local $last i32)
    (drop (call $event_read (i32.const 131072) (local.get $size)))
    (local.set $pc (i32.const 131072))
    (loop $next
      (local.set $a (i32.load offset=4 (local.get $pc)))
      (local.set $b (i32.load offset=8 (local.get $pc)))
      (local.set $c (i32.load offset=12 (local.get $pc)))
      (block $write (block $exit (block $stderr (block $grow (block $last_result (block $emit_last (block $spin (block $trap
      (block $call_ (block $emit_ (block $log_ (block $error (block $manifest (block $result (block $settings (block $event (block $return
        (br_table $return $event $settings $result $manifest $error $log_ $emit_ $call_ $trap $spin $emit_last $last_result $grow $stderr $exit $write
          (i32.load (local.get $pc))))
        ;; 0 return
        (return (local.get $a)))
        ;; 1 event_read
        (local.set $last (call $event_read (local.get $a) (local.get $b)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 2 settings_read
        (local.set $last (call $settings_read (local.get $a) (local.get $b)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 3 result_read
        (local.set $last (call $result_read (local.get $a) (local.get $b)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 4 manifest_write
        (call $manifest_write (local.get $a) (local.get $b))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 5 error_write
        (call $error_write (local.get $a) (local.get $b))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 6 log
        (call $log (local.get $a) (local.get $b) (local.get $c))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 7 emit
        (local.set $last (call $emit (local.get $a) (local.get $b)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 8 call
        (local.set $last (call $call (local.get $a) (local.get $b)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 9 trap
        (unreachable))
        ;; 10 spin
        (loop $forever (br $forever)))
        ;; 11 emit as much as the last function returned, from a
        (local.set $last (call $emit (local.get $a) (local.get $last)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 12 return what the last function returned
        (return (local.get $last)))
        ;; 13 grow memory by a pages, or trap
        (if (i32.eq (memory.grow (local.get $a)) (i32.const -1)) (then (unreachable)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 14 write b bytes at a to stderr
        (i32.store (i32.const 0) (local.get $a))
        (i32.store (i32.const 4) (local.get $b))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 16))) (br $next))
        ;; 15 proc_exit
        (call $proc_exit (local.get $a))
        (unreachable))
      ;; 16 nothing
      (local.set $pc (i32.add (local.get $pc) (i32.const 16)))
      (br $next))
    (unreachable)))
