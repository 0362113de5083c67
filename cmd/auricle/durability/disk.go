package durability

import (
	"context"
	"time"
)

// disk is the file system under a host's data directory. The zero disk is
// whatever is there, and can do nothing.
type disk struct {
	fault Fault
	data  string // where it is mounted
	image string // of a file system that can forget
}

// fillAndEmpty fills the file system to its last byte, waits until the host p
// says that it can't store, makes room again, and waits until it can. It
// returns how long the host could not.
func (d *disk) fillAndEmpty(ctx context.Context, p *process) (time.Duration, error) {
	ballast, err := d.fill()
	if err != nil {
		return 0, err
	}
	if err := p.until(ctx, false); err != nil {
		return 0, err
	}
	began := time.Now()
	pause(ctx, 500*time.Millisecond) // clients go on
	if err := ballast.remove(); err != nil {
		return 0, err
	}
	err = p.until(ctx, true)
	return time.Since(began), err
}
