;; Divides, takes roots and converts for ever, with the numbers that are slow.
(module
  (func (export "run") (local $x f64)
    (local.set $x (f64.const 0x1p-1060))
    (loop $more
      (local.set $x (f64.sqrt (f64.div (f64.mul (local.get $x) (local.get $x)) (f64.const 3))))
      (local.set $x (f64.convert_i64_s (i64.trunc_sat_f64_s (local.get $x))))
      (br $more)))
)
