package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/oklog/ulid/v2"
)

// identityName is the file in the data directory that holds the name of the
// host whose directory it is, among those that share a store.
const identityName = "host_id"

// identity is a host's name among others, the same whenever it starts in the
// same data directory. The file that holds it is locked: two hosts of one name
// would take each other's work for their own.
type identity struct {
	id   string
	lock *flock.Flock
}

// claimIdentity reads the name in dir, or makes one, and locks it.
func claimIdentity(dir string) (_ *identity, err error) {
	path := filepath.Join(dir, identityName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("naming this host: %w", err)
	}
	i := &identity{lock: flock.New(path+".lock", flock.SetPermissions(0o600))}
	held, err := i.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("naming this host: locking %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf("data directory %s is in use by another host; give this one a data_dir of its own, or start it with -take-over", dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("naming this host: %w", err), i.lock.Unlock())
		}
	}()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		i.id = "h_" + strings.ToLower(ulid.Make().String())
		return i, os.WriteFile(path, []byte(i.id+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	i.id = strings.TrimSpace(string(b))
	if _, err := ulid.ParseStrict(strings.ToUpper(strings.TrimPrefix(i.id, "h_"))); err != nil || !strings.HasPrefix(i.id, "h_") {
		return nil, fmt.Errorf("%s does not hold a host's name; remove it to have another made", path)
	}
	return i, nil
}

func (i *identity) release() error {
	if err := i.lock.Unlock(); err != nil {
		return fmt.Errorf("unlocking the host's name: %w", err)
	}
	return nil
}
