;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Emits while it writes its manifest.
(module
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "auricle_v1_manifest") (drop (call $emit (i32.const 0) (i32.const 1))))
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
