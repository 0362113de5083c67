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

// drops notes that an instruction can drop a segment.
func (p *parser) drops(instruction string) {
	p.hasDrop = true
	p.unmade("%s", instruction)
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

// flag is the index of the hidden global that says that a segment was dropped.
func (p *parser) flag() uint32 { return p.globals + 1 }

// function is one that is added to the module.
type function struct {
	export string
	typ    uint32
	body   []byte // with its locals
}

// hidden is what is added to the module to save and restore the state that the
// host can't reach: copies of the tables that can change and of the vector and
// reference globals, a flag for dropped segments, and two functions.
type hidden struct {
	tables    []table
	globals   []byte // global entries
	nglobals  uint32
	functions []function
}

// hide makes what is hidden in the module. The types are the indices of
// () -> () and () -> (i32).
func (p *parser) hide(nothing, answer uint32) (h hidden) {
	whole := function{WholeExport, answer, []byte{0, opI32Const, 1, opEnd}}
	defer func() { h.functions = append(h.functions, whole) }() // the last, see build
	if len(p.wants) == 0 {
		return h
	}
	var save, restore, fits []byte
	refuse := []byte{opIf, typeEmpty, opI32Const, 0, opReturn, opEnd}
	copyGlobal := func(c []byte, to, from uint32) []byte {
		c = appendU32(append(c, opGlobalGet), from)
		return appendU32(append(c, opGlobalSet), to)
	}
	h.globals = append(h.globals, byte(I32), 1, opI32Const, 0, opEnd)
	h.nglobals = 1
	fits = append(appendU32(append(fits, opGlobalGet), p.flag()), refuse...)
	save = appendU32(append(save, opI32Const, 0, opGlobalSet), p.flag())
	for _, g := range p.kept {
		h.globals = append(h.globals, byte(g.t), 1)
		if g.t == V128 {
			h.globals = append(h.globals, opVector, vectorConst)
			h.globals = append(h.globals, make([]byte, 16)...)
		} else {
			h.globals = append(h.globals, opRefNull, byte(g.t))
		}
		h.globals = append(h.globals, opEnd)
		own := p.flag() + h.nglobals
		h.nglobals++
		save, restore = copyGlobal(save, own, g.index), copyGlobal(restore, g.index, own)
	}
	for i, t := range p.tables {
		if p.changed>>i&1 == 0 {
			continue
		}
		from, own := uint32(i), uint32(len(p.tables)+len(h.tables))
		misc := func(c []byte, op byte, indices ...uint32) []byte {
			c = append(c, opMisc, op)
			for _, index := range indices {
				c = appendU32(c, index)
			}
			return c
		}
		t.min = 0
		h.tables = append(h.tables, t)
		save = misc(append(save, opRefNull, t.elem), miscTableSize, from)
		save = append(misc(save, miscTableGrow, own), opDrop)
		save = misc(append(save, opI32Const, 0, opI32Const, 0), miscTableSize, from)
		save = misc(save, miscTableCopy, own, from)
		fits = misc(misc(fits, miscTableSize, from), miscTableSize, own)
		fits = append(append(fits, opI32Ne), refuse...)
		restore = misc(append(restore, opI32Const, 0, opI32Const, 0), miscTableSize, own)
		restore = misc(restore, miscTableCopy, from, own)
	}
	h.functions = []function{
		{SaveExport, nothing, append(append([]byte{0}, save...), opEnd)},
		{RestoreExport, answer, append(append(append([]byte{0}, fits...), restore...), opI32Const, 1, opEnd)},
	}
	p.m.Saves = true
	return h
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
