package plugins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// ValueType is a Wasm number type as functions of a HostModule use it.
type ValueType byte

// The number types. Their values are those of the binary format.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F32 ValueType = 0x7d
	F64 ValueType = 0x7c
)

// String returns the type's name in the text format, as "i32".
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
	case ValueType(meter.V128):
		return "v128"
	case ValueType(meter.FuncRef):
		return "funcref"
	case ValueType(meter.ExternRef):
		return "externref"
	}
	return fmt.Sprintf("type 0x%x", byte(t))
}

// numeric reports whether values of the type pass between host and guest.
func (t ValueType) numeric() bool { return t == I32 || t == I64 || t == F32 || t == F64 }

// signature is a function's type.
type signature struct{ params, results []ValueType }

func signatureOf(s meter.Signature) signature {
	return signature{params: valueTypes(s.Params), results: valueTypes(s.Results)}
}

func valueTypes(ts []meter.ValueType) []ValueType {
	out := make([]ValueType, len(ts))
	for i, t := range ts {
		out[i] = ValueType(t)
	}
	return out
}

func (s signature) equal(o signature) bool {
	return slices.Equal(s.params, o.params) && slices.Equal(s.results, o.results)
}

// numeric reports whether the host can call a function of this type.
func (s signature) numeric() bool {
	foreign := func(t ValueType) bool { return !t.numeric() }
	return !slices.ContainsFunc(s.params, foreign) && !slices.ContainsFunc(s.results, foreign)
}

// String returns the signature as "(i32, i64) -> i32".
func (s signature) String() string {
	var b strings.Builder
	list := func(ts []ValueType) {
		for i, t := range ts {
			if i == 8 {
				fmt.Fprintf(&b, ", … %d in all", len(ts))
				return
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.String())
		}
	}
	b.WriteByte('(')
	list(s.params)
	b.WriteByte(')')
	if len(s.results) == 1 {
		b.WriteString(" -> " + s.results[0].String())
	} else if len(s.results) > 1 {
		b.WriteString(" -> (")
		list(s.results)
		b.WriteByte(')')
	}
	return b.String()
}

// apiTypes converts to wazero's value types, which are the binary format's too.
func apiTypes(ts []ValueType) []api.ValueType {
	out := make([]api.ValueType, len(ts))
	for i, t := range ts {
		out[i] = api.ValueType(t)
	}
	return out
}
