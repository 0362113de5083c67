;; wait sleeps, then emits that it is done. Its settings are a JSON object whose
;; first run of digits is the time to sleep, in ms: {"ms":2000}.
(module
  (import "auricle_v1" "settings_read" (func $settings_read (param i32 i32) (result i32)))
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\"name\":\"wait\",\"version\":\"1.0.0\",\"events\":{\"conversation\":{}},\"settings\":{\"type\":\"object\",\"properties\":{\"ms\":{\"type\":\"integer\"}}}}")
  (data (i32.const 512) "{\"done\":true}")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 130)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (local $at i32) (local $end i32) (local $digit i32) (local $ms i64)
    (local.set $end (i32.add (i32.const 1024) (call $settings_read (i32.const 1024) (i32.const 256))))
    (local.set $at (i32.const 1024))
    (block $read
      (loop $next
        (br_if $read (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.lt_u (local.get $digit) (i32.const 10))
          (then (local.set $ms (i64.add (i64.mul (local.get $ms) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))))
        (br $next)))
    ;; One subscription to the monotonic clock, relative; see WASI preview 1's subscription_clock.
    (i32.store8 (i32.const 2056) (i32.const 0))
    (i32.store (i32.const 2064) (i32.const 1))
    (i64.store (i32.const 2072) (i64.mul (local.get $ms) (i64.const 1000000)))
    (drop (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 3200)))
    (drop (call $emit (i32.const 512) (i32.const 13)))
    (i32.const 0)))
