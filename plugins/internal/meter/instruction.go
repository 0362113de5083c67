package meter

// Opcodes that the rewriter writes or treats in their own way.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opSelectTyped        = 0x1c
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableGet           = 0x25
	opTableSet           = 0x26
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Ne              = 0x47
	opI64LtS             = 0x53
	opI64GeS             = 0x59
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64Mul             = 0x7e
	opI64ShrU            = 0x88
	opI64ExtendI32U      = 0xad
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	opMisc               = 0xfc
	opVector             = 0xfd

	typeEmpty = 0x40 // the block type () -> ()
)

// Instructions behind opMisc.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

const vectorConst = 0x0c // v128.const, behind opVector

// Prices. Every instruction that is not named here costs 1, and block, loop,
// end and else cost nothing. The package comment has the table.
const (
	priceOne       = 1
	priceGrow      = 100 // memory.grow and table.grow, refused or not
	pricePage      = 4096
	priceElement   = 1
	priceRefFunc   = 20
	bytesPerFuel   = 16 // memory.fill, memory.copy, memory.init
	bytesPerFuelLg = 4  // its logarithm
)

// shape is what follows an opcode.
type shape byte

const (
	shapeUnknown shape = iota
	shapeNone
	shapeMemory  // alignment and offset
	shapeControl // read by body.control
	shapeLocal
	shapeGlobal
	shapeOther // read by body.plain
)

// shapes by opcode.
var shapes = func() (s [256]shape) {
	set := func(from, to int, as shape) {
		for i := from; i <= to; i++ {
			s[i] = as
		}
	}
	set(opUnreachable, opUnreachable, shapeControl)
	set(0x01, 0x01, shapeNone) // nop
	set(opBlock, opElse, shapeControl)
	set(opEnd, opReturnCallIndirect, shapeControl)
	set(0x1a, 0x1b, shapeNone) // drop, select
	set(opSelectTyped, opSelectTyped, shapeOther)
	set(opLocalGet, opLocalTee, shapeLocal)
	set(opGlobalGet, opGlobalSet, shapeGlobal)
	set(opTableGet, opTableSet, shapeOther)
	set(0x28, 0x3e, shapeMemory) // i32.load … i64.store32
	set(opMemorySize, opF64Const, shapeOther)
	set(0x45, 0xc4, shapeNone) // i32.eqz … i64.extend32_s
	set(opRefNull, opRefNull, shapeOther)
	set(0xd1, 0xd1, shapeNone) // ref.is_null
	set(opRefFunc, opRefFunc, shapeOther)
	set(opMisc, opVector, shapeOther)
	return s
}()

// failOpcode names the feature that an opcode belongs to.
func failOpcode(at int, op byte) {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		fail(at, ErrUnsupported, "exception handling (instruction %#x)", op)
	case 0x14, 0x15, 0xd4, 0xd5, 0xd6:
		fail(at, ErrUnsupported, "typed function references (instruction %#x)", op)
	case 0xd3, 0xfb:
		fail(at, ErrUnsupported, "garbage collection (instruction %#x)", op)
	case 0xfe:
		fail(at, ErrUnsupported, "threads (an atomic instruction, %#x)", op)
	}
	fail(at, ErrMalformed, "unknown instruction %#x", op)
}

// memoryArgument reads the alignment and offset of a load or store.
func (r *reader) memoryArgument() {
	at := r.at
	if align := r.u32("alignment"); align >= 64 && align < 128 {
		fail(at, ErrUnsupported, "multi-memory (a memory index in a load or store)")
	} else if align >= 32 {
		fail(at, ErrMalformed, "alignment 2^%d", align)
	}
	r.u32("offset")
}

// zero reads a memory index, which must be a single zero byte.
func (r *reader) zero(what string) {
	at := r.at
	if b := r.byte(what); b != 0 {
		fail(at, ErrUnsupported, "multi-memory (%s with memory index %#x)", what, b)
	}
}

// vector reads what follows opVector.
func (r *reader) vector() {
	at := r.at
	op := r.u32("vector instruction")
	// The runtime takes a vector opcode for one byte and reads the second
	// byte of a longer one as a nop, which only this encoding survives.
	size := 1
	if op >= 0x80 {
		size = 2
	}
	switch {
	case op >= 0x100 && op < 0x120:
		fail(at, ErrUnsupported, "relaxed SIMD (vector instruction %#x)", op)
	case op > 0xff:
		fail(at, ErrUnsupported, "vector instruction %#x", op)
	case r.at-at != size:
		fail(at, ErrUnsupported, "vector instruction %#x in %d bytes instead of %d", op, r.at-at, size)
	}
	switch {
	case op <= 0x0b, op == 0x5c, op == 0x5d: // loads and v128.store
		r.memoryArgument()
	case op == 0x0c, op == 0x0d: // v128.const, i8x16.shuffle
		r.skip(16, "vector instruction")
	case op >= 0x15 && op <= 0x22: // extract and replace lane
		r.byte("lane")
	case op >= 0x54 && op <= 0x5b: // load and store lane
		r.memoryArgument()
		r.byte("lane")
	}
}
