package meter

import "slices"

// segmentStart is what has to happen where a basic block starts, besides
// subtracting its price.
type segmentStart byte

const (
	startPlain    segmentStart = iota
	startEntry                 // read the balance, check it
	startLoop                  // check the balance
	startFreeLoop              // check the balance, before the price is taken
	startCall                  // read the balance
)

// frame is a label of the function being rewritten.
type frame struct {
	op       byte // opBlock (also the function's own label), opLoop, opIf, opElse
	deadIn   bool // what is around it can't be reached
	targeted bool // a branch that can be reached goes to it
	outer    bool // the loop is in an injected one
	loop     int  // which of the function's loops it is
	calls    int  // calls before it
	label    int  // its label's place among those of the new code
	params   int
	results  int
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

	params, results int
	locals          int    // parameters and locals of the original
	fuel            uint32 // the i64 local that holds the balance
	amount, grown   uint32 // i32 locals for the operands of bulk instructions
	usesAmounts     bool

	out, seg []byte
	frames   []frame
	labels   int    // open in the new code
	calls    int    // so far, bulk instructions included
	callFree []bool // by loop: whether no call is in it; known after the first pass
	seen     int    // loops so far
	loops    int    // among the frames
	blocks   int    // basic blocks so far
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
		sig := p.types[p.funcTypes[int(p.imported)+i]]
		groups := b.declare(&r, sig)
		// A loop that has no call in it is rewritten otherwise than one that
		// does, which is known at its end.
		b.callFree = b.callFree[:0]
		carried := p.carried
		if again := r; b.rewrite(&r, sig) {
			p.carried = carried
			b.rewrite(&again, sig)
		}

		// The locals' declaration comes before the code but is known after it.
		head = appendU32(head[:0], groups.n+1)
		if b.usesAmounts {
			head = appendU32(head[:0], groups.n+2)
		}
		head = append(head, groups.bytes...)
		head = append(head, 1, byte(I64))
		if b.usesAmounts {
			head = append(head, 2, byte(I32))
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
	for range g.n {
		locals += int64(r.u32("number of locals"))
		r.valueType("locals")
		if locals > maxFunctionLocals {
			fail(at, ErrLimit, "function with more than %d locals", maxFunctionLocals)
		}
	}
	g.bytes = r.b[start:r.at]
	b.locals = b.params + int(locals)
	if b.p.locals += b.locals + b.results; b.p.locals > maxLocals {
		fail(at, ErrLimit, "more than %d parameters, results and locals in all functions", maxLocals)
	}
	b.fuel = uint32(b.locals)
	b.amount, b.grown = b.fuel+1, b.fuel+2
	b.usesAmounts = false
	return g
}

// rewrite reads the function's code and writes the new code to b.out. It
// reports whether it has to be done again, now that the loops are known.
func (b *body) rewrite(r *reader, sig Signature) (again bool) {
	firstPass := len(b.callFree) == 0
	b.r = r
	b.out, b.seg = b.out[:0], b.seg[:0]
	b.start, b.price, b.dead = startEntry, 0, false
	b.loops, b.blocks, b.labels, b.calls, b.seen = 0, 0, 1, 0, 0
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
			r.index(b.locals, "local index")
		case shapeGlobal:
			r.index(int(b.p.globals), "global index")
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
	if firstPass && slices.Contains(b.callFree, true) {
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
func (b *body) carry(n int) {
	if b.p.carried += n; b.p.carried > maxCarriedValues {
		fail(b.at, ErrLimit, "more than %d values carried by blocks, branches and calls", maxCarriedValues)
	}
}

// flush writes the segment with its charge before it, and starts the next.
func (b *body) flush(next segmentStart) {
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
	case startEntry, startCall:
		b.out = appendU32(append(b.out, opGlobalGet), b.p.globals)
	case startLoop:
		b.out = appendU32(append(b.out, opLocalGet), b.fuel)
	case startFreeLoop:
		// Out to the injected loop, where the balance is refuelled.
		b.out = appendU32(append(b.out, opLocalGet), b.fuel)
		b.out = append(b.out, opI64Const, 0, opI64LtS, opBrIf, 1)
		fallthrough
	case startPlain:
		if b.price == 0 {
			return
		}
		b.out = appendU32(append(b.out, opLocalGet), b.fuel)
	}
	if b.price > 0 {
		b.out = appendS64(append(b.out, opI64Const), b.price)
		b.out = append(b.out, opI64Sub)
	}
	if b.start == startEntry || b.start == startLoop {
		b.out = b.settle(appendU32(append(b.out, opLocalTee), b.fuel))
	} else {
		b.out = appendU32(append(b.out, opLocalSet), b.fuel)
	}
}

// settle appends code that takes the balance from the stack and has it
// refuelled if it is below zero. What refuel returns is also written back.
func (b *body) settle(c []byte) []byte {
	c = append(c, opI64Const, 0, opI64LtS, opIf, typeEmpty)
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = appendU32(append(c, opCall), b.p.imported)
	c = appendU32(append(c, opLocalTee), b.fuel)
	c = appendU32(append(c, opGlobalSet), b.p.globals)
	return append(c, opEnd)
}

// writeBack appends code that stores the balance in the global.
func (b *body) writeBack(c []byte) []byte {
	c = appendU32(append(c, opLocalGet), b.fuel)
	return appendU32(append(c, opGlobalSet), b.p.globals)
}

// leave ends the segment with an instruction before which the balance is
// written back.
func (b *body) leave(next segmentStart, instruction []byte) {
	if !b.dead {
		b.seg = b.writeBack(b.seg)
	}
	b.seg = append(b.seg, instruction...)
	b.flush(next)
}

// appendResultType appends the block type () -> results.
func (p *parser) appendResultType(b []byte, results []ValueType) []byte {
	switch len(results) {
	case 0:
		return append(b, typeEmpty)
	case 1:
		return append(b, byte(results[0]))
	}
	key := string(valueBytes(results))
	i, ok := p.wrapTypes[key]
	if !ok {
		i = p.newTypes
		p.newTypes++
		p.wrapTypes[key] = i
		p.wrapBytes = append(p.wrapBytes, 0x60, 0)
		p.wrapBytes = appendName(p.wrapBytes, key)
	}
	return appendS64(b, int64(i))
}

func valueBytes(types []ValueType) []byte {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return b
}
