;; Rebuild with: go generate ./host/jobs (needs wabt's wat2wasm).
;;
;; Says what it is about to do, and traps.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"name\":\"notes\",\"version\":\"1.0.0\",\"events\":{\"conversation\":{}}}")
  (data (i32.const 256) "taking notes")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 63)))
  (func $take_notes (unreachable))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (call $log (i32.const 2) (i32.const 256) (i32.const 12))
    (call $take_notes)
    (i32.const 0)))
