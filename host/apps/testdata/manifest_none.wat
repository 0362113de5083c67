;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Writes no manifest.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "auricle_v1_manifest") )
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
