;; No memory, no imports, nothing to initialise; types that the host can't pass.
(module
  (import "test" "read" (func $read (param i32 i32) (result i32)))
  (func (export "read") (result i32) (call $read (i32.const 0) (i32.const 1)))
  (func (export "vector") (param v128) (result v128) (local.get 0))
  (func (export "none")))
