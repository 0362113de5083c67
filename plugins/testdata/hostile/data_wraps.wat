;; A data segment at the end of 32 bits.
(module (memory 1) (data (i32.const -1) "ab"))
