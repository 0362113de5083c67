;; Rebuild with: go generate ./host/dispatch (needs wabt's wat2wasm).
;;
;; Never returns.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"name\":\"spins\",\"version\":\"1.0.0\",\"events\":{\"transcript\":{},\"conversation\":{}}}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 79)))
  (func (export "auricle_v1_handle") (param i32 i32) (result i32)
    (loop $forever (br $forever))
    (unreachable)))
