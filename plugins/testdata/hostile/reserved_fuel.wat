;; Exports a name of the engine's.
(module (global (export "auricle:fuel") (mut i64) (i64.const 0)))
