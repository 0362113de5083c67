package meter

// maxCarried is the number of locals that a loop may mention and save: more
// have no place in registers anyway.
const maxCarried = 16

// loop is what is known of a loop at its end.
type loop struct {
	parent   int
	start    int   // of its body in the original
	size     int   // of its body, in bytes
	calls    bool  // there is a call in it
	inner    bool  // there is a loop in it
	agrees   bool  // body.agree was called in it
	repeats  bool  // a branch that can be reached goes to it
	before   int64 // fuel spent in the function's code before it
	bare     bool  // another begins in it before anything is spent: that one's check does for both
	mentions []mention
}

// mention is a local's first mention in a loop.
type mention struct {
	local   uint32
	carried bool // its value comes from before the turn, so far as can be told
}

// saves reports whether the locals that the loop carries from turn to turn are
// put into globals while it is refuelled. Otherwise they would be kept over
// a call, for which the runtime stores each of them at every turn. That pays
// in an innermost loop, and in one around a br_table (as Go makes of a
// function), but not where other calls are in the way or few turns are made.
func (l *loop) saves() bool {
	return len(l.mentions) <= maxCarried && (l.agrees || !l.calls && !l.inner)
}

// enterLoop makes the loop that is now read the innermost.
func (b *body) enterLoop() {
	if b.seen == len(b.loops) { // first pass
		b.loops = append(b.loops, loop{parent: b.loop, start: b.r.at, before: b.spent})
		if b.loop >= 0 {
			outer := &b.loops[b.loop]
			outer.inner = true
			outer.bare = outer.bare || outer.before == b.spent
		}
	}
	b.loop = b.seen
	b.seen++
	b.branches = 0
}

// leaveLoop ends the innermost loop, whose label was f.
func (b *body) leaveLoop(f *frame) {
	l := &b.loops[b.loop]
	l.size = b.r.at - l.start
	l.repeats = l.repeats || f.reached
	b.loop = l.parent
	if b.loop < 0 {
		return
	}
	outer := &b.loops[b.loop]
	outer.calls = outer.calls || l.calls
	for _, m := range l.mentions {
		outer.mention(m.local, m.carried)
	}
	b.branches = 1
}

// Unrolling.
const (
	maxCopies         = 4
	maxUnrolledBytes  = 512  // of all copies of a loop's body, as in the original
	maxUnrolledLocals = 1000 // in a function with unrolled loops
)

// copies is how many times the body of the loop that comes next is written
// down, so that its balance is checked once in as many turns. Each copy but
// the last is in a block of its own, whose end is where the next turn begins:
//
//	block           ;; after the loop
//	  loop          ;; the check
//	    block ... br 2 end
//	    block ... br 2 end
//	    ...
//	  end
//	end
func (b *body) copies(f *frame) int {
	if b.first || b.dead || f.params+f.results > 0 || b.locals > maxUnrolledLocals {
		return 1
	}
	l := &b.loops[b.seen]
	if l.calls || !l.saves() || l.inner || l.agrees || !l.repeats {
		return 1
	}
	n := min(maxCopies, maxUnrolledBytes/l.size)
	extra := (n - 1) * l.size
	if n < 2 || b.p.unrolled+extra > b.p.maxUnrolled {
		return 1
	}
	b.p.unrolled += extra
	return n
}

// openCopy begins the next copy of an unrolled loop's body.
func (b *body) openCopy(f *frame) {
	f.copies--
	if f.copies == 0 {
		f.at, f.label = f.loopAt, label{fixed: true} // the last goes on with the loop itself
		return
	}
	b.labels++
	f.at, f.label = b.labels, label{fixed: b.fixed[f.number]}
	b.out = append(b.out, opBlock, typeEmpty)
}

// closeCopy ends a copy that is not the last: what comes to its end leaves the
// loop, and what goes on with the next turn goes on with the next copy.
func (b *body) closeCopy(f *frame) {
	if !b.dead {
		b.edge(&f.after)
		b.out = appendU32(append(b.out, opBr), uint32(b.labels-f.loopAt+1))
	}
	b.out = append(b.out, opEnd)
	b.labels--
	b.from(&f.label)
	b.r.at = b.loops[b.loop].start
	b.opened = f.number + 1
	b.openCopy(f)
}

// hasCall notes a call in the innermost loop.
func (b *body) hasCall() {
	if b.loop >= 0 {
		b.loops[b.loop].calls = true
	}
}

// mention notes that op reads or writes a local in the innermost loop.
func (b *body) mention(local uint32, op byte) {
	if b.loop < 0 || b.marks[local] == int32(b.loop) {
		return
	}
	b.marks[local] = int32(b.loop)
	// A local that every turn sets first is not carried.
	b.loops[b.loop].mention(local, op == opLocalGet || b.branches > 0)
}

func (l *loop) mention(local uint32, carried bool) {
	for _, m := range l.mentions {
		if m.local == local {
			return
		}
	}
	if len(l.mentions) <= maxCarried {
		l.mentions = append(l.mentions, mention{local, carried})
	}
}

// saveCarried appends code that puts the locals that the loop carries into
// the module's scratch globals, and restoreCarried code that takes them back.
// Refuelling doesn't run the module, so one set of globals is enough.
func (b *body) saveCarried(c []byte, l *loop) []byte {
	for local, global := range b.carried(l) {
		c = appendU32(append(c, opLocalGet), local)
		c = appendU32(append(c, opGlobalSet), global)
	}
	return c
}

func (b *body) restoreCarried(c []byte, l *loop) []byte {
	for local, global := range b.carried(l) {
		c = appendU32(append(c, opGlobalGet), global)
		c = appendU32(append(c, opLocalSet), local)
	}
	return c
}

// carried yields the carried locals with a global for each.
func (b *body) carried(l *loop) func(yield func(local, global uint32) bool) {
	return func(yield func(local, global uint32) bool) {
		var used [256]int // by type
		for _, m := range l.mentions {
			if !m.carried {
				continue
			}
			t := b.types[m.local]
			if !yield(b.moved(m.local), b.p.scratchGlobal(t, used[t])) {
				return
			}
			used[t]++
		}
	}
}
