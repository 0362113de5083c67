package blocks

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Salvage makes the damaged streams of a report such that the server keeps all
// that can be read: first it copies every file that it will change or remove to
// the folder keep, under the path that it has in dir, then it writes the
// damaged blocks anew without what is bad.
//
// The sequences that are lost count as deleted. All is on synced disk when it
// returns nil; after an error, or an unclean stop, what was not done yet is
// found damaged again.
func (r Report) Salvage(o Options, keep string) error {
	for i := range r.Streams {
		if len(r.Streams[i].Damage) == 0 {
			continue
		}
		if err := r.Streams[i].salvage(o, keep); err != nil {
			return err
		}
	}
	return nil
}

// Refresh removes what the server makes anew from the blocks and would believe
// unseen: the configuration where it is stale, which the host brings, and the
// times of expiry unless they are as the server left them: they have no
// checksum, and with one wrong bit another record would expire. Stale configurations are copied to keep first.
func (r Report) Refresh(o Options, keep string) error {
	for _, s := range r.Streams {
		for _, st := range s.Stale {
			if filepath.Base(st.File) != nameMeta {
				continue
			}
			for _, name := range []string{nameMeta, nameMetaSum} {
				if err := setAside(o.Dir, filepath.Join(s.dir, name), keep); err != nil {
					return err
				}
			}
		}
		if sum := o.Stopped[s.Name].Expiry; sum != "" && sum == s.expirySum() && len(s.Damage) == 0 {
			continue
		}
		if err := remove(filepath.Join(s.dir, dirMessages, nameExpiry)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) salvage(o Options, keep string) error {
	damaged := map[string]bool{}
	for _, d := range s.Damage {
		damaged[filepath.Join(o.Dir, d.File)] = true
	}
	// Copies first, all of them.
	index := filepath.Join(s.dir, dirMessages, nameIndex)
	if err := copyTo(o.Dir, index, keep); err != nil {
		return err
	}
	for path := range damaged {
		if err := copyTo(o.Dir, path, keep); err != nil {
			return err
		}
	}

	if err := remove(index); err != nil {
		return err
	}

	deleted := map[uint64]bool{} // by a sound record
	there := map[uint64]int64{}  // messages that index.db has as deleted, and their times
	live := map[uint32]indexed{}
	if s.LostKnown {
		for _, x := range s.index.blocks {
			live[x.number] = x
		}
	}
	end, endData := &blockFile{path: filepath.Join(s.dir, dirMessages, "1.blk"), number: 1}, []byte(nil)
	var highest uint64
	var when int64
	for i, f := range s.blocks {
		buf, err := f.bytes()
		if err != nil {
			return err
		}
		in, known := live[f.number]
		whole := make([]byte, 0, len(buf))
		take := func(r Record) {
			whole = r.appendTo(whole, buf)
			highest, when = max(highest, r.Sequence), r.Time
			if r.Deletion {
				deleted[r.Sequence] = true
			} else if known && r.message() && (r.Sequence < in.first || in.deleted != nil && in.deleted.Exists(r.Sequence)) {
				there[r.Sequence] = r.Time
			}
		}
		newBlock(s.Name, f.number, buf, o.Valid).scan(take, func(p stretch) {
			if p.mended {
				take(p.read)
			}
		})
		switch {
		case i == len(s.blocks)-1:
			end, endData = f, whole
		case !damaged[f.path]:
		case len(whole) == 0:
			err = remove(f.path)
		default:
			err = WriteFile(f.path, whole)
		}
		if err != nil {
			return err
		}
	}

	b := newBlock(s.Name, end.number, nil, nil)
	change := damaged[end.path]
	// Deletions of which the record is lost.
	for _, sequence := range slices.Sorted(maps.Keys(there)) {
		if !deleted[sequence] {
			endData, change = b.appendMark(endData, sequence|deletionBit, there[sequence]), true
		}
	}
	if s.last > highest {
		// So that no number is given twice.
		endData, change = b.appendMark(endData, s.last|erasedBit, when), true
	}
	if !change {
		return nil
	}
	return WriteFile(end.path, endData)
}

// copyTo copies a file of dir to keep, if there is one.
func copyTo(dir, path, keep string) (err error) {
	relative, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	buf, err := (&blockFile{path: path, size: info.Size()}).bytes()
	if err != nil {
		return err
	}
	to := filepath.Join(keep, relative)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return WriteFile(to, buf)
}

// setAside moves a file of dir to keep, if there is one.
func setAside(dir, path, keep string) error {
	if err := copyTo(dir, path, keep); err != nil {
		return err
	}
	return remove(path)
}

// WriteFile writes a file in one step, on synced disk.
func WriteFile(path string, data []byte) error {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(path))
}

// remove removes a file, if there is one, on synced disk.
func remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
