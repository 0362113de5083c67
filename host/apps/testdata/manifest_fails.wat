;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Says why it writes no manifest, and traps.
(module
  (import "auricle_v1" "error_write" (func $error_write (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "no\ncoin!")
  (func (export "auricle_v1_manifest") (call $error_write (i32.const 16) (i32.const 8)) (unreachable))
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
