;; An app that handles transcripts and conversations and may notify. Rebuild
;; greeter.wasm with: wat2wasm greeter.wat (wabt).
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"name\":\"greeter\",\"version\":\"1.2.0\",\"description\":\"Says <hello> & more.\",\"author\":\"Ann\",\"events\":{\"transcript\":{},\"conversation\":{}},\"capabilities\":[{\"name\":\"notify\",\"reason\":\"to greet you\",\"optional\":true}],\"limits\":{\"fuel\":1000000,\"wall_ms\":50}}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 247)))
  (func (export "auricle_v1_handle") (param i32 i32) (result i32)
    (i32.const 0)))
