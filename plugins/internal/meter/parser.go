package meter

import (
	"bytes"
	"strings"
)

// Section ids.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13
)

// sectionOrder gives each section's place among the others; 0 where there is none.
var sectionOrder = [...]int{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4,
	sectionMemory: 5, sectionTag: 6, sectionGlobal: 7, sectionExport: 8, sectionStart: 9,
	sectionElement: 10, sectionDataCount: 11, sectionCode: 12, sectionData: 13,
}

var sectionNames = [...]string{
	"custom", "type", "import", "function", "table", "memory", "global",
	"export", "start", "element", "code", "data", "data count", "tag",
}

// limits are a table's or memory's, in elements or pages.
type limits struct {
	min, max uint32
	hasMax   bool
}

// table is a table's type.
type table struct {
	elem byte
	limits
}

// parser reads the original module and makes the parts of the new one as it
// goes. What only the injected things could make valid is refused here: the
// runtime validates just the rewritten module.
type parser struct {
	reader
	o Options
	m Module

	types       []Signature
	typeBytes   []byte   // the type section's entries
	imports     []byte   // import entries
	imported    uint32   // function imports
	funcTypes   []uint32 // of imported and defined functions
	funcBytes   []byte   // the function section's entries, rewritten
	tables      []table
	mem         limits
	globals     uint32
	globalInit  []byte   // global entries
	mutable     []uint32 // indices of m.Globals
	exports     []byte   // export entries
	start       uint32
	elements    []byte // element entries, rewritten
	segments    uint32 // element segments
	code        []byte // code entries, rewritten
	codes       int
	dataCount   uint32
	hasCount    bool
	data        []byte // the data section as it is
	dataSegs    uint32
	plainData   bool   // all segments are active, at constant offsets
	segmentData []Data // those that are
	hasInit     bool   // memory.init or data.drop is in the code
	dropped     uint32 // global that says that a segment was dropped; 0 while nothing can do so
	changed     uint32 // bit set of the tables that the code can change
	kept        []kept
	names       *reader         // the name section's contents
	declared    map[uint32]bool // functions that ref.func may name

	locals  int // parameters, results and locals so far
	carried int // values carried by blocks, branches and calls so far
	merges  int // basic blocks times locals so far
	elems   int // elements so far
	wants   map[string]bool

	unrolled, maxUnrolled int // bytes written again in unrolled loops
	saved, maxSaved       int // locals that loops save

	newTypes      []byte // entries of the engine's types
	newTypeIndex  map[string]uint32
	meteredTypes  []uint32 // by type of the original; 0 if there is none yet
	newFunctions  []newFunction
	aroundImports map[uint32]uint32
	entries       map[uint32]uint32
	refs          map[uint32]bool // functions of the new module that ref.func names in code

	newGlobals     []byte // entries of the engine's globals
	newGlobalCount uint32
	scratch        [256][]uint32 // by type: globals for saving locals
}

// module reads the whole binary.
func (p *parser) module() {
	if p.remaining() < 8 {
		fail(0, ErrNotWasm, "%d bytes", p.remaining())
	}
	magic, version := p.b[:4], p.b[4:8]
	switch {
	case !bytes.Equal(magic, []byte("\x00asm")):
		fail(0, ErrNotWasm, "begins with %q", magic)
	case bytes.Equal(version, []byte{0x0d, 0, 1, 0}):
		fail(4, ErrComponent, "version 13, layer 1")
	case version[2] == 1 && version[3] == 0:
		fail(4, ErrComponent, "version %d, layer 1", version[0])
	case !bytes.Equal(version, []byte{1, 0, 0, 0}):
		fail(4, ErrNotWasm, "version %#x, want 1", version)
	}
	p.at = 8
	p.newTypeIndex = map[string]uint32{}
	p.aroundImports = map[uint32]uint32{}
	p.entries = map[uint32]uint32{}
	p.refs = map[uint32]bool{}
	p.declared = map[uint32]bool{}
	p.wants = map[string]bool{}

	last := 0
	for p.remaining() > 0 {
		at := p.at
		id := p.byte("section id")
		if int(id) >= len(sectionNames) {
			fail(at, ErrMalformed, "unknown section id %d", id)
		}
		s := p.sub(p.u32("section size"), sectionNames[id]+" section")
		if id != sectionCustom {
			if sectionOrder[id] <= last {
				fail(at, ErrMalformed, "%s section twice or out of order", sectionNames[id])
			}
			last = sectionOrder[id]
		}
		p.section(id, &s)
		s.done(sectionNames[id] + " section")
	}
	if defined := len(p.funcTypes) - int(p.imported); defined != p.codes {
		fail(p.at, ErrMalformed, "%d functions declared and %d defined", defined, p.codes)
	}
	if p.hasCount && p.dataCount != p.dataSegs {
		fail(p.at, ErrMalformed, "data count is %d, data segments are %d", p.dataCount, p.dataSegs)
	}
	p.m.Unmakeable = p.unmakeable()
}

func (p *parser) section(id byte, s *reader) {
	switch id {
	case sectionCustom:
		name := s.name(maxNameBytes, "custom section's name")
		if name == "name" && p.names == nil {
			kept := *s
			p.names = &kept
		}
		s.at = s.end
	case sectionType:
		p.typeSection(s)
	case sectionImport:
		p.importSection(s)
	case sectionFunction:
		p.functionSection(s)
	case sectionTable:
		for range s.count(maxTables, "tables") {
			p.tables = append(p.tables, p.table(s))
		}
	case sectionMemory:
		p.memorySection(s)
	case sectionTag:
		fail(s.at, ErrUnsupported, "exception handling (a tag section)")
	case sectionGlobal:
		p.globalSection(s)
	case sectionExport:
		p.exportSection(s)
	case sectionStart:
		p.startSection(s)
	case sectionElement:
		p.elementSection(s)
	case sectionCode:
		p.codeSection(s)
	case sectionData:
		p.dataSection(s)
	case sectionDataCount:
		p.dataCount, p.hasCount = s.u32("data count"), true
	}
}

// valueType reads a value type.
func (r *reader) valueType(what string) ValueType {
	at := r.at
	b := r.byte(what)
	switch t := ValueType(b); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	}
	failType(at, b, what)
	return 0
}

// refType reads a reference type.
func (r *reader) refType(what string) ValueType {
	at := r.at
	t := r.valueType(what)
	if t != FuncRef && t != ExternRef {
		fail(at, ErrMalformed, "%s is %v, not a reference type", what, t)
	}
	return t
}

// failType names the feature that a type byte belongs to.
func failType(at int, b byte, what string) {
	switch b {
	case 0x63, 0x64:
		fail(at, ErrUnsupported, "typed function references (type %#x in %s)", b, what)
	case 0x69, 0x74:
		fail(at, ErrUnsupported, "exception handling (type %#x in %s)", b, what)
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73, 0x77, 0x78:
		fail(at, ErrUnsupported, "garbage collection (type %#x in %s)", b, what)
	}
	fail(at, ErrMalformed, "unknown type %#x in %s", b, what)
}

func (p *parser) typeSection(s *reader) {
	n := s.count(maxTypes, "types")
	start, values := s.at, 0
	for range n {
		at := s.at
		switch b := s.byte("type"); b {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			fail(at, ErrUnsupported, "garbage collection (type form %#x)", b)
		default:
			fail(at, ErrMalformed, "type form %#x, want a function's (0x60)", b)
		}
		var sig Signature
		for range s.count(maxParams, "parameters") {
			sig.Params = append(sig.Params, s.valueType("parameters"))
		}
		for range s.count(maxResults, "results") {
			sig.Results = append(sig.Results, s.valueType("results"))
		}
		if values += len(sig.Params) + len(sig.Results); values > maxTypeValues {
			fail(at, ErrLimit, "types with more than %d parameters and results together", maxTypeValues)
		}
		p.types = append(p.types, sig)
	}
	p.typeBytes = s.b[start:s.at]
}

// typeIndex reads an index of a type.
func (p *parser) typeIndex(s *reader, what string) uint32 {
	at := s.at
	i := s.u32(what)
	if int64(i) >= int64(len(p.types)) {
		fail(at, ErrMalformed, "%s is %d, the module has %d types", what, i, len(p.types))
	}
	return i
}

func (p *parser) importSection(s *reader) {
	n := s.count(maxImports, "imports")
	start := s.at
	for range n {
		at := s.at
		module := s.name(maxNameBytes, "import's module")
		name := s.name(maxNameBytes, "import's name")
		if strings.HasPrefix(module, Reserved) {
			fail(at, ErrReserved, "import from %q: names that begin with %q are the engine's", module, Reserved)
		}
		if module == "" {
			fail(at, ErrMalformed, "import of %q from a module without a name", name)
		}
		kindAt := s.at
		switch kind := s.byte("import's kind"); kind {
		case 0:
		case 1, 2, 3:
			fail(kindAt, ErrUnsupported, "import of a %s (%q.%q); only functions can be imported", [...]string{"", "table", "memory", "global"}[kind], module, name)
		case 4:
			fail(kindAt, ErrUnsupported, "exception handling (import of a tag, %q.%q)", module, name)
		default:
			fail(kindAt, ErrMalformed, "unknown import kind %#x", kind)
		}
		t := p.typeIndex(s, "import's type")
		p.funcTypes = append(p.funcTypes, t)
		p.m.Imports = append(p.m.Imports, Import{Module: module, Name: name, Type: p.types[t]})
	}
	p.imports = s.b[start:s.at]
	p.imported = uint32(n)
}

func (p *parser) functionSection(s *reader) {
	for range s.count(maxFunctions, "functions") {
		t := p.typeIndex(s, "function's type")
		p.funcTypes = append(p.funcTypes, t)
		p.funcBytes = appendU32(p.funcBytes, p.metered(t))
	}
}

// limits reads the limits of a table or memory.
func (r *reader) limits(what string) (l limits) {
	at := r.at
	switch flags := r.byte(what + "'s limits"); {
	case flags <= 1:
		l.hasMax = flags == 1
	case flags <= 3:
		fail(at, ErrUnsupported, "threads (a shared %s)", what)
	case flags <= 7:
		fail(at, ErrUnsupported, "memory64 (a 64-bit %s)", what)
	case flags <= 15:
		fail(at, ErrUnsupported, "custom page sizes")
	default:
		fail(at, ErrMalformed, "unknown flags %#x of a %s's limits", flags, what)
	}
	l.min = r.u32(what + "'s minimum")
	if l.hasMax {
		if l.max = r.u32(what + "'s maximum"); l.max < l.min {
			fail(at, ErrMalformed, "%s's maximum %d is below its minimum %d", what, l.max, l.min)
		}
	}
	return l
}

func (p *parser) table(s *reader) table {
	at := s.at
	if at < s.end && s.b[at] == 0x40 {
		fail(at, ErrUnsupported, "typed function references (a table with an initial value)")
	}
	t := table{elem: byte(s.refType("table's type")), limits: s.limits("table")}
	if t.min > p.o.MaxTableElements {
		fail(at, ErrLimit, "table of %d elements, the limit is %d", t.min, p.o.MaxTableElements)
	}
	if !t.hasMax || t.max > p.o.MaxTableElements {
		t.max, t.hasMax = p.o.MaxTableElements, true
	}
	return t
}

func (p *parser) memorySection(s *reader) {
	at := s.at
	switch n := s.count(1<<30, "memories"); {
	case n == 0:
		return
	case n > 1:
		fail(at, ErrUnsupported, "multi-memory (%d memories)", n)
	}
	at = s.at
	l := s.limits("memory")
	if l.min > maxMemoryPages || l.hasMax && l.max > maxMemoryPages {
		fail(at, ErrMalformed, "memory of more than %d pages", maxMemoryPages)
	}
	allowed := uint32(min(p.o.MaxMemoryBytes/pageBytes, maxMemoryPages))
	if l.min > allowed {
		fail(at, ErrLimit, "memory of %d bytes, the limit is %d", int64(l.min)*pageBytes, p.o.MaxMemoryBytes)
	}
	if !l.hasMax || l.max > allowed {
		l.max, l.hasMax = allowed, true
	}
	p.mem = l
	p.m.HasMemory = true
	p.m.MinMemory = int64(l.min) * pageBytes
	p.m.MaxMemory = int64(l.max) * pageBytes
}
