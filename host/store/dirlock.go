package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lockName is the file in a data directory that its owner holds locked. It
// stays when the host stops: the lock counts, not the file.
const lockName = "auricle.lock"

// dirLock is a held lock on a data directory.
type dirLock struct{ f *flock.Flock }

// lockDir makes the directory when it is missing, checks that it can be
// written, and locks it against other processes.
func lockDir(dir string) (*dirLock, error) {
	unusable := func(err error) error {
		return fmt.Errorf("data directory %s can't be used: %w; choose another data_dir, or give this user the right to write there", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(err)
	}
	// A lock file can be opened where nothing new can be written.
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return nil, unusable(err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, unusable(err)
	}
	l := &dirLock{flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))}
	held, err := l.f.TryLock()
	if err != nil {
		return nil, unusable(fmt.Errorf("locking it: %w", err))
	}
	if !held {
		return nil, fmt.Errorf("%w: %s is locked; stop that host first, or give this one a data_dir of its own", ErrLocked, dir)
	}
	return l, nil
}

func (l *dirLock) unlock() error {
	if err := l.f.Unlock(); err != nil {
		return fmt.Errorf("unlocking the data directory: %w", err)
	}
	return nil
}
