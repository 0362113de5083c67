package meter

// Go compiles a function to a loop around a br_table on the point where it
// resumes, and every jump that has no structure to a turn of it:
//
//	loop
//	  block block ...
//	    local.get $pc br_table ...
//	  end
//	  ... i32.const 7 local.set $pc br $loop ...
//	end ...
//
// Where such a jump leads forward, its target is the end of a block that is
// still open. It is written as a branch to that, which saves the turn with its
// check and its br_table, and pays for what it skips. Cycles are left as they
// are: their turns go through the loop's header.

// minResumes is how many targets make a dispatch dear. The processor foresees
// where a smaller one goes, and further ways into its blocks cost registers there:
// Go's sha256 took 1.20 with them, 1.07 without.
const minResumes = 16

// dispatch is what is known of a loop that begins like that.
type dispatch struct {
	on     uint32   // the local
	labels []resume // the last is the default; none if this is no dispatch
}

// resume is a target: a frame by its place and number.
type resume struct{ place, number int }

// priceDispatch is that of the instructions from the loop's header to the
// targets.
const priceDispatch = 2 * priceOne

// setLocal is an i32.const and the local.set after it.
type setLocal struct {
	constEnd, end int // in the original
	value         uint32
	local         uint32
}

func (s *setLocal) to(op byte, local uint32, end int) {
	if op == opLocalSet {
		s.local, s.end = local, end
	}
}

// noteDispatch notes the br_table that was just read with the innermost
// frame that isn't a block, if that is a loop and nothing but the blocks and a
// local.get lies between them.
func (b *body) noteDispatch() {
	loop := len(b.frames) - 1
	for loop > 0 && b.frames[loop].op == opBlock && b.frames[loop].start == b.frames[loop-1].start+2 {
		loop--
	}
	if b.frames[loop].op != opLoop || b.frames[loop].params > 0 {
		return
	}
	f := &b.frames[loop]
	r := *b.r
	r.at = f.start
	for range len(b.frames) - 1 - loop {
		if r.at+1 >= b.at || r.b[r.at] != opBlock || r.b[r.at+1] != typeEmpty {
			return
		}
		r.at += 2
	}
	if r.at >= b.at || r.b[r.at] != opLocalGet {
		return
	}
	r.at++
	on := r.u32("local index")
	if r.at != b.at {
		return
	}
	first := len(b.resumes)
	for _, t := range b.targets {
		b.resumes = append(b.resumes, resume{t.place, t.number})
	}
	f.dispatch = dispatch{on, b.resumes[first:]}
}

// resume returns the frame to whose end a br to f's label leads that has just
// been read, or nil if that is not known or not a way forward.
func (b *body) resume(f *frame) *frame {
	d := &f.dispatch
	if len(d.labels) < minResumes || b.at != b.set.end || b.set.local != d.on {
		return nil
	}
	t := d.labels[min(uint64(b.set.value), uint64(len(d.labels)-1))]
	if t.place >= len(b.frames) {
		return nil
	}
	next := &b.frames[t.place]
	if next.number != t.number || next.op != opBlock || next.results > 0 {
		return nil
	}
	return next
}
