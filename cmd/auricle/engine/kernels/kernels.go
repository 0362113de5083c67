// Package kernels has the programs that the engine is measured on: small ones
// in C, Rust and Go, each of one kind of work. Each exports a function that
// takes one i32, how much to do, and returns an i32, a checksum of what it
// did, so that whatever runs them can be held to the same result. They import
// nothing, except that the guest in Go imports WASI preview 1.
//
// The kernels in C and Rust are kept built in wasm/, beside their sources in c/
// and rust/; go generate rebuilds them (the Makefile says what that needs).
// The guest in Go is too large to keep: its source is in this package, and it
// is built with the machine's go command.
package kernels

import (
	"embed"
	"strings"
)

//go:generate make

//go:embed wasm/*.wasm
var kept embed.FS

// Kernel is one program, and an amount of work that takes it 2 to 20 ms or so
// in plain WebAssembly.
type Kernel struct {
	Name     string // unique
	Language string // "C", "Rust" or "Go"
	Kind     string // of work, in a few words
	Export   string // a function (i32) -> i32
	Arg      uint32 // how much to do
	Sum      uint32 // what it returns then
	Wasm     []byte // the module
}

// keptKernels are in wasm/, by language and name; the export has the name, too.
var keptKernels = []Kernel{
	{Language: "C", Name: "fib", Kind: "recursion", Arg: 30, Sum: 0x000cb228},
	{Language: "C", Name: "calls", Kind: "leaf calls, mutual recursion", Arg: 300, Sum: 0x206ff21f},
	{Language: "C", Name: "indirect", Kind: "calls through a table", Arg: 400_000, Sum: 0x313427c1},
	{Language: "C", Name: "interpreter", Kind: "br_table dispatch", Arg: 100_000, Sum: 0xb8b23c87},
	{Language: "C", Name: "quicksort", Kind: "branches, loads, stores", Arg: 4, Sum: 0x39920921},
	{Language: "C", Name: "sieve", Kind: "stores", Arg: 1, Sum: 0x00014069},
	{Language: "C", Name: "crc32", Kind: "chained loads", Arg: 40, Sum: 0xde9ae923},
	{Language: "C", Name: "matmul", Kind: "doubles, nested loops", Arg: 3, Sum: 0xddbab5f0},
	{Language: "C", Name: "nbody", Kind: "doubles, square roots", Arg: 50_000, Sum: 0x7b7acbac},
	{Language: "C", Name: "energy", Kind: "audio: energy of PCM", Arg: 300, Sum: 0x463bb2d1},
	{Language: "C", Name: "fir", Kind: "audio: filter of 63 taps", Arg: 60, Sum: 0xdb43cb91},
	{Language: "C", Name: "fft", Kind: "audio: transform", Arg: 150, Sum: 0x329ceda6},
	{Language: "C", Name: "dot", Kind: "SIMD: correlation of PCM", Arg: 5000, Sum: 0xfda85fb7},
	{Language: "C", Name: "bank", Kind: "SIMD: bank of filters", Arg: 1500, Sum: 0x7e690eed},
	{Language: "Rust", Name: "gain", Kind: "SIMD: mix, limit, peak", Arg: 2000, Sum: 0xedb74611},
	{Language: "Rust", Name: "biquad", Kind: "audio: filters in series", Arg: 200, Sum: 0x68d4bf4a},
	{Language: "Rust", Name: "hashmap", Kind: "hash map with SipHash", Arg: 200_000, Sum: 0x75bc88f3},
	{Language: "Rust", Name: "sort_unstable", Kind: "standard sort of pairs", Arg: 10, Sum: 0x6971a4b4},
	{Language: "Rust", Name: "words", Kind: "strings, B-tree", Arg: 200, Sum: 0xc0895f59},
}

// Kept returns the kernels in C and Rust.
func Kept() []Kernel {
	ks := make([]Kernel, 0, len(keptKernels))
	for _, k := range keptKernels {
		k.Export, k.Wasm = k.Name, keptModule(strings.ToLower(k.Language)+"_"+k.Name)
		ks = append(ks, k)
	}
	return ks
}

// Spin is the export of SpinModule: a loop of as many turns as its argument
// says, or for ever when that is 0.
const Spin = "spin"

// SpinModule returns a module that is no kernel: what deadlines and stalls are
// measured with.
func SpinModule() []byte { return keptModule("c_spin") }

func keptModule(name string) []byte {
	wasm, err := kept.ReadFile("wasm/" + name + ".wasm")
	if err != nil {
		panic(err) // it was there when this was compiled
	}
	return wasm
}
