;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Counts the events that it has had since its memory was new, in one digit,
;; and emits [count, event]; of audio, [count, whether restarted is set]. Where
;; a transcript has one of these words, it comes to that end instead: "trap",
;; "spin", "exit", "grow" (all memory, then a trap), "fail" (after emitting).
(module
  (import "auricle_v1" "manifest_write" (func $manifest_write (param i32 i32)))
  (import "auricle_v1" "event_read" (func $event_read (param i32 i32) (result i32)))
  (import "auricle_v1" "emit" (func $emit (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "{\"name\":\"counter\",\"version\":\"1.0.0\",\"state\":\"session\",\"events\":{\"audio\":{\"every_ms\":100},\"transcript\":{},\"conversation\":{}}}")
  (global $count (mut i32) (i32.const 0))
  ;; The event is read to 1027, behind "[0,". The count of the memory is at 1016.
  (data (i32.const 1024) "[0,")
  (func (export "auricle_v1_manifest")
    (call $manifest_write (i32.const 0) (i32.const 124)))
  (func (export "auricle_v1_handle") (param $kind i32) (param $size i32) (result i32)
    (local $i i32) (local $word i32) (local $failed i32)
    ;; Both must be kept, and both be lost at once.
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 1016) (i32.add (i32.load (i32.const 1016)) (i32.const 1)))
    (if (i32.ne (i32.load (i32.const 1016)) (global.get $count)) (then (unreachable)))
    (i32.store8 (i32.const 1025) (i32.add (i32.const 48) (global.get $count)))
    (drop (call $event_read (i32.const 1027) (local.get $size)))
    (if (i32.eq (local.get $kind) (i32.const 1))
      (then (return (call $audio))))
    (block $read
      (loop $next
        (br_if $read (i32.ge_s (local.get $i) (i32.sub (local.get $size) (i32.const 4))))
        (local.set $word (i32.load (i32.add (i32.const 1027) (local.get $i))))
        (if (i32.eq (local.get $word) (i32.const 0x70617274)) (then (unreachable)))
        (if (i32.eq (local.get $word) (i32.const 0x6e697073)) (then (loop $forever (br $forever))))
        (if (i32.eq (local.get $word) (i32.const 0x74697865)) (then (call $proc_exit (i32.const 3))))
        (if (i32.eq (local.get $word) (i32.const 0x776f7267)) (then
          (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
          (unreachable)))
        (if (i32.eq (local.get $word) (i32.const 0x6c696166)) (then (local.set $failed (i32.const 1))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store8 (i32.add (i32.const 1027) (local.get $size)) (i32.const 93))
    (drop (call $emit (i32.const 1024) (i32.add (local.get $size) (i32.const 4))))
    (local.get $failed))
  ;; The flags follow three ids, each a u16 length and that many bytes, where the
  ;; header has them.
  (func $audio (result i32)
    (local $at i32) (local $ids i32) (local $flags i32)
    (local.set $at (i32.const 1051))
    (loop $id
      (local.set $at (i32.add (local.get $at) (i32.add (i32.const 2) (i32.load16_u (local.get $at)))))
      (local.set $ids (i32.add (local.get $ids) (i32.const 1)))
      (br_if $id (i32.lt_u (local.get $ids) (i32.const 3))))
    (if (i32.lt_u (local.get $at) (i32.add (i32.const 1027) (i32.load (i32.const 1027))))
      (then (local.set $flags (i32.and (i32.load (local.get $at)) (i32.const 1)))))
    (i32.store8 (i32.const 1027) (i32.add (i32.const 48) (local.get $flags)))
    (i32.store8 (i32.const 1028) (i32.const 93))
    (drop (call $emit (i32.const 1024) (i32.const 5)))
    (i32.const 0)))
