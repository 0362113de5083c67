;; A guest that counts in every place that a session keeps.
(module
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 8) "\05")
  (func (export "_initialize")
    (drop (memory.grow (i32.const 1)))
    (i32.store (i32.const 70000) (i32.const 42)))
  ;; adds 1 to a global and two counters in memory; their sum
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (i32.store (i32.const 70000) (i32.add (i32.load (i32.const 70000)) (i32.const 1)))
    (i32.add (global.get $n) (i32.add (i32.load (i32.const 8)) (i32.load (i32.const 70000)))))
  ;; grows by a page and writes at its end; the size in pages before
  (func (export "grow") (result i32)
    (local $before i32)
    (local.set $before (memory.grow (i32.const 1)))
    (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (memory.size))
    (local.get $before))
  ;; what grow wrote last
  (func (export "last") (result i32)
    (i32.load (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4))))
  ;; writes what is there already to each page
  (func (export "touch")
    (local $p i32)
    (loop $l
      (i32.store (local.get $p) (i32.load (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 4096)))
      (br_if $l (i32.lt_u (local.get $p) (i32.mul (memory.size) (i32.const 65536))))))
  (func (export "trap") unreachable)
  (func (export "spin") (loop $l (br $l)))
)
