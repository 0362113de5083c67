package conversation

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ids makes ids that sort by time and never before one that it made or saw,
// whatever the wall clock does.
type ids struct {
	now func() time.Time // the wall clock

	mu   sync.Mutex // guards last
	last ulid.ULID
}

// next returns a new id, for example "c_01jd3m8gz4w7e7k0v6t2h5n9qa".
func (g *ids) next(prefix string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	// crypto/rand never fails, and the time fits until the year 10889.
	id := ulid.MustNew(ulid.Timestamp(g.now()), rand.Reader)
	if id.Compare(g.last) <= 0 {
		// The last 40 bits of what was just made are random: far enough ahead of
		// the last id not to be guessed.
		id = after(g.last, binary.BigEndian.Uint64(id[8:])&(1<<40-1))
	}
	g.last = id
	return prefix + strings.ToLower(id.String())
}

// see takes note of an id that another host, or an earlier life of this one,
// has made.
func (g *ids) see(id string) {
	_, text, _ := strings.Cut(id, "_")
	text, _, _ = strings.Cut(text, "_") // a name follows; see nextID
	u, err := ulid.Parse(text)
	if err != nil {
		return // not one of ours
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if u.Compare(g.last) > 0 {
		g.last = u
	}
}

// after returns the id that is n+1 after u.
func after(u ulid.ULID, n uint64) ulid.ULID {
	low, carry := bits.Add64(binary.BigEndian.Uint64(u[8:]), n, 1)
	high := binary.BigEndian.Uint64(u[:8]) + carry
	binary.BigEndian.PutUint64(u[:8], high)
	binary.BigEndian.PutUint64(u[8:], low)
	return u
}
