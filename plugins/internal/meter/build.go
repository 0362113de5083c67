package meter

import "bytes"

// build puts the new module together.
func (p *parser) build() *Module {
	m := &p.m
	defined := uint32(len(p.funcTypes)) - p.imported
	out := make([]byte, 0, len(p.code)+len(p.data)+len(p.elements)+len(p.exports)+len(p.typeBytes)+1<<16)
	out = append(out, "\x00asm\x01\x00\x00\x00"...)

	// section starts a section with the number of its entries.
	section := func(n uint32, entries ...[]byte) []byte {
		b := appendU32(nil, n)
		for _, e := range entries {
			b = append(b, e...)
		}
		return b
	}

	refuelType, nothing, answer := p.newTypes, p.newTypes+1, p.newTypes+2
	out = appendSection(out, sectionType, section(p.newTypes+3, p.typeBytes, p.wrapBytes,
		[]byte{0x60, 1, byte(I64), 1, byte(I64)}, []byte{0x60, 0, 0}, []byte{0x60, 0, 1, byte(I32)}))
	hidden := p.hide(nothing, answer)
	added := uint32(len(hidden.functions))

	refuel := appendName(appendName(nil, RefuelModule), RefuelName)
	refuel = appendU32(append(refuel, 0), refuelType)
	out = appendSection(out, sectionImport, section(p.imported+1, p.imports, refuel))

	functions := section(defined+added, p.funcBytes)
	for _, f := range hidden.functions {
		functions = appendU32(functions, f.typ)
	}
	out = appendSection(out, sectionFunction, functions)
	if tables := append(p.tables, hidden.tables...); len(tables) > 0 {
		b := section(uint32(len(tables)))
		for _, t := range tables {
			b = t.limits.append(append(b, t.elem))
		}
		out = appendSection(out, sectionTable, b)
	}
	if m.HasMemory {
		out = appendSection(out, sectionMemory, p.mem.append([]byte{1}))
	}
	out = appendSection(out, sectionGlobal, section(p.globals+1+hidden.nglobals, p.globalInit,
		[]byte{byte(I64), 1, opI64Const, 0, opEnd}, hidden.globals))

	exports := uint32(len(m.Exports))
	b := p.exports
	export := func(name string, kind byte, index uint32) {
		b = appendU32(append(appendName(b, name), kind), index)
		exports++
	}
	export(FuelExport, 3, p.globals)
	if m.HasStart {
		export(StartExport, 0, p.shifted(p.start))
	}
	for i, g := range m.Globals {
		export(g.Export, 3, p.mutable[i])
	}
	for i, f := range hidden.functions {
		export(f.export, 0, p.imported+1+defined+uint32(i))
	}
	out = appendSection(out, sectionExport, section(exports, b))

	if p.segments > 0 {
		out = appendSection(out, sectionElement, p.elements)
	}
	takesData := p.takeData()
	if p.hasCount && !takesData {
		out = appendSection(out, sectionDataCount, appendU32(nil, p.dataCount))
	}
	code := section(defined+added, p.code)
	for _, f := range hidden.functions {
		code = append(appendU32(code, uint32(len(f.body))), f.body...)
	}
	before := len(out)
	out = appendSection(out, sectionCode, code)
	after := len(out)
	if p.dataSegs > 0 && !takesData {
		out = appendSection(out, sectionData, p.data)
	}
	if names := p.nameSection(); names != nil {
		out = appendSection(out, sectionCustom, append(appendName(nil, "name"), names...))
	}
	m.Wasm = out

	// The skeleton's functions are without locals or code.
	code = appendU32(code[:0], defined+added)
	for range defined + added - 1 {
		code = append(code, 3, 0, opUnreachable, opEnd)
	}
	code = append(code, 4, 0, opI32Const, 0, opEnd)
	m.Skeleton = appendSection(append(make([]byte, 0, before+len(code)+16+len(out)-after), out[:before]...), sectionCode, code)
	m.Skeleton = append(m.Skeleton, out[after:]...)
	return m
}

// Mark returns the module with a custom section of that name and contents at its
// end, which changes nothing but its hash.
func Mark(wasm []byte, name string, contents []byte) []byte {
	return appendSection(bytes.Clone(wasm), sectionCustom, append(appendName(nil, name), contents...))
}

// append appends the limits' encoding.
func (l limits) append(b []byte) []byte {
	if !l.hasMax {
		return appendU32(append(b, 0), l.min)
	}
	return appendU32(appendU32(append(b, 1), l.min), l.max)
}
