package meter

// newGlobal adds a mutable global of the engine's to the new module, zero or
// null at first, and returns its index. The globals of the original come
// before it. It may be called once the global section is read.
func (p *parser) newGlobal(t ValueType) uint32 {
	p.newGlobals = append(p.newGlobals, byte(t), 1)
	switch t {
	case F32:
		p.newGlobals = append(p.newGlobals, opF32Const, 0, 0, 0, 0)
	case F64:
		p.newGlobals = append(p.newGlobals, opF64Const, 0, 0, 0, 0, 0, 0, 0, 0)
	case V128:
		p.newGlobals = append(append(p.newGlobals, opVector, 0x0c), make([]byte, 16)...)
	case FuncRef, ExternRef:
		p.newGlobals = append(p.newGlobals, opRefNull, byte(t))
	case I32:
		p.newGlobals = append(p.newGlobals, opI32Const, 0)
	default:
		p.newGlobals = append(p.newGlobals, opI64Const, 0)
	}
	p.newGlobals = append(p.newGlobals, opEnd)
	p.newGlobalCount++
	return p.fuelGlobal() + p.newGlobalCount
}

// fuelGlobal is the index of the balance, the first of the engine's globals.
func (p *parser) fuelGlobal() uint32 { return p.globals }

// scratchGlobal returns the nth global for saving values of type t.
func (p *parser) scratchGlobal(t ValueType, n int) uint32 {
	for len(p.scratch[t]) <= n {
		p.scratch[t] = append(p.scratch[t], p.newGlobal(t))
	}
	return p.scratch[t][n]
}
