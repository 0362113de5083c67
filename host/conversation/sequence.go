package conversation

import "slices"

// maxSkipped bounds what a sequence remembers of numbers that were left out.
const maxSkipped = 16

// sequence knows which transcripts of a session were taken: all up to last,
// but for those that were left out. Numbers may be left out, so one that comes
// late is not the same as one that comes twice.
type sequence struct {
	last    uint64
	skipped []span // in order; the newest maxSkipped, those before count as taken
}

type span struct{ from, to uint64 } // both left out

// take notes a number beyond last.
func (q *sequence) take(n uint64) {
	if n > q.last+1 {
		if len(q.skipped) == maxSkipped {
			q.skipped = slices.Delete(q.skipped, 0, 1)
		}
		q.skipped = append(q.skipped, span{q.last + 1, n - 1})
	}
	q.last = n
}

// taken reports whether a number was taken before.
func (q *sequence) taken(n uint64) bool {
	return n <= q.last && !slices.ContainsFunc(q.skipped, func(s span) bool { return s.from <= n && n <= s.to })
}
