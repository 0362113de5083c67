package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// staging keeps what the embedded server sets down of a batch, before it
// writes the batch to a stream, in memory.
//
// The server makes a small store of its own for each batch, in files that it
// syncs many times over, so that a batch which a crash cuts short is completed
// at the next start. Nobody here needs that: no batch is acknowledged before
// all of it is synced in its stream, and each of its messages stands for
// itself. So the folder for these files is one on a file system in memory,
// which makes a batch cost a fifth. Where there is none, batches go to the
// disk, and are made only where they pay all the same.
type staging struct {
	dir string // the data directory

	mu     sync.Mutex // guards all below
	memory string     // the folder in memory; empty: on disk, or removed
	links  []string
}

// memoryFileSystem is where Linux has one that every process may use.
const memoryFileSystem = "/dev/shm"

// stagingPrefix begins the names of folders there, and stagingOwner is the
// file in each that names the data directory which it belongs to.
const (
	stagingPrefix = "auricle-staging-"
	stagingOwner  = "data_dir"
)

// batchesDir is where the server sets down a stream's batches.
func batchesDir(dir, stream string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", stream, "batches")
}

// stage makes the folder in memory and lets the server use it for the streams
// named, which exist, and of which no batch is under way.
func stage(dir string, streams []string) (*staging, error) {
	memory, err := os.MkdirTemp(memoryFileSystem, stagingPrefix)
	if err != nil {
		return &staging{}, err
	}
	s := &staging{dir: dir, memory: memory}
	for _, stream := range streams {
		link := batchesDir(dir, stream)
		if err == nil {
			err = s.again(stream)
		}
		if err == nil {
			err = os.RemoveAll(link)
		}
		if err == nil {
			err = os.Symlink(filepath.Join(memory, stream), link)
			s.links = append(s.links, link)
		}
	}
	if err != nil {
		return &staging{}, errors.Join(err, s.remove())
	}
	return s, nil
}

// again makes a stream's folder, also when it was removed by somebody who
// tidies the file system in memory.
func (s *staging) again(stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(s.memory, stream), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.memory, stagingOwner), []byte(s.dir), 0o600)
}

// remove removes the folder and the server's way to it.
func (s *staging) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == "" {
		return nil
	}
	errs := []error{os.RemoveAll(s.memory)}
	s.memory = ""
	for _, link := range s.links {
		if err := os.Remove(link); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeStale removes what a host that was killed left of its staging, before
// the server starts over dir. In a copy of a data directory it is another's,
// and stays.
func removeStale(dir string, streams []string) error {
	var errs []error
	stale := map[string]bool{}
	for _, stream := range streams {
		link := batchesDir(dir, stream)
		target, err := os.Readlink(link)
		if err != nil {
			continue // none, or on disk
		}
		errs = append(errs, os.Remove(link))
		memory := filepath.Dir(target)
		if filepath.Dir(memory) != memoryFileSystem || !strings.HasPrefix(filepath.Base(memory), stagingPrefix) {
			continue
		}
		if owner, err := os.ReadFile(filepath.Join(memory, stagingOwner)); err == nil && string(owner) == dir {
			stale[memory] = true
		}
	}
	for memory := range stale {
		errs = append(errs, os.RemoveAll(memory))
	}
	return errors.Join(errs...)
}
