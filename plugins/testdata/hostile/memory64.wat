;; Has a memory of 64-bit addresses.
(module (memory i64 1))
