//go:build !linux

package durability

import (
	"errors"
	"fmt"
)

func newDisk(f Fault, _, data string) (*disk, error) {
	if f != FaultKill {
		return nil, fmt.Errorf("fault %s: %w: it takes Linux", f, errors.ErrUnsupported)
	}
	return &disk{fault: f, data: data}, nil
}

func (d *disk) forget() error { return nil }
func (d *disk) back() error   { return nil }
func (d *disk) close() error  { return nil }

type ballast struct{}

func (ballast) remove() error { return nil }

func (d *disk) fill() (ballast, error) { return ballast{}, errors.ErrUnsupported }
