;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Traps while it initialises.
(module
  (memory (export "memory") 1)
  (func (export "_initialize") (unreachable))
  (func (export "auricle_v1_manifest") )
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
