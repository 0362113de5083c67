;; Rebuild with: go generate ./host/dispatch (needs wabt's wat2wasm).
;;
;; Asks for audio at 48 kHz in pieces of 200 ms, and emits of each
;; [rate, first sample, bytes of PCM, FNV-1a of the PCM].
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "{\"name\":\"heard\",\"version\":\"1.0.0\",\"events\":{\"audio\":{\"every_ms\":200,\"rate\":48000}}}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 83)))
  ;; Writes $v before $end, and $c after it; returns where it begins.
  (func $number (param $end i32) (param $v i32) (param $c i32) (result i32)
    (local.set $end (i32.sub (local.get $end) (i32.const 1)))
    (i32.store8 (local.get $end) (local.get $c))
    (loop $digits
      (local.set $end (i32.sub (local.get $end) (i32.const 1)))
      (i32.store8 (local.get $end) (i32.add (i32.const 48) (i32.rem_u (local.get $v) (i32.const 10))))
      (local.set $v (i32.div_u (local.get $v) (i32.const 10)))
      (br_if $digits (local.get $v)))
    (local.get $end))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (local $at i32) (local $end i32) (local $sum i32) (local $text i32)
    (drop (call $event_read (i32.const 1024) (local.get $size)))
    (local.set $at (i32.add (i32.const 1024) (i32.load (i32.const 1024))))
    (local.set $end (i32.add (i32.const 1024) (local.get $size)))
    (local.set $sum (i32.const 0x811c9dc5))
    (local.set $text (i32.sub (local.get $end) (local.get $at)))
    (block $done (loop $bytes
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $sum (i32.mul (i32.xor (local.get $sum) (i32.load8_u (local.get $at))) (i32.const 0x01000193)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $bytes)))
    (local.set $at (local.get $text))
    (local.set $text (call $number (i32.const 1000) (local.get $sum) (i32.const 93)))
    (local.set $text (call $number (local.get $text) (local.get $at) (i32.const 44)))
    (local.set $text (call $number (local.get $text) (i32.load (i32.const 1036)) (i32.const 44)))
    (local.set $text (call $number (local.get $text) (i32.load (i32.const 1028)) (i32.const 44)))
    (local.set $text (i32.sub (local.get $text) (i32.const 1)))
    (i32.store8 (local.get $text) (i32.const 91))
    (call $emit (local.get $text) (i32.sub (i32.const 1000) (local.get $text)))))
