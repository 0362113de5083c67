;; Rebuild with: go generate ./host/dispatch (needs wabt's wat2wasm).
;;
;; A later version of echo: of each transcript and conversation that it gets it
;; emits [event], of audio ["audio"].
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "{\"name\":\"echo\",\"version\":\"2.0.0\",\"events\":{\"audio\":{\"every_ms\":100},\"transcript\":{},\"conversation\":{}}}")
  (data (i32.const 256) "[\"audio\"]")
  (data (i32.const 1023) "[")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 103)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 1))
      (then (return (call $emit (i32.const 256) (i32.const 9)))))
    (drop (call $event_read (i32.const 1024) (local.get $size)))
    (i32.store8 offset=1024 (local.get $size) (i32.const 93)) ;; the "]"
    (call $emit (i32.const 1023) (i32.add (local.get $size) (i32.const 2)))))
