;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Logs while it initialises.
(module
  (import "auricle_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "_initialize") (call $log (i32.const 2) (i32.const 0) (i32.const 4)))
  (func (export "auricle_v1_manifest") )
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
