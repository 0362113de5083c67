package meter

import "slices"

// blockType reads a block's type.
func (b *body) blockType() (params, results int) {
	at := b.r.at
	t := b.r.signed(33, "block type")
	switch {
	case t >= int64(len(b.p.types)):
		fail(at, ErrMalformed, "block type is %d, the module has %d types", t, len(b.p.types))
	case t >= 0:
		sig := b.p.types[t]
		params, results = len(sig.Params), len(sig.Results)
	case b.r.at != at+1:
		fail(at, ErrMalformed, "block type in %d bytes instead of 1", b.r.at-at)
	case t != typeEmpty-0x80:
		b.r.at = at
		b.r.valueType("block type")
		results = 1
	}
	b.carry(1 + params + results)
	return params, results
}

// branch reads a label, notes that a branch goes there, and writes the label
// as it is in the new code.
func (b *body) branch() {
	b.branches++
	i := b.r.index(len(b.frames), "branch depth")
	f := &b.frames[len(b.frames)-1-int(i)]
	if !b.dead {
		f.targeted = true
	}
	b.carry(1 + f.carried())
	b.seg = appendU32(b.seg, uint32(b.labels-f.label))
}

// branchIf reads the label of a br_if. If the branch carries no values it is
// written as a br within an if: for that the runtime compares and jumps in two
// instructions, for a br_if it first makes the condition a number.
func (b *body) branchIf() {
	at := b.r.at
	f := b.frames[len(b.frames)-1-int(b.r.index(len(b.frames), "branch depth"))]
	b.r.at = at
	if f.carried() > 0 {
		b.seg = append(b.seg, opBrIf)
		b.branch()
	} else {
		b.seg = append(b.seg, opIf, typeEmpty, opBr)
		b.labels++
		b.branch()
		b.labels--
		b.seg = append(b.seg, opEnd)
	}
	b.flush(startPlain)
}

// carried is the number of values that a branch to the label carries.
func (f *frame) carried() int {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// control reads one control instruction and writes it with what metering
// needs around it.
func (b *body) control(op byte) {
	switch op {
	case opBlock, opLoop, opIf:
		b.open(op)
		return
	case opElse:
		b.otherwise()
		return
	case opEnd:
		b.close()
		return
	}
	b.price += priceOne
	switch op {
	case opUnreachable:
		if !b.dead {
			b.seg = b.writeBack(b.seg)
		}
		b.seg = append(b.seg, opUnreachable)
		b.flush(startPlain)
		b.dead = true
	case opBr:
		b.seg = append(b.seg, op)
		b.branch()
		b.flush(startPlain)
		b.dead = true
	case opBrIf:
		b.branchIf()
	case opBrTable:
		n := b.r.count(maxLabels, "labels of br_table")
		b.seg = appendU32(append(b.seg, op), uint32(n))
		for range n + 1 {
			b.branch()
		}
		b.flush(startPlain)
		b.dead = true
	case opReturn:
		b.carry(b.results)
		b.seg = append(appendU32(append(b.seg, opLocalGet), b.fuel), opReturn)
		b.flush(startPlain)
		b.dead = true
	case opCall, opReturnCall:
		b.call(op)
	case opCallIndirect, opReturnCallIndirect:
		b.callIndirect(op)
	}
}

// call reads the function that is called. Its result on top of the stack is
// the balance.
func (b *body) call(op byte) {
	at := b.r.at
	i := b.p.function(b.r, "called function")
	sig := b.p.types[b.p.funcTypes[i]]
	b.carry(len(sig.Params) + len(sig.Results))
	b.hasCall()
	if i >= b.p.imported {
		c := appendU32(append(b.seg, opLocalGet), b.fuel)
		b.seg = appendU32(append(c, op), b.p.shifted(i))
		b.called(op == opReturnCall)
		return
	}
	c := appendU32(append(b.writeBack(b.seg), opCall), i)
	b.seg = appendU32(append(c, opGlobalGet), b.p.fuelGlobal())
	if op == opReturnCall {
		// The host returns, so this does as well.
		if own := b.p.types[b.p.funcTypes[b.function]]; !slices.Equal(sig.Results, own.Results) {
			fail(at, ErrMalformed, "return_call of function %d, whose results are not the caller's", i)
		}
		b.seg = append(b.seg, opReturn)
	}
	b.called(op == opReturnCall)
}

// callIndirect reads the type and the table of an indirect call. The balance
// goes below the index on the stack.
func (b *body) callIndirect(op byte) {
	t := b.p.typeIndex(b.r, "type of an indirect call")
	sig := b.p.types[t]
	b.carry(len(sig.Params) + len(sig.Results))
	b.hasCall()
	table := b.r.index(len(b.p.tables), "table of an indirect call")
	b.usesAmounts = true
	c := appendU32(append(b.seg, opLocalSet), b.amount)
	c = appendU32(append(c, opLocalGet), b.fuel)
	c = appendU32(append(c, opLocalGet), b.amount)
	b.seg = appendU32(appendU32(append(c, op), b.p.metered(t)), table)
	b.called(op == opReturnCallIndirect)
}

// called ends the segment after a call.
func (b *body) called(tail bool) {
	switch {
	case tail:
		b.flush(startPlain)
		b.dead = true
	case b.dead:
		b.seg = appendU32(append(b.seg, opLocalSet), b.fuel)
		b.flush(startPlain)
	default:
		b.flush(startCall)
	}
}

// open reads the start of a block, loop or if.
func (b *body) open(op byte) {
	params, results := b.blockType()
	if len(b.frames) > maxNesting {
		fail(b.at, ErrLimit, "blocks nested more than %d deep", maxNesting)
	}
	f := frame{op: op, deadIn: b.dead, params: params, results: results}
	if op == opLoop {
		if b.nested++; b.nested > maxLoopNesting {
			fail(b.at, ErrLimit, "loops nested more than %d deep", maxLoopNesting)
		}
	}
	if op == opLoop {
		if n := b.copies(&f); n > 1 {
			f.copies, f.unrolled = n, true
			b.labels++
			b.seg = append(b.seg, opBlock, typeEmpty)
		}
	}
	b.labels++
	f.label, f.first = b.labels, b.labels
	b.frames = append(b.frames, f)
	b.keep()
	switch op {
	case opLoop:
		b.flush(startLoop) // branches come back to here
		b.enterLoop()
		if f.unrolled {
			b.openCopy(&b.frames[len(b.frames)-1])
		}
	case opIf:
		b.branches++
		b.price += priceOne
		b.flush(startPlain)
	}
}

// otherwise reads an else.
func (b *body) otherwise() {
	f := &b.frames[len(b.frames)-1]
	if f.op != opIf {
		fail(b.at, ErrMalformed, "else without if")
	}
	f.op = opElse
	b.keep()
	b.flush(startPlain)
	b.dead = f.deadIn
}

// close reads an end.
func (b *body) close() {
	f := &b.frames[len(b.frames)-1]
	if f.copies > 0 {
		b.closeCopy(f)
		return
	}
	b.frames = b.frames[:len(b.frames)-1]
	b.keep()
	b.labels--
	if f.op == opLoop {
		b.nested--
		b.leaveLoop(f)
		if f.unrolled {
			b.seg = append(b.seg, opEnd)
			b.labels--
		}
		if f.left {
			b.flush(startPlain)
			b.dead = false
		}
	}
	switch {
	case len(b.frames) == 0:
		b.flush(startPlain)
		b.out = append(appendU32(append(b.out, opLocalGet), b.fuel), opEnd)
	case f.op == opIf || f.op == opElse:
		b.flush(startPlain)
		b.dead = f.deadIn
	case f.op == opBlock && f.targeted:
		b.flush(startPlain)
		b.dead = false
	}
	// The end of a loop, or of a block that no branch goes to, is reached
	// only from just before it: the segment goes on.
}
