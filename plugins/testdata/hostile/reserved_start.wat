;; Exports a name of the engine's.
(module (func (export "auricle:start")))
