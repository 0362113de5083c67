;; hung never returns from an event.
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"name\":\"hung\",\"version\":\"1.0.0\",\"events\":{\"transcript\":{}}}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 60)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (loop $forever (br $forever))
    (unreachable)))
