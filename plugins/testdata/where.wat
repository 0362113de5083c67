;; Ends badly in nested functions with names, after having written something.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 1000) "first\nbell \07 and \e2\80\ae turned\nlast")
  (data (i32.const 2000) "0123456789\n")
  (global $how (mut i32) (i32.const 0))

  (func $write (param $at i32) (param $bytes i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $bytes))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))

  ;; how: 0 traps, 1 spins, 2 grows and traps, 3 exits, 4 loads outside of the memory
  (func $innermost
    (if (i32.eq (global.get $how) (i32.const 1)) (then (loop $again (br $again))))
    (if (i32.eq (global.get $how) (i32.const 2)) (then (drop (memory.grow (i32.const 60000)))))
    (if (i32.eq (global.get $how) (i32.const 3)) (then (call $proc_exit (i32.const 4))))
    (if (i32.eq (global.get $how) (i32.const 4)) (then (drop (i32.load (i32.const -4)))))
    unreachable)
  (func $middle (call $innermost))
  (func (export "quiet") (param $how i32)
    (global.set $how (local.get $how))
    (call $middle))
  (func (export "loud") (param $how i32)
    (call $write (i32.const 1000) (i32.const 32))
    (global.set $how (local.get $how))
    (call $middle))
  ;; writes a line of 10 digits so often, then something of bytes
  (func (export "flood") (param $lines i32) (param $bytes i32)
    (loop $again
      (call $write (i32.const 2000) (i32.const 11))
      (br_if $again (local.tee $lines (i32.sub (local.get $lines) (i32.const 1)))))
    (call $write (i32.const 3000) (local.get $bytes))
    unreachable)
)
