package meter

import "slices"

// segmentStart is what has to happen where a basic block starts, besides
// subtracting its price.
type segmentStart byte

const (
	startPlain segmentStart = iota
	startEntry              // read the balance, check it
	startLoop               // check the balance
	startCall               // read the balance
)

// frame is a label of the function being rewritten.
type frame struct {
	op       byte // opBlock (also the function's own label), opLoop, opIf, opElse
	deadIn   bool // what is around it can't be reached
	targeted bool // a branch that can be reached goes to it
	label    int  // its label's place among those of the new code
	params   int
	results  int

	// Of a loop:
	unrolled bool
	first    int  // the label of the loop itself
	copies   int  // of its body to come
	left     bool // a copy has been left at its end
}

// body rewrites one function's body.
//
// The code since the last point where control may join or leave is kept in
// seg until the next such point, when its price is known: flush writes the
// charge and then the code. No other place may write code between.
type body struct {
	p  *parser
	r  *reader
	at int // of the instruction being read

	function        uint32 // of the original
	again           uint32 // the function that refuels and calls it again; 0 if there is none yet
	params, results int
	locals          int    // parameters and locals of the original
	fuel            uint32 // the i64 parameter that holds the balance
	amount, grown   uint32 // i32 locals for the operands of bulk instructions and indirect calls
	usesAmounts     bool

	out, seg []byte
	frames   []frame
	labels   int // open in the new code
	loops    []loop
	seen     int         // loops so far
	loop     int         // the innermost that is open, -1 for none
	header   int         // the loop that the segment starts
	branches int         // since the innermost loop's start
	types    []ValueType // of the parameters and locals
	marks    []int32     // by local: the loop that mentioned it last
	nested   int         // loops among the frames
	blocks   int         // basic blocks so far
	start    segmentStart
	price    int64
	dead     bool // the segment can't be reached
}

func (p *parser) codeSection(s *reader) {
	n := s.count(maxFunctions, "function bodies")
	if defined := len(p.funcTypes) - int(p.imported); n != defined {
		fail(s.at, ErrMalformed, "%d functions declared and %d defined", defined, n)
	}
	p.codes = n
	p.maxUnrolled = s.remaining() / 4
	p.code = make([]byte, 0, s.remaining()+s.remaining()/3+64)
	b := body{p: p}
	var head []byte
	for i := range n {
		at := s.at
		size := s.u32("function body's size")
		r := s.sub(size, "function body")
		if size > maxFunctionBytes {
			fail(at, ErrLimit, "function of %d bytes, the limit is %d", size, maxFunctionBytes)
		}
		b.function, b.again = p.imported+uint32(i), 0
		sig := p.types[p.funcTypes[b.function]]
		groups := b.declare(&r, sig)
		// What a loop is like is known at its end, and needed at its start.
		b.loops = b.loops[:0]
		carried := p.carried
		if again := r; b.rewrite(&r, sig) {
			p.carried = carried
			b.rewrite(&again, sig)
		}

		// The locals' declaration comes before the code but is known after it.
		if b.usesAmounts {
			head = appendU32(head[:0], groups.n+1)
			head = append(append(head, groups.bytes...), 2, byte(I32))
		} else {
			head = append(appendU32(head[:0], groups.n), groups.bytes...)
		}
		p.code = appendU32(p.code, uint32(len(head)+len(b.out)))
		p.code = append(p.code, head...)
		p.code = append(p.code, b.out...)
	}
}

// localGroups is a function's declaration of locals.
type localGroups struct {
	n     uint32
	bytes []byte
}

// declare reads the function's locals and places ours after them.
func (b *body) declare(r *reader, sig Signature) (g localGroups) {
	at := r.at
	g.n = uint32(r.count(maxFunctionLocals, "groups of locals"))
	start := r.at
	b.params, b.results = len(sig.Params), len(sig.Results)
	locals := int64(0)
	b.types = append(b.types[:0], sig.Params...)
	for range g.n {
		n := r.u32("number of locals")
		t := r.valueType("locals")
		if locals += int64(n); locals > maxFunctionLocals {
			fail(at, ErrLimit, "function with more than %d locals", maxFunctionLocals)
		}
		for range n {
			b.types = append(b.types, t)
		}
	}
	g.bytes = r.b[start:r.at]
	b.locals = b.params + int(locals)
	b.p.countLocals(at, b.locals+b.results)
	b.fuel = uint32(b.params)
	b.amount, b.grown = uint32(b.locals)+1, uint32(b.locals)+2
	b.usesAmounts = false
	return g
}

// countLocals counts parameters, results and locals of a function of the new
// module.
func (p *parser) countLocals(at, n int) {
	if p.locals += n; p.locals > maxLocals {
		fail(at, ErrLimit, "more than %d parameters, results and locals in all functions", maxLocals)
	}
}

// moved is a local's index in the new module: the balance is the last
// parameter.
func (b *body) moved(local uint32) uint32 {
	if local >= b.fuel {
		return local + 1
	}
	return local
}

// rewrite reads the function's code and writes the new code to b.out. It
// reports whether it has to be done again, now that the loops are known.
func (b *body) rewrite(r *reader, sig Signature) (again bool) {
	firstPass := len(b.loops) == 0
	b.r = r
	b.marks = append(b.marks[:0], make([]int32, b.locals)...)
	for i := range b.marks {
		b.marks[i] = -1
	}
	b.out, b.seg = b.out[:0], b.seg[:0]
	b.start, b.price, b.dead = startEntry, 0, false
	b.nested, b.blocks, b.labels, b.seen, b.loop, b.branches = 0, 0, 1, 0, -1, 0
	b.frames = append(b.frames[:0], frame{op: opBlock, results: b.results, label: 1})
	// The whole body goes into a block of its own, so that every branch to
	// the function's label ends up where the balance is written back.
	b.out = append(b.out, opBlock)
	b.out = b.p.appendResultType(b.out, sig.Results)
	for len(b.frames) > 0 {
		b.at = r.at
		op := r.byte("function body")
		switch shapes[op] {
		case shapeNone:
			b.price += priceOne
			b.seg = append(b.seg, op)
			continue
		case shapeLocal:
			local := r.index(b.locals, "local index")
			b.mention(local, op)
			b.price += priceOne
			b.seg = appendU32(append(b.seg, op), b.moved(local))
			continue
		case shapeGlobal:
			r.index(int(b.p.fuelGlobal()), "global index")
		case shapeMemory:
			r.memoryArgument()
		case shapeControl:
			b.control(op)
			continue
		case shapeOther:
			b.plain(op)
			continue
		default:
			failOpcode(b.at, op)
		}
		b.price += priceOne
		b.keep()
	}
	r.done("function body")
	if firstPass && slices.ContainsFunc(b.loops, loop.saves) {
		return true
	}
	if b.p.merges += b.merges(); b.p.merges > maxMerges {
		fail(b.at, ErrLimit, "more than %d basic blocks times locals in all functions", maxMerges)
	}
	return false
}

// merges is the number of basic blocks times the number of locals.
func (b *body) merges() int { return b.blocks * b.locals }

// keep appends the instruction just read to the segment as it is.
func (b *body) keep() { b.seg = append(b.seg, b.r.b[b.at:b.r.at]...) }

// carry counts values that the runtime must handle one by one.
func (b *body) carry(n int) { b.p.countCarried(b.at, n) }

func (p *parser) countCarried(at, n int) {
	if p.carried += n; p.carried > maxCarriedValues {
		fail(at, ErrLimit, "more than %d values carried by blocks, branches and calls", maxCarriedValues)
	}
}

// flush writes the segment with its charge before it, and starts the next.
func (b *body) flush(next segmentStart) {
	if b.start == startEntry && next == startLoop {
		b.start = startPlain // the loop's check comes before any call
	}
	if !b.dead {
		b.charge()
	}
	b.out = append(b.out, b.seg...)
	b.seg = b.seg[:0]
	b.start, b.price = next, 0
	if b.blocks++; b.merges() > maxFunctionMerges {
		fail(b.at, ErrLimit, "function with more than %d basic blocks times locals", maxFunctionMerges)
	}
}

// charge writes what a segment begins with.
func (b *body) charge() {
	switch b.start {
	case startEntry:
		b.out = b.settleEntry(b.out)
	case startCall:
		if b.price > 0 {
			b.out = appendS64(append(b.out, opI64Const), b.price)
			b.out = append(b.out, opI64Sub)
		}
		b.out = appendU32(append(b.out, opLocalSet), b.fuel)
		return
	case startLoop:
		defer func() { b.out = b.settleLoop(b.out, &b.loops[b.header]) }()
	}
	if b.price == 0 {
		return
	}
	b.out = appendU32(append(b.out, opLocalGet), b.fuel)
	b.out = appendS64(append(b.out, opI64Const), b.price)
	b.out = appendU32(append(b.out, opI64Sub, opLocalSet), b.fuel)
}

// maxRepeated is the number of parameters up to which a function is called
// again with them where it is entered with a balance below zero.
const maxRepeated = 16

// settleEntry appends what a function begins with. If the balance is below
// zero it leaves to a function that refuels and calls this one again, so that
// no call is here which parameters would have to be kept over.
func (b *body) settleEntry(c []byte) []byte {
	if b.params > maxRepeated {
		return b.settle(c)
	}
	if b.again == 0 {
		b.again = b.p.again(b.at, b.function)
	}
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = append(c, opI64Const, 0, opI64LtS, opIf, typeEmpty)
	c = appendParameters(c, b.params+1)
	return append(appendU32(append(c, opReturnCall), b.again), opEnd)
}

// settle appends code that has the balance refuelled if it is below zero. Of
// the two ways the usual one comes first: the runtime gives registers to what
// is after them as they are at the end of the first.
func (b *body) settle(c []byte) []byte {
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = append(c, opI64Const, 0, opI64GeS, opIf, typeEmpty, opElse)
	return append(b.p.refuel(c, b.fuel), opEnd)
}

// settleLoop is settle for the loop l.
func (b *body) settleLoop(c []byte, l *loop) []byte {
	if !l.saves() {
		return b.settle(c)
	}
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = append(c, opI64Const, 0, opI64GeS, opIf, typeEmpty, opElse)
	c = b.p.refuel(b.saveCarried(c, l), b.fuel)
	return append(b.restoreCarried(c, l), opEnd)
}

// writeBack appends code that stores the balance in the global.
func (b *body) writeBack(c []byte) []byte {
	c = appendU32(append(c, opLocalGet), b.fuel)
	return appendU32(append(c, opGlobalSet), b.p.fuelGlobal())
}

// appendResultType appends the block type () -> results.
func (p *parser) appendResultType(b []byte, results []ValueType) []byte {
	switch len(results) {
	case 0:
		return append(b, typeEmpty)
	case 1:
		return append(b, byte(results[0]))
	}
	return appendS64(b, int64(p.newType(nil, results)))
}

func valueBytes(types []ValueType) []byte {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return b
}
