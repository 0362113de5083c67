package meter

import (
	"fmt"
	"slices"
	"strings"
)

// unmade notes what keeps an instance from being made out of an image: memory
// and Globals alone don't make up its state.
func (p *parser) unmade(format string, args ...any) {
	p.wants[fmt.Sprintf(format, args...)] = true
}

// changes notes that an instruction can change a table.
func (p *parser) changes(table uint32, instruction string) {
	p.changed |= 1 << table
	p.unmade("%s", instruction)
}

// drops notes that an instruction can drop a segment, and returns the global
// that is to say that it did.
func (p *parser) drops(instruction string) uint32 {
	p.unmade("%s", instruction)
	if p.dropped == 0 {
		p.dropped = p.newGlobal(I32)
	}
	return p.dropped
}

// unmakeable is Module.Unmakeable.
func (p *parser) unmakeable() string {
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

// kept is a mutable global that the host can't reach, and so is kept in the
// instance itself.
type kept struct {
	index uint32
	t     ValueType
}

// hide adds what saves and restores the state that the host can't reach: copies
// of the vector and reference globals and of the tables that can change, which
// it returns, and two functions.
func (p *parser) hide() (tables []table, save, restore uint32) {
	if len(p.wants) == 0 {
		return nil, 0, 0
	}
	var saved, fits, restored []byte
	refuse := []byte{opIf, typeEmpty, opI32Const, 0, opReturn, opEnd}
	if p.dropped != 0 {
		saved = appendU32(append(saved, opI32Const, 0, opGlobalSet), p.dropped)
		fits = append(appendU32(append(fits, opGlobalGet), p.dropped), refuse...)
	}
	for _, g := range p.kept {
		own := p.newGlobal(g.t)
		saved = appendU32(append(appendU32(append(saved, opGlobalGet), g.index), opGlobalSet), own)
		restored = appendU32(append(appendU32(append(restored, opGlobalGet), own), opGlobalSet), g.index)
	}
	misc := func(c []byte, op byte, indices ...uint32) []byte {
		c = append(c, opMisc, op)
		for _, i := range indices {
			c = appendU32(c, i)
		}
		return c
	}
	for i, t := range p.tables {
		if p.changed>>i&1 == 0 {
			continue
		}
		from, own := uint32(i), uint32(len(p.tables)+len(tables))
		t.min = 0
		tables = append(tables, t)
		saved = misc(append(saved, opRefNull, t.elem), miscTableSize, from)
		saved = append(misc(saved, miscTableGrow, own), opDrop)
		saved = misc(append(saved, opI32Const, 0, opI32Const, 0), miscTableSize, from)
		saved = misc(saved, miscTableCopy, own, from)
		fits = misc(misc(fits, miscTableSize, from), miscTableSize, own)
		fits = append(append(fits, opI32Ne), refuse...)
		restored = misc(append(restored, opI32Const, 0, opI32Const, 0), miscTableSize, own)
		restored = misc(restored, miscTableCopy, from, own)
	}
	save = p.addFunction(newFunction{p.newType(nil, nil), "save", func(c []byte) []byte {
		return append(c, saved...)
	}})
	restore = p.addFunction(newFunction{p.newType(nil, []ValueType{I32}), "restore", func(c []byte) []byte {
		return append(append(append(c, fits...), restored...), opI32Const, 1)
	}})
	p.m.Saves = true
	return tables, save, restore
}

// takeData takes the active data segments out of the module where the host can
// put them into memory itself: instances made from an image have no use for
// them, and evaluating some thousands takes milliseconds.
func (p *parser) takeData() bool {
	if len(p.wants) > 0 || p.hasInit || !p.m.HasMemory || !p.plainData {
		return false
	}
	p.m.Data = p.segmentData
	return true
}
