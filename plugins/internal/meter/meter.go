package meter

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Features is the set of WebAssembly features that Rewrite understands. The
// runtime that compiles rewritten modules must enable exactly these: with
// fewer it refuses what Rewrite accepts, with more it may run instructions
// that Rewrite has not seen.
const Features = api.CoreFeaturesV2 |
	experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst

// Version changes whenever Rewrite makes something else of a module than before:
// what was kept of it is out of date then.
const Version = 3

// Names that the rewritten module adds. A module that imports from a module
// whose name begins with Reserved, or exports a name that does, is refused.
const (
	Reserved     = "auricle:"
	RefuelModule = "auricle:engine"  // import module of the refuel function
	RefuelName   = "refuel"          // (i64 balance) -> i64 new balance; called when the balance fell below 0
	FuelExport   = "auricle:fuel"    // exported mutable i64 global: the balance
	StartExport  = "auricle:start"   // exported function: the module's start function, if it had one
	GlobalPrefix = "auricle:global:" // exported mutable numeric globals, followed by the global's index

	// SaveExport, () -> (), makes what the host can't reach part of the
	// instance's own copy. RestoreExport, () -> (i32), puts that back; it answers
	// 0, and has done nothing, if that is not possible since a table has grown or
	// a segment was dropped. Neither uses fuel.
	SaveExport    = "auricle:save"
	RestoreExport = "auricle:restore"

	// WholeExport, () -> (i32), answers 1, unless the module is a skeleton.
	WholeExport = "auricle:whole"
)

// Options bound what a module may declare.
type Options struct {
	MaxMemoryBytes   int64  // a larger minimum is refused; a larger maximum, or none, is lowered to it; 0 means 64 MiB
	MaxTableElements uint32 // the same for each table; 0 means 262,144
}

// ValueType is a Wasm value type's binary encoding.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// String is the type's name in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type %#x", byte(t))
}

// Signature is a function's type.
type Signature struct{ Params, Results []ValueType }

// Import is a function import of the original module. (Imports of memories,
// tables and globals are refused.)
type Import struct {
	Module, Name string
	Type         Signature
}

// Export is an export of the original module. Type is set for functions.
type Export struct {
	Name string
	Kind byte // 0 function, 1 table, 2 memory, 3 global
	Type Signature
}

// Global is a mutable numeric (i32, i64, f32, f64) global that the rewritten
// module exports so that its value can be saved and restored.
type Global struct {
	Export string
	Type   ValueType
}

// Module is a rewritten module and what is known of it.
type Module struct {
	Wasm []byte // the rewritten binary
	// Skeleton is the same without the functions' code: they are all there, and
	// trap. Its WholeExport answers 0.
	Skeleton  []byte
	Imports   []Import
	Exports   []Export
	Globals   []Global // every mutable numeric global, for images
	HasStart  bool     // the start section became the export StartExport
	HasMemory bool
	MinMemory int64 // bytes
	MaxMemory int64 // bytes, after lowering
	// Data is what the module's active data segments put into memory, in their
	// order, where they were taken out of the binary: before anything else runs,
	// the host writes them, and refuses the module if one reaches beyond the
	// memory. They refer to the original binary.
	Data []Data
	// Saves says that the module exports SaveExport and RestoreExport, since it
	// has state that the host can't reach: what Unmakeable names.
	Saves bool
	// Unmakeable says, in words, why an instance can't be made from another's
	// memory and Globals: the module has mutable v128 or reference globals, or
	// instructions that change tables or drop segments. It has to be initialised
	// anew. Empty when it can.
	Unmakeable string
}

// Data is what an active data segment puts into memory at Offset.
type Data struct {
	Offset uint32
	Bytes  []byte
}

// The causes of a refusal. Errors of Rewrite are *Error and wrap one of them.
var (
	ErrNotWasm     = errors.New("not a WebAssembly module")
	ErrComponent   = errors.New("a WebAssembly component, not a core module")
	ErrMalformed   = errors.New("malformed module")
	ErrUnsupported = errors.New("unsupported feature")
	ErrReserved    = errors.New("reserved name")
	ErrLimit       = errors.New("over a limit")
)

// Error says why a module was refused, and where.
type Error struct {
	Offset int64  // byte offset in the original binary
	What   string // what was found there
	Err    error  // one of the Err variables
}

// Error is the cause, what was found and the offset of it, in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: %s at byte %d (%#x)", e.Err, e.What, e.Offset, e.Offset)
}

// Unwrap returns the cause, one of the Err variables.
func (e *Error) Unwrap() error { return e.Err }

// Rewrite returns the module with its own metering compiled in. It reads wasm
// strictly and does not change or keep it. Errors are *Error.
func Rewrite(wasm []byte, o Options) (_ *Module, err error) {
	// The parser gives up by panicking with the *Error, from however deep.
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	if o.MaxMemoryBytes <= 0 {
		o.MaxMemoryBytes = defaultMemoryBytes
	}
	if o.MaxTableElements == 0 {
		o.MaxTableElements = defaultTableElements
	}
	p := &parser{reader: reader{b: wasm, end: len(wasm)}, o: o}
	p.module()
	return p.build(), nil
}
