;; Its own maximum is below the host's limit.
(module
  (memory (export "memory") 1 2)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
