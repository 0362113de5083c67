;; Leaves ten nested loops by a branch to the function's own label, so that what
;; it did since the last check is lost if such a branch does not count as a return.
(module
  (func $work (param $way i32)
    (loop (loop (loop (loop (loop (loop (loop (loop (loop (loop
      nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop nop
      (br_if 10 (i32.eqz (local.get $way)))
      (br_table 10 10 10 (local.get $way)))))))))))))
  ;; Each turn is a call, which does 20 nops and then 4 or 5 instructions.
  (func (export "once") (param $way i32)
    (call $work (local.get $way)))
  (func (export "run") (param $way i32)
    (loop $more
      (call $work (local.get $way))
      (br $more)))
)
