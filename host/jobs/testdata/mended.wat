;; Rebuild with: go generate ./host/jobs (needs wabt's wat2wasm).
;;
;; The next version of broken.wat: emits what it gets.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "{\"name\":\"notes\",\"version\":\"1.0.1\",\"events\":{\"conversation\":{}}}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 63)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (call $emit (i32.const 1024) (call $event_read (i32.const 1024) (local.get $size)))))
