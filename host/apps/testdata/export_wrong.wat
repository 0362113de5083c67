;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Exports functions of the wrong type.
(module
  (memory (export "memory") 1)
  (func (export "auricle_v1_manifest") (param i32))
  (func (export "auricle_v1_handle") (param i32) (result i64) (i64.const 0)))
