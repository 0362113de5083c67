//go:build !cgo

package main

// wasmtimes returns none: wasmtime's binding needs cgo.
func wasmtimes() []rival { return nil }
