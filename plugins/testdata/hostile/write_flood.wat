;; Writes all that it can for ever.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory 1)
  (func $flood (param $bytes i32) (param $iovecs i32) (local $i i32)
    (drop (memory.grow (i32.const 1023)))
    (loop $set
      (i32.store (i32.mul (local.get $i) (i32.const 8)) (i32.const 0))
      (i32.store offset=4 (i32.mul (local.get $i) (i32.const 8)) (local.get $bytes))
      (br_if $set (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $iovecs))))
    (loop $more
      (drop (call $fd_write (i32.const 1) (i32.const 0) (local.get $iovecs) (i32.const 0x3fffff0)))
      (br $more)))
  (func (export "bytes") (call $flood (i32.const 1) (i32.const 1)))
  (func (export "nothing") (call $flood (i32.const 0) (i32.const 1)))
  (func (export "everything") (call $flood (i32.const 0x4000000) (i32.const 1)))
  (func (export "everything_often") (call $flood (i32.const 0x4000000) (i32.const 1000)))
  (func (export "pieces") (call $flood (i32.const 0) (i32.const 100000)))
)
