package conversation

import (
	"crypto/rand"
	"strings"

	"github.com/oklog/ulid/v2"
)

// newID returns a new id that sorts by time, for example
// "c_01jd3m8gz4w7e7k0v6t2h5n9qa".
func newID(prefix string) string {
	// crypto/rand never fails, and the time fits until the year 10889.
	return prefix + strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())
}
