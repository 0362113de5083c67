(module (func (export "auricle:fuel")))
