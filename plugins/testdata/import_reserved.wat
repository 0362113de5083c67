(module (import "auricle:engine" "refuel" (func (param i64) (result i64))))
