package meter

import (
	"strconv"
	"strings"
)

// function reads an index of a function.
func (p *parser) function(s *reader, what string) uint32 {
	at := s.at
	i := s.u32(what)
	if int64(i) >= int64(len(p.funcTypes)) {
		fail(at, ErrMalformed, "%s is %d, the module has %d functions", what, i, len(p.funcTypes))
	}
	return i
}

// index reads an index of n things.
func (r *reader) index(n int, what string) uint32 {
	at := r.at
	i := r.u32(what)
	if int64(i) >= int64(n) {
		fail(at, ErrMalformed, "%s is %d, the module has %d", what, i, n)
	}
	return i
}

// constExpr reads a constant expression up to its end and appends it to b
// with its functions' indices in the new module.
func (p *parser) constExpr(b []byte, s *reader) []byte {
	start := s.at
	for {
		at := s.at
		if at-start > maxConstBytes {
			fail(start, ErrLimit, "constant expression of more than %d bytes", maxConstBytes)
		}
		switch op := s.byte("constant expression"); op {
		case opEnd:
			return append(b, opEnd)
		case opI32Const:
			s.signed(32, "i32.const")
		case opI64Const:
			s.signed(64, "i64.const")
		case opF32Const:
			s.skip(4, "f32.const")
		case opF64Const:
			s.skip(8, "f64.const")
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub and mul of i32 and i64
		case opGlobalGet:
			// None is imported, so this can only be one of the module's own.
			// The runtime decides where that may be.
			s.index(int(p.globals), "global index in a constant expression")
		case opRefNull:
			s.refType("ref.null")
		case opRefFunc:
			i := p.function(s, "function index in a constant expression")
			p.declared[i] = true
			b = appendU32(append(b, opRefFunc), p.reference(at, i))
			continue
		case opVector:
			if sub := s.byte("constant expression"); sub != 0x0c {
				fail(at, ErrMalformed, "vector instruction %#x in a constant expression", sub)
			}
			s.skip(16, "v128.const")
		case 0xfb:
			fail(at, ErrUnsupported, "garbage collection (instruction 0xfb in a constant expression)")
		default:
			fail(at, ErrMalformed, "instruction %#x in a constant expression", op)
		}
		b = append(b, s.b[at:s.at]...)
	}
}

func (p *parser) globalSection(s *reader) {
	n := s.count(maxGlobals, "globals")
	for i := range n {
		t := s.valueType("global's type")
		at := s.at
		mutable := s.byte("global's mutability")
		if mutable > 1 {
			fail(at, ErrMalformed, "unknown mutability %#x of global %d", mutable, i)
		}
		p.globalInit = append(p.globalInit, byte(t), mutable)
		p.globals = uint32(i) // what is before it
		p.globalInit = p.constExpr(p.globalInit, s)
		if mutable == 0 {
			continue
		}
		switch t {
		case V128, FuncRef, ExternRef:
			p.unmade("a mutable %v global (%d)", t, i)
			p.kept = append(p.kept, kept{uint32(i), t})
		default:
			p.m.Globals = append(p.m.Globals, Global{Export: GlobalPrefix + strconv.Itoa(i), Type: t})
			p.mutable = append(p.mutable, uint32(i))
		}
	}
	p.globals = uint32(n)
}

func (p *parser) exportSection(s *reader) {
	n := s.count(maxExports, "exports")
	seen := make(map[string]bool, n)
	for range n {
		at := s.at
		e := Export{Name: s.name(maxNameBytes, "export's name")}
		if strings.HasPrefix(e.Name, Reserved) {
			fail(at, ErrReserved, "export %q: names that begin with %q are the engine's", e.Name, Reserved)
		}
		if seen[e.Name] {
			fail(at, ErrMalformed, "export %q twice", e.Name)
		}
		seen[e.Name] = true
		kindAt := s.at
		e.Kind = s.byte("export's kind")
		var i uint32
		switch e.Kind {
		case 0:
			i = p.function(s, "exported function")
			p.declared[i] = true
			e.Type = p.types[p.funcTypes[i]]
			i = p.entry(at, i)
		case 1:
			i = s.index(len(p.tables), "exported table")
		case 2:
			memories := 0
			if p.m.HasMemory {
				memories = 1
			}
			i = s.index(memories, "exported memory")
		case 3:
			i = s.index(int(p.globals), "exported global")
		case 4:
			fail(kindAt, ErrUnsupported, "exception handling (export of a tag, %q)", e.Name)
		default:
			fail(kindAt, ErrMalformed, "unknown export kind %#x", e.Kind)
		}
		p.m.Exports = append(p.m.Exports, e)
		p.exports = appendName(p.exports, e.Name)
		p.exports = appendU32(append(p.exports, e.Kind), i)
	}
}

func (p *parser) startSection(s *reader) {
	at := s.at
	p.start = p.function(s, "start function")
	if t := p.types[p.funcTypes[p.start]]; len(t.Params)+len(t.Results) > 0 {
		fail(at, ErrMalformed, "start function %d has parameters or results", p.start)
	}
	p.m.HasStart = true
}

func (p *parser) elementSection(s *reader) {
	n := s.count(maxElementSegments, "element segments")
	var b []byte
	for range n {
		at := s.at
		flags := s.u32("element segment's flags")
		if flags > 7 {
			fail(at, ErrMalformed, "unknown flags %#x of an element segment", flags)
		}
		b = appendU32(b, flags)
		passive, explicit, exprs := flags&1 != 0, flags&2 != 0, flags&4 != 0
		if !passive {
			if explicit {
				b = appendU32(b, s.index(len(p.tables), "element segment's table"))
			}
			b = p.constExpr(b, s)
		}
		if passive || explicit {
			if exprs {
				b = append(b, byte(s.refType("element segment's type")))
			} else if kind := s.byte("element segment's kind"); kind == 0 {
				b = append(b, kind)
			} else {
				fail(s.at-1, ErrMalformed, "unknown element kind %#x", kind)
			}
		}
		count := s.count(maxElements, "elements")
		if p.elems += count; p.elems > maxElements {
			fail(at, ErrLimit, "more than %d elements in all segments", maxElements)
		}
		b = appendU32(b, uint32(count))
		for range count {
			if exprs {
				b = p.constExpr(b, s)
				continue
			}
			i := p.function(s, "function in an element segment")
			p.declared[i] = true
			b = appendU32(b, p.reference(at, i))
		}
	}
	p.elements, p.segments = b, uint32(n)
}

func (p *parser) dataSection(s *reader) {
	start := s.at
	n := s.count(maxDataSegments, "data segments")
	p.plainData = true
	for range n {
		at := s.at
		var offset []byte
		switch flags := s.u32("data segment's flags"); flags {
		case 0, 1, 2:
			if flags == 2 {
				if i := s.u32("data segment's memory"); i != 0 {
					fail(at, ErrUnsupported, "multi-memory (data for memory %d)", i)
				}
			}
			if flags != 1 {
				// No function index is in it, or the runtime refuses it: it
				// needs no rewriting.
				offset = p.constExpr(offset, s)
			}
		default:
			fail(at, ErrMalformed, "unknown flags %#x of a data segment", flags)
		}
		size := int(s.u32("data segment's size"))
		s.skip(size, "data segment")
		if o := (&reader{b: offset, end: len(offset)}); o.remaining() > 0 && o.byte("offset") == opI32Const {
			d := Data{uint32(o.signed(32, "offset")), s.b[s.at-size : s.at]}
			p.plainData = p.plainData && o.byte("offset") == opEnd
			p.segmentData = append(p.segmentData, d)
		} else {
			p.plainData = false
		}
	}
	p.data, p.dataSegs = s.b[start:s.at], uint32(n)
}
