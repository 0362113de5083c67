package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/auricle-dev/auricle/host/store/internal/blocks"
)

// Files of the data directory beside the embedded server's.
const (
	nameFormat  = "format"  // which format the directory has
	nameStopped = "stopped" // how the server's files ended when the host stopped in order; not there while it runs
)

// formatCurrent is the format that this host writes, and the newest that it
// reads. Format 1 has no file that says so; what it keeps of open conversations
// is read as any other.
const formatCurrent = 2

// readFormat returns the format of a directory; 0 when nothing is in it yet.
// The error says what to do when it can't be read by this host.
func readFormat(dir string) (int, error) {
	path := filepath.Join(dir, nameFormat)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, err := os.Stat(filepath.Join(dir, "jetstream"))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return 0, nil
		case err != nil:
			return 0, err
		}
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	var f struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &f); err != nil || f.Format < 1 {
		return 0, fmt.Errorf("%s does not say which format the directory has; restore it from a backup, or remove it if the last host was of this version", path)
	}
	if f.Format > formatCurrent {
		return 0, fmt.Errorf("the directory has format %d, this host reads up to %d: start the host's version that wrote it, or a newer one", f.Format, formatCurrent)
	}
	return f.Format, nil
}

func writeFormat(dir string) error {
	return writeFile(filepath.Join(dir, nameFormat), map[string]int{"format": formatCurrent})
}

// readStopped returns what writeStopped noted; nil when the host was killed.
func readStopped(dir string) (map[string]blocks.Stop, error) {
	data, err := os.ReadFile(filepath.Join(dir, nameStopped))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f map[string]blocks.Stop
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// writeStopped notes how the server's files ended, once it has stopped.
func writeStopped(dir string) error {
	stops, err := blocks.Stopped(dir)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, nameStopped), stops)
}

// writeFile writes a small file in one step, on synced disk.
func writeFile(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return blocks.WriteFile(path, append(data, '\n'))
}
