;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Imports what no host has.
(module
  (import "env" "open" (func (param i32) (result i32)))
  (import "auricle_v1" "teleport" (func (param i32 i32)))
  (import "auricle_v1" "emit" (func (param i64)))
  (memory (export "memory") 1)
  (func (export "auricle_v1_manifest") )
  (func (export "auricle_v1_handle") (param i32 i32) (result i32) (i32.const 0)))
