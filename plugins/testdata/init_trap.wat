(module (func $boom unreachable) (func (export "_initialize") (call $boom)))
