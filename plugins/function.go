package plugins

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// maxKeptStack is up to what size the stack of an exported function is kept
// with its instance. Most calls need some 32 KB; a deep recursion takes 100 MB.
const maxKeptStack = 128 << 10

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
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return -1
	}
	if s := v.Elem().FieldByName("stack"); s.IsValid() && s.Kind() == reflect.Slice {
		return s.Len()
	}
	return -1
}
