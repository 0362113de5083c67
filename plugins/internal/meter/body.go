package meter

// label is where control may come from several places. They agree there on how
// much is pending: the first that is read says how much, and the others pay
// the difference on their way.
type label struct {
	reached bool  // from somewhere that can be reached
	fixed   bool  // nothing may be pending
	pending int64 // fuel
	since   int64 // the most of body.since
}

// frame is a label of the function being rewritten.
type frame struct {
	label
	op      byte // opBlock (also the function's own label), opLoop, opIf, opElse
	at      int  // its label's place among those of the new code
	number  int  // among the function's frames
	place   int  // among those that are open
	params  int
	results int

	// What body has where the frame begins.
	deadIn             bool
	pendingIn, sinceIn int64

	// Of a loop:
	start    int // of its body in the original
	dispatch dispatch
	unrolled bool
	loopAt   int   // the place of the loop's own label
	copies   int   // of its body to come
	after    label // the end of the block around it
}

// body rewrites one function's body.
//
// What has been executed but not yet subtracted from the balance is pending, a
// number that is known at every point of the code. It is subtracted where the
// balance must be right: where it is checked, passed on or written back.
//
// The code is read twice: in the first pass to know of loops and labels what
// is seen only after their start, in the second to write the new code.
type body struct {
	p  *parser
	r  *reader
	at int // of the instruction being read

	function        uint32 // of the original
	again           uint32 // the function that refuels and calls it again; 0 if there is none yet
	params, results int
	locals          int         // parameters and locals of the original
	types           []ValueType // theirs
	fuel            uint32      // the i64 parameter that holds the balance
	amount, grown   uint32      // i32 locals for the operands of bulk instructions and indirect calls
	usesAmounts     bool

	out     []byte
	first   bool // pass
	frames  []frame
	targets []*frame // of a br_table
	resumes []resume // of the dispatches
	set     setLocal // the last that was set to a constant
	labels  int      // open in the new code
	opened  int      // frames so far
	fixed   []bool   // by frame: whether nothing may be pending at its label
	pending int64    // fuel
	spent   int64    // by the code that has been read, on all of its ways together
	since   int64    // the most that may have been used since a call returned, without a check; -1 if none did
	dead    bool     // what is being read can't be reached
	blocks  int      // basic blocks so far

	started   bool // a branch, call or loop has been read
	loopFirst bool // the first of them is a loop

	loops    []loop
	seen     int     // loops so far
	loop     int     // the innermost that is open, -1 for none
	nested   int     // loops among the frames
	branches int     // since the innermost loop's start
	marks    []int32 // by local: the loop that mentioned it last
}

func (p *parser) codeSection(s *reader) {
	n := s.count(maxFunctions, "function bodies")
	if defined := len(p.funcTypes) - int(p.imported); n != defined {
		fail(s.at, ErrMalformed, "%d functions declared and %d defined", defined, n)
	}
	p.codes = n
	p.maxUnrolled, p.maxSaved = 4096+s.remaining()/4, 1024+s.remaining()/16
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
		b.loops, b.fixed = b.loops[:0], b.fixed[:0]
		carried, again := p.carried, r
		b.first = true
		b.rewrite(&again, sig)
		p.carried = carried
		b.first = false
		b.rewrite(&r, sig)

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

// rewrite reads the function's code and writes the new code to b.out.
func (b *body) rewrite(r *reader, sig Signature) {
	b.r = r
	b.marks = append(b.marks[:0], make([]int32, b.locals)...)
	for i := range b.marks {
		b.marks[i] = -1
	}
	b.labels, b.opened, b.seen, b.nested, b.blocks, b.branches, b.loop = 0, 0, 0, 0, 0, 0, -1
	b.pending, b.spent, b.since, b.dead = 0, 0, -1, false
	b.out, b.frames = b.out[:0], b.frames[:0]
	if !b.first && !b.loopFirst {
		b.out = b.settleEntry(b.out)
	}
	b.started, b.resumes, b.set = false, b.resumes[:0], setLocal{}
	// The whole body goes into a block of its own, so that every branch to
	// the function's label ends up where the balance is returned.
	b.out = append(b.out, opBlock)
	b.out = b.p.appendResultType(b.out, sig.Results)
	b.push(frame{op: opBlock, results: b.results})
	for len(b.frames) > 0 {
		if b.since > maxUnchecked && !b.dead {
			b.out = b.settle(b.pay(b.out))
			b.since = -1
		}
		b.at = r.at
		op := r.byte("function body")
		switch shapes[op] {
		case shapeNone:
			b.spend(priceOne)
			b.out = append(b.out, op)
			continue
		case shapeLocal:
			local := r.index(b.locals, "local index")
			b.mention(local, op)
			if b.at == b.set.constEnd {
				b.set.to(op, local, r.at)
			}
			b.spend(priceOne)
			b.out = appendU32(append(b.out, op), b.moved(local))
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
		b.spend(priceOne)
		b.keep()
	}
	r.done("function body")
	if b.first {
		return
	}
	if b.p.merges += b.merges(); b.p.merges > maxMerges {
		fail(b.at, ErrLimit, "more than %d basic blocks times locals in all functions", maxMerges)
	}
}

// maxUnchecked is how much a function uses at most after a call has returned to
// it and before the balance is checked. It is small since many functions may
// return one after the other.
const maxUnchecked = 128

// spend makes fuel pending.
func (b *body) spend(fuel int64) {
	b.pending += fuel
	b.spent += fuel
	if b.since >= 0 {
		b.since += fuel
	}
}

// push opens a frame whose label is the next of the new code.
func (b *body) push(f frame) {
	b.labels++
	f.at, f.loopAt = b.labels, b.labels
	f.number, f.place, f.start = b.opened, len(b.frames), b.r.at
	b.opened++
	if f.number == len(b.fixed) {
		b.fixed = append(b.fixed, false)
	}
	f.fixed = b.fixed[f.number] || f.op == opLoop
	f.deadIn, f.pendingIn, f.sinceIn = b.dead, b.pending, b.since
	b.frames = append(b.frames, f)
}

// merges is the number of basic blocks times the number of locals.
func (b *body) merges() int { return b.blocks * b.locals }

// keep writes the instruction just read as it is.
func (b *body) keep() { b.out = append(b.out, b.r.b[b.at:b.r.at]...) }

// carry counts values that the runtime must handle one by one.
func (b *body) carry(n int) { b.p.countCarried(b.at, n) }

func (p *parser) countCarried(at, n int) {
	if p.carried += n; p.carried > maxCarriedValues {
		fail(at, ErrLimit, "more than %d values carried by blocks, branches and calls", maxCarriedValues)
	}
}

// block counts a basic block.
func (b *body) block() {
	if b.blocks++; b.merges() > maxFunctionMerges {
		fail(b.at, ErrLimit, "function with more than %d basic blocks times locals", maxFunctionMerges)
	}
}

// subtract appends code that takes fuel from the balance, or gives it back.
func (b *body) subtract(c []byte, fuel int64) []byte {
	if fuel == 0 {
		return c
	}
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = appendS64(append(c, opI64Const), fuel)
	return appendU32(append(c, opI64Sub, opLocalSet), b.fuel)
}

// pay appends code that subtracts what is pending.
func (b *body) pay(c []byte) []byte {
	if b.dead {
		return c
	}
	c = b.subtract(c, b.pending)
	b.pending = 0
	return c
}

// balance appends code that puts the balance on the stack, less what is
// pending.
func (b *body) balance(c []byte) []byte {
	c = appendU32(append(c, opLocalGet), b.fuel)
	if b.pending != 0 && !b.dead {
		c = append(appendS64(append(c, opI64Const), b.pending), opI64Sub)
	}
	return c
}

// reach notes that control goes from here to l.
func (b *body) reach(l *label) {
	if b.dead {
		return
	}
	if !l.reached {
		l.reached, l.since = true, -1
		if !l.fixed {
			l.pending = b.pending
		}
	}
	l.since = max(l.since, b.since)
}

// edge writes what has to be paid on the way from here to l.
func (b *body) edge(l *label) {
	b.reach(l)
	if !b.dead {
		b.out = b.subtract(b.out, b.pending-l.pending)
	}
}

// arrive goes on from l, which may be reached from here too.
func (b *body) arrive(l *label) {
	b.edge(l)
	b.from(l)
}

// from goes on from l.
func (b *body) from(l *label) {
	b.dead = !l.reached
	b.pending, b.since = l.pending, l.since
	b.block()
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
	if !l.saves() || b.p.saved+len(l.mentions) > b.p.maxSaved {
		return b.settle(c)
	}
	if !b.first {
		b.p.saved += len(l.mentions)
	}
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = append(c, opI64Const, 0, opI64GeS, opIf, typeEmpty, opElse)
	c = b.p.refuel(b.saveCarried(c, l), b.fuel)
	return append(b.restoreCarried(c, l), opEnd)
}

// writeBack appends code that stores the balance in the global, less what is
// pending.
func (b *body) writeBack(c []byte) []byte {
	c = b.balance(c)
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
