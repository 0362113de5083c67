package plugins

import (
	"reflect"
	"sync"

	"github.com/tetratelabs/wazero/api"
)

// maxKeptStack is up to what size the stack of an exported function is kept
// with its instance. Most calls need some 32 KB; a deep recursion takes 100 MB.
const maxKeptStack = 128 << 10

// maxStack is how large a stack may grow. wazero's own bound is 50 MB, and it
// doubles what it has: recursion without end would cost the host 100 MB of heap
// and the copying of them. The stack is looked at between slices of fuel, so it
// can grow beyond by what one slice needs.
const maxStack = 16 << 20

// function returns an exported function, with the stack that its last call left
// where that was kept: growing a new one takes a microsecond or two and leaves
// garbage.
func (in *instance) function(export string) api.Function {
	if f := in.functions[export]; f != nil {
		return f
	}
	return in.guest.ExportedFunction(export)
}

// keepFunction keeps f for the next call, unless its stack is large.
func (in *instance) keepFunction(export string, f api.Function) {
	if n := stackBytes(f); n < 0 || n > maxKeptStack {
		delete(in.functions, export)
		return
	}
	if in.functions == nil {
		in.functions = map[string]api.Function{}
	}
	in.functions[export] = f
}

// stackBytes returns the size of the stack that wazero's compiler keeps with a
// function, or -1 if that can't be seen: wazero has no call for it.
func stackBytes(f api.Function) int {
	v := reflect.ValueOf(f)
	at, known := stackFields.Load(v.Type())
	if !known {
		at = stackField(v.Type())
		stackFields.Store(v.Type(), at)
	}
	if at := at.(int); at >= 0 {
		return v.Elem().Field(at).Len()
	}
	return -1
}

// stackFields holds what stackField found.
var stackFields sync.Map // reflect.Type to int

// stackField returns which field of a function's type is its stack; -1 if none.
func stackField(t reflect.Type) int {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return -1
	}
	if s, ok := t.Elem().FieldByName("stack"); ok && s.Type.Kind() == reflect.Slice && len(s.Index) == 1 {
		return s.Index[0]
	}
	return -1
}
