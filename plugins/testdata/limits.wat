;; Meets every limit, each by an export of its own.
(module
  (memory (export "memory") 1)
  (func (export "spin") (loop $l (br $l)))
  ;; n rounds of a loop, then the end
  (func (export "work") (param $n i32) (result i32)
    (loop $l
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $l (i32.gt_s (local.get $n) (i32.const 0))))
    (local.get $n))
  ;; grows by one page at a time until refused, then ends badly
  (func (export "bomb")
    (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    unreachable)
  ;; the same, but takes the refusal well
  (func (export "modest") (result i32)
    (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (memory.size))
  (func (export "grow") (param $n i32) (result i32) (memory.grow (local.get $n)))
  (func (export "fill") (param $n i32)
    (loop $l
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $l (i32.gt_s (local.get $n) (i32.const 0)))))
  (func $deep (export "recurse") (result i32) (i32.add (call $deep) (i32.const 1)))
  (func (export "tail") (return_call $again))
  (func $again (return_call $again))
  ;; loops n rounds, then traps in the same function: by a load, or by unreachable
  (func (export "work_and_trap") (param $n i32) (param $unreachable i32)
    (loop $l
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $l (i32.gt_s (local.get $n) (i32.const 0))))
    (if (local.get $unreachable) (then unreachable))
    (drop (i32.load (i32.const 0x7fffffff))))
)
