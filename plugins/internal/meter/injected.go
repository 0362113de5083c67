package meter

// What is added to a module comes after what it has: types, functions and
// globals keep their indices, except that the refuel import is the first
// function after the other imports.

// newGlobal adds a mutable global of the engine's to the new module, zero or
// null at first, and returns its index. The global section must have been read.
func (p *parser) newGlobal(t ValueType) uint32 {
	p.newGlobals = append(p.newGlobals, byte(t), 1)
	switch t {
	case I32:
		p.newGlobals = append(p.newGlobals, opI32Const, 0)
	case I64:
		p.newGlobals = append(p.newGlobals, opI64Const, 0)
	case F32:
		p.newGlobals = append(p.newGlobals, opF32Const, 0, 0, 0, 0)
	case F64:
		p.newGlobals = append(p.newGlobals, opF64Const, 0, 0, 0, 0, 0, 0, 0, 0)
	case V128:
		p.newGlobals = append(append(p.newGlobals, opVector, vectorConst), make([]byte, 16)...)
	case FuncRef, ExternRef:
		p.newGlobals = append(p.newGlobals, opRefNull, byte(t))
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

// newType adds a type to the new module and returns its index.
func (p *parser) newType(params, results []ValueType) uint32 {
	key := string(valueBytes(params)) + "\x00" + string(valueBytes(results))
	i, ok := p.newTypeIndex[key]
	if !ok {
		i = uint32(len(p.types) + len(p.newTypeIndex))
		p.newTypeIndex[key] = i
		p.newTypes = appendName(append(p.newTypes, 0x60), string(valueBytes(params)))
		p.newTypes = appendName(p.newTypes, string(valueBytes(results)))
	}
	return i
}

// metered is the type that functions of the original's type i have in the new
// module: the balance is one more parameter and one more result. Two of them
// are equal if the originals are.
func (p *parser) metered(i uint32) uint32 {
	if p.meteredTypes == nil {
		p.meteredTypes = make([]uint32, len(p.types))
	}
	if p.meteredTypes[i] == 0 {
		sig := p.types[i]
		p.meteredTypes[i] = p.newType(append(sig.Params[:len(sig.Params):len(sig.Params)], I64),
			append(sig.Results[:len(sig.Results):len(sig.Results)], I64))
	}
	return p.meteredTypes[i]
}

// newFunction is a function of the engine's.
type newFunction struct {
	typeIndex uint32
	name      string                // in stack traces, after Reserved
	code      func(c []byte) []byte // appends it, without locals and the last end
}

// addFunction adds a function of the engine's to the new module and returns
// its index. The function section must have been read; its code is made when
// everything is.
func (p *parser) addFunction(f newFunction) uint32 {
	p.newFunctions = append(p.newFunctions, f)
	return uint32(len(p.funcTypes) + len(p.newFunctions))
}

// newFunctionEntries returns the entries of the function and of the code
// section, and of the functions' names, for the engine's functions.
func (p *parser) newFunctionEntries() (types, code, names []byte) {
	var c []byte
	for n, f := range p.newFunctions {
		types = appendU32(types, f.typeIndex)
		c = append(f.code(append(c[:0], 0)), opEnd)
		code = append(appendU32(code, uint32(len(c))), c...)
		names = appendName(appendU32(names, uint32(len(p.funcTypes)+1+n)), Reserved+f.name)
	}
	return types, code, names
}

// shifted is a function's index in the new module.
func (p *parser) shifted(i uint32) uint32 {
	if i >= p.imported {
		return i + 1
	}
	return i
}

// around counts the values of a function of type sig that calls another of
// that type.
func (p *parser) around(at int, sig Signature) {
	n := len(sig.Params) + len(sig.Results)
	p.countLocals(at, n)
	p.countCarried(at, n)
}

// appendParameters appends the first n parameters as the arguments of a call.
func appendParameters(c []byte, n int) []byte {
	for i := range n {
		c = appendU32(append(c, opLocalGet), uint32(i))
	}
	return c
}

// reference is the function of the new module that stands for i where it is
// called by reference: i itself, which takes and returns the balance, or one
// around the import i that does.
func (p *parser) reference(at int, i uint32) uint32 {
	if i >= p.imported {
		return p.shifted(i)
	}
	if f, ok := p.aroundImports[i]; ok {
		return f
	}
	t := p.funcTypes[i]
	n := len(p.types[t].Params)
	p.around(at, p.types[t])
	f := p.addFunction(newFunction{p.metered(t), "import", func(c []byte) []byte {
		c = appendParameters(c, n+1)
		c = appendU32(append(c, opGlobalSet), p.fuelGlobal())
		c = appendU32(append(c, opCall), i)
		return appendU32(append(c, opGlobalGet), p.fuelGlobal())
	}})
	p.aroundImports[i] = f
	return f
}

// entry is the function of the new module that stands for i where the host
// calls it: the import i itself, or one around i that has i's own type and
// keeps the balance in the global.
func (p *parser) entry(at int, i uint32) uint32 {
	if i < p.imported {
		return i
	}
	if f, ok := p.entries[i]; ok {
		return f
	}
	t := p.funcTypes[i]
	n := len(p.types[t].Params)
	p.around(at, p.types[t])
	f := p.addFunction(newFunction{t, "export", func(c []byte) []byte {
		c = appendParameters(c, n)
		c = appendU32(append(c, opGlobalGet), p.fuelGlobal())
		c = appendU32(append(c, opCall), p.shifted(i))
		return appendU32(append(c, opGlobalSet), p.fuelGlobal())
	}})
	p.entries[i] = f
	return f
}

// again returns a function that has the balance refuelled and then goes on as
// the defined function i with the same arguments.
func (p *parser) again(at int, i uint32) uint32 {
	t := p.funcTypes[i]
	n := len(p.types[t].Params)
	p.around(at, p.types[t])
	return p.addFunction(newFunction{p.metered(t), "refuel", func(c []byte) []byte {
		c = p.refuel(c, uint32(n))
		return appendU32(append(appendParameters(c, n+1), opReturnCall), p.shifted(i))
	}})
}

// refuel appends a call of the refuel import with the balance in the local
// fuel. What it returns is also written back.
func (p *parser) refuel(c []byte, fuel uint32) []byte {
	c = appendU32(append(c, opLocalGet), fuel)
	c = appendU32(append(c, opCall), p.imported)
	c = appendU32(append(c, opLocalTee), fuel)
	return appendU32(append(c, opGlobalSet), p.fuelGlobal())
}
