package plugins

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Tape holds, in their order, the answers that an invocation got and that
// neither its module nor its input determines: readings of the clocks, the seed
// of its random bytes, what host functions gave by Call.Answer, and where the
// wall-clock limit ended it. As Invocation.Tape, one of NewTape records them;
// one of ReadTape gives them again, so that the same module with the same
// arguments, limits and state does the same, to the unit of fuel.
//
// While a tape is replayed no time passes: a sleep returns at once, and the
// wall-clock limit is met where it was, or never. Where the guest asks for
// something else than it did, Diverged says so, and it goes on with the answers
// that fit best: the next of that kind, or live ones where there are none left.
//
// A tape is for one invocation at a time.
type Tape struct {
	recorded []byte // while recording: the answers, as Bytes gives them
	max      int
	full     bool
	last     [2]int64 // each clock's last reading
	read     [2]bool  // whether there was one

	replaying bool
	answers   []answer
	given     []given
	at        int // answers that were given so far
	cursors   [answerKinds]int
	named     map[string]int // as cursors, of answers by name
	diverged  error
	deadline  deadline
	ended     bool // the deadline is on the tape
}

// deadline is where an invocation was when its wall-clock limit had passed.
type deadline struct {
	looks uint64 // at the clock; 0: there was not even an instance
	fuel  uint64
}

type answerKind byte

// The kinds of what is on a tape, as they are in Bytes.
const (
	answerRealtime  answerKind = clockRealtime // varint: what was added to the last reading
	answerMonotonic answerKind = clockMonotonic
	answerSeed      answerKind = 2 // 32 bytes
	answerGiven     answerKind = 3 // by a host function: the name and the answer, each after its length
	answerKinds                = 4

	endDeadline answerKind = 4 // the last one: two uvarints
)

// answer is one of a tape that is replayed.
type answer struct {
	kind  answerKind
	value int64 // a clock's reading, or the place in Tape.given
}

// given is an answer of more than a number: a seed has no name.
type given struct {
	name string
	data []byte
}

// NewTape returns an empty tape that records up to maxBytes.
func NewTape(maxBytes int) *Tape { return &Tape{max: maxBytes} }

// Reset makes a tape of NewTape empty again. It keeps its memory, and what
// Bytes returned is no longer valid.
func (t *Tape) Reset() { *t = Tape{recorded: t.recorded[:0], max: t.max} }

// Full reports whether there was more to record than the tape takes, so that it
// is of no use.
func (t *Tape) Full() bool { return t.full }

// Bytes returns what was recorded, for ReadTape. It is valid until Reset, and
// nothing may record on the tape any more.
func (t *Tape) Bytes() []byte {
	if !t.ended || t.replaying {
		return t.recorded
	}
	b := append(t.recorded, byte(endDeadline))
	b = binary.AppendUvarint(b, t.deadline.looks)
	return binary.AppendUvarint(b, t.deadline.fuel)
}

// room makes sure that n more bytes may be recorded.
func (t *Tape) room(n int) bool {
	if len(t.recorded)+n > t.max {
		t.full = true
	}
	return !t.full
}

// ErrTape is in every error of ReadTape.
var ErrTape = errors.New("not a tape")

// ReadTape returns the tape that Bytes gave, to be replayed once. Its errors
// wrap ErrTape and say where the fault is. It keeps b.
func ReadTape(b []byte) (*Tape, error) {
	t := &Tape{replaying: true, recorded: b, named: map[string]int{}}
	for at := 0; at < len(b); {
		n, err := t.parse(b[at:])
		if err != nil {
			return nil, fmt.Errorf("%w: answer %d at byte %d: %w", ErrTape, len(t.answers)+1, at, err)
		}
		at += n
		if t.ended && at < len(b) {
			return nil, fmt.Errorf("%w: %d bytes follow its end", ErrTape, len(b)-at)
		}
	}
	t.last, t.read = [2]int64{}, [2]bool{}
	return t, nil
}

var errCut = errors.New("it is cut short")

// parse takes the answer that b begins with, and returns its length.
func (t *Tape) parse(b []byte) (n int, err error) {
	kind, rest := answerKind(b[0]), b[1:]
	number := func() (v uint64) {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			err = errCut
			return 0
		}
		rest = rest[n:]
		return v
	}
	bytes := func(n uint64) (v []byte) {
		if n > uint64(len(rest)) {
			err = errCut
			return nil
		}
		v, rest = rest[:n:n], rest[n:]
		return v
	}
	switch kind {
	case answerRealtime, answerMonotonic:
		d, n := binary.Varint(rest)
		if n <= 0 {
			return 0, errCut
		}
		rest = rest[n:]
		t.last[kind] += d
		t.answers = append(t.answers, answer{kind, t.last[kind]})
	case answerSeed:
		t.answers = append(t.answers, answer{kind, int64(len(t.given))})
		t.given = append(t.given, given{data: bytes(32)})
	case answerGiven:
		name := string(bytes(number()))
		t.answers = append(t.answers, answer{kind, int64(len(t.given))})
		t.given = append(t.given, given{name, bytes(number())})
	case endDeadline:
		t.ended, t.deadline = true, deadline{looks: number(), fuel: number()}
	default:
		return 0, fmt.Errorf("of unknown kind %d", kind)
	}
	return len(b) - len(rest), err
}

// Len returns how many answers there are on a tape of ReadTape.
func (t *Tape) Len() int { return len(t.answers) }

// Diverged says where the invocation that was replayed first asked for
// something else than the recorded one did; nil if it never did.
func (t *Tape) Diverged() error {
	if t.diverged == nil && t.replaying && t.at < len(t.answers) {
		return fmt.Errorf("answer %d: the module ended where the recorded one asked for %s", t.at+1, t.told(t.at))
	}
	return t.diverged
}

// told names the answer that is at i on the tape.
func (t *Tape) told(i int) string {
	if i >= len(t.answers) {
		return "nothing more"
	}
	a := t.answers[i]
	if a.kind == answerGiven {
		return a.kind.named(t.given[a.value].name)
	}
	return a.kind.named("")
}

func (k answerKind) named(name string) string {
	switch k {
	case answerRealtime:
		return "the wall clock"
	case answerMonotonic:
		return "the monotonic clock"
	case answerSeed:
		return "random bytes"
	}
	return clean(name)
}

// next returns the next answer of a kind, and for given ones of a name.
func (t *Tape) next(kind answerKind, name string) (answer, bool) {
	from := t.cursors[kind]
	if kind == answerGiven {
		from = t.named[name]
	}
	i := slices.IndexFunc(t.answers[from:], func(a answer) bool {
		return a.kind == kind && (kind != answerGiven || t.given[a.value].name == name)
	})
	found := i >= 0
	i += from
	if t.diverged == nil && (!found || i != t.at) {
		t.diverged = fmt.Errorf("answer %d: the module asked for %s where the recorded one asked for %s", t.at+1, kind.named(name), t.told(t.at))
	}
	past := len(t.answers)
	if found {
		past = i + 1
		t.at++
	}
	if kind == answerGiven {
		t.named[name] = past
	} else {
		t.cursors[kind] = past
	}
	if !found {
		return answer{}, false
	}
	return t.answers[i], true
}

// beyond is what passes between two readings of a clock where the tape has no
// more of them, so that who waits for a time to come gets there.
const beyond = int64(time.Microsecond)

// clock returns a clock's reading, by live unless there is one on the tape.
func (t *Tape) clock(id uint32, live func() int64) int64 {
	kind := answerKind(id)
	if !t.replaying {
		now := live()
		if t.room(1 + binary.MaxVarintLen64) {
			t.recorded = binary.AppendVarint(append(t.recorded, byte(kind)), now-t.last[id])
			t.last[id] = now
		}
		return now
	}
	if a, ok := t.next(kind, ""); ok {
		t.last[id] = a.value
	} else if t.read[id] {
		t.last[id] += beyond
	} else {
		t.last[id] = live()
	}
	t.read[id] = true
	return t.last[id]
}

// longSleep bounds how far one sleep takes a replayed invocation's clocks.
const longSleep = 24 * time.Hour

// slept lets a replayed invocation's time pass.
func (t *Tape) slept(d time.Duration) {
	for i := range t.last {
		t.last[i] += int64(min(d, longSleep))
	}
}

// seed returns the seed of the random bytes, by live unless there is one on
// the tape.
func (t *Tape) seed(live func() ([32]byte, error)) ([32]byte, error) {
	if t.replaying {
		if a, ok := t.next(answerSeed, ""); ok {
			return [32]byte(t.given[a.value].data), nil
		}
		return live()
	}
	seed, err := live()
	if err == nil && t.room(1+len(seed)) {
		t.recorded = append(append(t.recorded, byte(answerSeed)), seed[:]...)
	}
	return seed, err
}

// answer returns a host function's answer, by live unless there is one on the
// tape.
func (t *Tape) answer(name string, live func() ([]byte, error)) ([]byte, error) {
	if t.replaying {
		if t.ended && t.at == len(t.answers) {
			return nil, context.DeadlineExceeded // it came before the answer
		}
		if a, ok := t.next(answerGiven, name); ok {
			return t.given[a.value].data, nil
		}
		return live()
	}
	b, err := live()
	if err == nil && t.room(1+2*binary.MaxVarintLen64+len(name)+len(b)) {
		t.recorded = binary.AppendUvarint(append(t.recorded, byte(answerGiven)), uint64(len(name)))
		t.recorded = binary.AppendUvarint(append(t.recorded, name...), uint64(len(b)))
		t.recorded = append(t.recorded, b...)
	}
	return b, err
}

// late notes that the wall-clock limit had passed.
func (t *Tape) late(d deadline) { t.ended, t.deadline = true, d }

// lateAt reports whether the wall-clock limit of the recorded invocation had
// passed where the replayed one is; if that is another module, when it has used
// more fuel than the recorded one had.
func (t *Tape) lateAt(d deadline) bool {
	return t.ended && (d == t.deadline || d.fuel > t.deadline.fuel)
}
