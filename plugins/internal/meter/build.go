package meter

import (
	"bytes"
	"maps"
	"slices"
)

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

	refuelType := p.newType([]ValueType{I64}, []ValueType{I64})
	var start uint32
	if m.HasStart {
		start = p.entry(0, p.start)
	}
	tables, save, restore := p.hide()
	whole := p.addFunction(newFunction{p.newType(nil, []ValueType{I32}), "whole", func(c []byte) []byte {
		return append(c, opI32Const, 1)
	}}) // the last, as the skeleton has it
	newTypes, newCode, newNames := p.newFunctionEntries()
	out = appendSection(out, sectionType, section(uint32(len(p.types)+len(p.newTypeIndex)), p.typeBytes, p.newTypes))

	refuel := appendName(appendName(nil, RefuelModule), RefuelName)
	refuel = appendU32(append(refuel, 0), refuelType)
	out = appendSection(out, sectionImport, section(p.imported+1, p.imports, refuel))

	defined += uint32(len(p.newFunctions))
	out = appendSection(out, sectionFunction, section(defined, p.funcBytes, newTypes))
	if tables := append(p.tables, tables...); len(tables) > 0 {
		b := section(uint32(len(tables)))
		for _, t := range tables {
			b = t.limits.append(append(b, t.elem))
		}
		out = appendSection(out, sectionTable, b)
	}
	if m.HasMemory {
		out = appendSection(out, sectionMemory, p.mem.append([]byte{1}))
	}
	out = appendSection(out, sectionGlobal, section(p.globals+1+p.newGlobalCount, p.globalInit,
		[]byte{byte(I64), 1, opI64Const, 0, opEnd}, p.newGlobals))

	exports := uint32(len(m.Exports))
	b := p.exports
	export := func(name string, kind byte, index uint32) {
		b = appendU32(append(appendName(b, name), kind), index)
		exports++
	}
	export(FuelExport, 3, p.fuelGlobal())
	if m.HasStart {
		export(StartExport, 0, start)
	}
	for i, g := range m.Globals {
		export(g.Export, 3, p.mutable[i])
	}
	if m.Saves {
		export(SaveExport, 0, save)
		export(RestoreExport, 0, restore)
	}
	export(WholeExport, 0, whole)
	out = appendSection(out, sectionExport, section(exports, b))

	segments := p.segments
	if len(p.refs) > 0 {
		// Functions that ref.func names must be declared in a segment, if they
		// are not exported themselves.
		segments++
		p.elements = appendU32(append(p.elements, 3, 0), uint32(len(p.refs)))
		for _, i := range slices.Sorted(maps.Keys(p.refs)) {
			p.elements = appendU32(p.elements, i)
		}
	}
	if segments > 0 {
		out = appendSection(out, sectionElement, section(segments, p.elements))
	}
	takesData := p.takeData()
	if p.hasCount && !takesData {
		out = appendSection(out, sectionDataCount, appendU32(nil, p.dataCount))
	}
	code := section(defined, p.code, newCode)
	before := len(out)
	out = appendSection(out, sectionCode, code)
	after := len(out)
	if p.dataSegs > 0 && !takesData {
		out = appendSection(out, sectionData, p.data)
	}
	if names := p.nameSection(newNames); names != nil {
		out = appendSection(out, sectionCustom, append(appendName(nil, "name"), names...))
	}
	m.Wasm = out

	// The skeleton's functions are without locals or code.
	code = appendU32(code[:0], defined)
	for range defined - 1 {
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
