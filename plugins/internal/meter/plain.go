package meter

// plain reads one instruction that is neither control nor of a simple shape.
func (b *body) plain(op byte) {
	r := b.r
	switch op {
	case opSelectTyped:
		at := r.at
		if n := r.byte("select's types"); n != 1 {
			fail(at, ErrMalformed, "select of %d types, want 1", n)
		}
		r.valueType("select's type")
	case opTableGet, opTableSet:
		if i := r.index(len(b.p.tables), "table index"); op == opTableSet {
			b.p.changes(i, "table.set")
		}
	case opMemorySize:
		r.zero("memory.size")
	case opMemoryGrow:
		r.zero("memory.grow")
		b.grow(pricePage)
		return
	case opI32Const:
		b.set.value = uint32(r.signed(32, "i32.const"))
		b.set.constEnd = r.at
	case opI64Const:
		r.signed(64, "i64.const")
	case opF32Const:
		r.skip(4, "f32.const")
	case opF64Const:
		r.skip(8, "f64.const")
	case opRefNull:
		r.refType("ref.null")
	case opRefFunc:
		at := r.at
		i := b.p.function(r, "ref.func's function")
		if !b.p.declared[i] {
			fail(at, ErrMalformed, "ref.func of function %d, which is neither exported nor in an element segment or global", i)
		}
		b.spend(priceRefFunc)
		f := b.p.reference(at, i)
		b.p.refs[f] = true
		b.out = appendU32(append(b.out, opRefFunc), f)
		return
	case opMisc:
		b.misc()
		return
	case opVector:
		r.vector()
	}
	b.spend(priceOne)
	b.keep()
}

// misc reads what follows opMisc.
func (b *body) misc() {
	r := b.r
	at := r.at
	op := r.u32("instruction")
	if op > miscTableFill {
		fail(at, ErrMalformed, "unknown instruction 0xfc %#x", op)
	}
	drops := uint32(0)
	if op != miscTableGrow {
		b.spend(priceOne)
	}
	data := func(what string) {
		if !b.p.hasCount {
			fail(b.at, ErrMalformed, "%s without a data count section", what)
		}
		r.index(int(b.p.dataCount), what+"'s data segment")
	}
	element := func(what string) {
		r.index(int(b.p.segments), what+"'s element segment")
	}
	table := func(what string) uint32 {
		return r.index(len(b.p.tables), what+"'s table")
	}
	switch op {
	case miscMemoryInit:
		data("memory.init")
		b.p.hasInit = true
		r.zero("memory.init")
		b.bulk(bytesPerFuelLg)
	case miscDataDrop:
		data("data.drop")
		b.p.hasInit = true
		drops = b.p.drops("data.drop")
	case miscMemoryCopy:
		r.zero("memory.copy")
		r.zero("memory.copy")
		b.bulk(bytesPerFuelLg)
	case miscMemoryFill:
		r.zero("memory.fill")
		b.bulk(bytesPerFuelLg)
	case miscTableInit:
		element("table.init")
		b.p.changes(table("table.init"), "table.init")
		b.bulk(0)
	case miscElemDrop:
		element("elem.drop")
		drops = b.p.drops("elem.drop")
	case miscTableCopy:
		b.p.changes(table("table.copy"), "table.copy")
		table("table.copy")
		b.bulk(0)
	case miscTableGrow:
		b.p.changes(table("table.grow"), "table.grow")
		b.grow(priceElement)
		return
	case miscTableSize:
		table("table.size")
	case miscTableFill:
		b.p.changes(table("table.fill"), "table.fill")
		b.bulk(0)
	}
	b.keep()
	if drops != 0 {
		b.out = appendU32(append(b.out, opI32Const, 1, opGlobalSet), drops)
	}
}

// bulk writes the charge for an instruction whose topmost operand is how much
// it touches: the operand divided by 2^shift, rounded up. It is made, checked
// and written back before the instruction runs.
func (b *body) bulk(shift int64) {
	if b.dead {
		return
	}
	b.usesAmounts = true
	b.hasCall()
	c := appendU32(append(b.out, opLocalTee), b.amount)
	c = b.balance(c)
	c = appendU32(append(c, opLocalGet), b.amount)
	c = append(c, opI64ExtendI32U)
	if shift > 0 {
		c = appendS64(append(c, opI64Const), 1<<shift-1)
		c = append(c, opI64Add)
		c = appendS64(append(c, opI64Const), shift)
		c = append(c, opI64ShrU)
	}
	c = b.settle(appendU32(append(c, opI64Sub, opLocalSet), b.fuel))
	b.pending, b.since = 0, -1
	b.out = b.writeBack(c)
}

// grow writes memory.grow or table.grow: the operand on top says by how much,
// and each unit costs price if the growth succeeds, which the result tells.
func (b *body) grow(price int64) {
	b.spend(priceGrow)
	if b.dead {
		b.keep()
		return
	}
	b.usesAmounts = true
	b.hasCall()
	b.out = appendU32(append(b.out, opLocalTee), b.amount)
	b.keep()
	c := appendU32(append(b.out, opLocalTee), b.grown)
	c = b.balance(c)
	c = appendU32(append(c, opLocalGet), b.amount)
	c = append(c, opI64ExtendI32U)
	if price != 1 {
		c = appendS64(append(c, opI64Const), price)
		c = append(c, opI64Mul)
	}
	c = appendU32(append(c, opLocalGet), b.grown)
	c = append(c, opI32Const, 0x7f, opI32Ne, opI64ExtendI32U, opI64Mul, opI64Sub, opLocalSet)
	b.out = b.settle(appendU32(c, b.fuel))
	b.pending, b.since = 0, -1
}
