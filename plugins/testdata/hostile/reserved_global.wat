;; Exports a name of the engine's.
(module (global (export "auricle:global:0") (mut i64) (i64.const 0)))
