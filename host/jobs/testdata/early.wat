;; Rebuild with: go generate ./host/jobs (needs wabt's wat2wasm).
;;
;; Answers an error until the clock says 2000-01-01T00:00:20Z; then emits what
;; it gets.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (import "auricle_v1" "error_write" (func $error_write (param i32 i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "{\"name\":\"early\",\"version\":\"1.0.0\",\"events\":{\"conversation\":{}}}")
  (data (i32.const 256) "it is too early")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 63)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 512)))
    (if (i64.lt_u (i64.load (i32.const 512)) (i64.const 946684820000000000))
      (then
        (call $error_write (i32.const 256) (i32.const 15))
        (return (i32.const 1))))
    (call $emit (i32.const 1024) (call $event_read (i32.const 1024) (local.get $size)))))
