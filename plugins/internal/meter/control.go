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

// target reads a branch's label.
func (b *body) target() *frame {
	i := b.r.index(len(b.frames), "branch depth")
	f := &b.frames[len(b.frames)-1-int(i)]
	b.carry(1 + f.carried())
	b.branches++
	return f
}

// carried is the number of values that a branch to the label carries.
func (f *frame) carried() int {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// depth appends the label's depth in the new code.
func (b *body) depth(c []byte, f *frame) []byte { return appendU32(c, uint32(b.labels-f.at)) }

// branchIf reads the label of a br_if. If the branch carries no values it is
// written as a br within an if: for that the runtime compares and jumps in two
// instructions, for a br_if it first makes the condition a number.
func (b *body) branchIf() {
	f := b.target()
	if f.carried() > 0 {
		b.agree(f)
		b.out = b.depth(append(b.out, opBrIf), f)
	} else {
		b.out = append(b.out, opIf, typeEmpty)
		b.labels++
		b.edge(&f.label)
		b.out = append(b.depth(append(b.out, opBr), f), opEnd)
		b.labels--
	}
	b.block()
}

// branchTable reads the labels of a br_table.
func (b *body) branchTable() {
	n := b.r.count(maxLabels, "labels of br_table")
	b.targets = b.targets[:0]
	for range n + 1 {
		b.targets = append(b.targets, b.target())
	}
	b.noteDispatch()
	b.agree(b.targets...)
	b.out = appendU32(append(b.out, opBrTable), uint32(n))
	for _, f := range b.targets {
		b.out = b.depth(b.out, f)
	}
	b.dead = true
}

// agree goes to labels on ways that have no place where something could be
// paid: what is pending here is pending there, if this is the first way to all
// of them, and otherwise nothing is. The first pass finds which it is.
func (b *body) agree(targets ...*frame) {
	if b.loop >= 0 {
		b.loops[b.loop].agrees = true
	}
	if b.dead {
		return
	}
	fixed := false
	for _, f := range targets {
		fixed = fixed || f.fixed || b.first && f.reached
	}
	if fixed {
		b.out = b.pay(b.out)
	}
	for _, f := range targets {
		if fixed {
			b.fixed[f.number] = true
		}
		b.reach(&f.label)
	}
}

// control reads one control instruction and writes it with what metering
// needs around it.
func (b *body) control(op byte) {
	if !b.started && op != opBlock && op != opEnd {
		b.started, b.loopFirst = true, op == opLoop
	}
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
	b.spend(priceOne)
	switch op {
	case opUnreachable:
		if !b.dead {
			b.out = b.writeBack(b.out)
		}
		b.out = append(b.out, opUnreachable)
		b.dead = true
	case opBr:
		f := b.target()
		if next := b.resume(f); next != nil {
			b.spend(priceDispatch)
			f = next
		}
		b.edge(&f.label)
		b.out = b.depth(append(b.out, opBr), f)
		b.dead = true
	case opBrIf:
		b.branchIf()
	case opBrTable:
		b.branchTable()
	case opReturn:
		b.carry(b.results)
		b.out = append(b.balance(b.out), opReturn)
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
		b.out = appendU32(append(b.balance(b.out), op), b.p.shifted(i))
		b.called(op == opReturnCall)
		return
	}
	c := appendU32(append(b.writeBack(b.out), opCall), i)
	b.out = appendU32(append(c, opGlobalGet), b.p.fuelGlobal())
	if op == opReturnCall {
		// The host returns, so this does as well.
		if own := b.p.types[b.p.funcTypes[b.function]]; !slices.Equal(sig.Results, own.Results) {
			fail(at, ErrMalformed, "return_call of function %d, whose results are not the caller's", i)
		}
		b.out = append(b.out, opReturn)
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
	c := b.balance(appendU32(append(b.out, opLocalSet), b.amount))
	c = appendU32(append(c, opLocalGet), b.amount)
	b.out = appendU32(appendU32(append(c, op), b.p.metered(t)), table)
	b.called(op == opReturnCallIndirect)
}

// called goes on after a call, unless it was a tail call.
func (b *body) called(tail bool) {
	if tail {
		b.dead = true
		return
	}
	b.out = appendU32(append(b.out, opLocalSet), b.fuel)
	b.pending, b.since = 0, 0
	b.block()
}

// open reads the start of a block, loop or if.
func (b *body) open(op byte) {
	params, results := b.blockType()
	if len(b.frames) > maxNesting {
		fail(b.at, ErrLimit, "blocks nested more than %d deep", maxNesting)
	}
	f := frame{op: op, params: params, results: results}
	switch op {
	case opBlock:
		b.keep()
		b.push(f)
	case opIf:
		b.branches++
		b.spend(priceOne)
		b.keep()
		b.push(f)
		b.block()
	case opLoop:
		b.openLoop(f)
	}
}

// openLoop writes the start of a loop, where the balance is checked.
func (b *body) openLoop(f frame) {
	if b.nested++; b.nested > maxLoopNesting {
		fail(b.at, ErrLimit, "loops nested more than %d deep", maxLoopNesting)
	}
	b.out = b.pay(b.out)
	if n := b.copies(&f); n > 1 {
		f.copies, f.unrolled = n, true
		b.labels++
		b.out = append(b.out, opBlock, typeEmpty)
	}
	b.keep()
	b.push(f)
	b.block()
	b.enterLoop()
	if l := &b.loops[b.loop]; !b.dead && !l.bare {
		b.out = b.settleLoop(b.out, l)
		b.since = -1
	}
	if f.unrolled {
		b.openCopy(&b.frames[len(b.frames)-1])
	}
}

// otherwise reads an else.
func (b *body) otherwise() {
	f := &b.frames[len(b.frames)-1]
	if f.op != opIf {
		fail(b.at, ErrMalformed, "else without if")
	}
	f.op = opElse
	b.edge(&f.label)
	b.keep()
	b.dead, b.pending, b.since = f.deadIn, f.pendingIn, f.sinceIn
	b.block()
}

// close reads an end.
func (b *body) close() {
	f := &b.frames[len(b.frames)-1]
	if f.copies > 0 {
		b.closeCopy(f)
		return
	}
	b.frames = b.frames[:len(b.frames)-1]
	switch f.op {
	case opBlock:
		if f.reached {
			b.arrive(&f.label)
		}
	case opElse:
		b.arrive(&f.label)
	case opIf:
		b.closeIf(f)
	}
	b.keep()
	b.labels--
	if f.op == opLoop {
		// Its end is reached only from just before it.
		b.nested--
		b.leaveLoop(f)
	}
	if f.unrolled {
		if f.after.reached {
			b.arrive(&f.after)
		}
		b.out = append(b.out, opEnd)
		b.labels--
	}
	if len(b.frames) == 0 {
		b.out = append(b.balance(b.out), opEnd)
	}
}

// closeIf joins the end of an if without else with the way past it, which
// has nothing to pay if that can be.
func (b *body) closeIf(f *frame) {
	dead, pending, since := b.dead, b.pending, b.since
	past := func() { b.dead, b.pending, b.since = f.deadIn, f.pendingIn, f.sinceIn }
	past()
	b.reach(&f.label)
	b.dead, b.pending, b.since = dead, pending, since
	b.edge(&f.label)
	past()
	if !b.dead && b.pending != f.pending {
		b.out = append(b.out, opElse)
	}
	b.arrive(&f.label)
}
