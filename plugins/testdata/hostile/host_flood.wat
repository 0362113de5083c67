;; Calls a function of the host's for ever.
(module
  (import "env" "take" (func $take (param i32 i32)))
  (memory 1)
  (func (export "nothing") (loop $more (call $take (i32.const 0) (i32.const 0)) (br $more)))
  (func (export "page") (loop $more (call $take (i32.const 0) (i32.const 65536)) (br $more)))
  (func (export "beyond") (call $take (i32.const 0) (i32.const 65537)))
  (func (export "wraps") (call $take (i32.const -1) (i32.const 2)))
  (func (export "all") (call $take (i32.const -1) (i32.const -1)))
)
