package meter

import (
	"maps"
	"slices"
	"strings"
)

// unrestorable is Module.Unrestorable.
func (p *parser) unrestorable() string {
	if len(p.wants) == 0 {
		return ""
	}
	var has []string
	for w := range p.wants {
		has = append(has, w)
	}
	slices.Sort(has)
	const most = 8
	if len(has) > most {
		has = append(has[:most], "more")
	}
	return "the module has " + strings.Join(has, ", ")
}

// build puts the new module together.
func (p *parser) build() *Module {
	m := p.m
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
	newTypes, newCode, newNames := p.newFunctionEntries()
	out = appendSection(out, sectionType, section(uint32(len(p.types)+len(p.newTypeIndex)), p.typeBytes, p.newTypes))

	refuel := appendName(appendName(nil, RefuelModule), RefuelName)
	refuel = appendU32(append(refuel, 0), refuelType)
	out = appendSection(out, sectionImport, section(p.imported+1, p.imports, refuel))

	defined += uint32(len(p.newFunctions))
	if defined > 0 {
		out = appendSection(out, sectionFunction, section(defined, p.funcBytes, newTypes))
	}
	if len(p.tables) > 0 {
		b := section(uint32(len(p.tables)))
		for _, t := range p.tables {
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
	if p.hasCount {
		out = appendSection(out, sectionDataCount, appendU32(nil, p.dataCount))
	}
	if defined > 0 {
		out = appendSection(out, sectionCode, section(defined, p.code, newCode))
	}
	if p.dataSegs > 0 {
		out = appendSection(out, sectionData, p.data)
	}
	if names := p.nameSection(newNames); names != nil {
		out = appendSection(out, sectionCustom, append(appendName(nil, "name"), names...))
	}
	m.Wasm = out
	return &m
}

// append appends the limits' encoding.
func (l limits) append(b []byte) []byte {
	if !l.hasMax {
		return appendU32(append(b, 0), l.min)
	}
	return appendU32(appendU32(append(b, 1), l.min), l.max)
}
