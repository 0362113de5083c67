;; Sleeps for ever, in one way and another.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory 1)
  (func $sleep (param $clock i32) (param $for i64) (param $flags i32) (result i32)
    (i32.store (i32.const 16) (local.get $clock))
    (i64.store (i32.const 24) (local.get $for))
    (i32.store16 (i32.const 40) (local.get $flags))
    (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
  (func (export "hour") (drop (call $sleep (i32.const 1) (i64.const 3600000000000) (i32.const 0))))
  (func (export "longest") (drop (call $sleep (i32.const 1) (i64.const -1) (i32.const 0))))
  (func (export "signed") (drop (call $sleep (i32.const 0) (i64.const 0x7fffffffffffffff) (i32.const 0))))
  (func (export "until") (drop (call $sleep (i32.const 0) (i64.const -1) (i32.const 1))))
  (func (export "naps") (loop $more (drop (call $sleep (i32.const 1) (i64.const 1) (i32.const 0))) (br $more)))
  (func (export "no_time") (loop $more (drop (call $sleep (i32.const 1) (i64.const 0) (i32.const 0))) (br $more)))
  ;; as many subscriptions as there are numbers
  (func (export "many") (drop (call $poll (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0))))
)
