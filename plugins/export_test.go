package plugins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"os"
	"path/filepath"
)

// NewCopying returns an engine that restores memory by copying all of it, as on
// systems that neither map images nor list written pages.
func NewCopying(ctx context.Context, o Options) (*Engine, error) {
	e, err := New(ctx, o)
	if err != nil || e.pages == nil {
		return e, err
	}
	err = e.pages.close()
	e.pages = nil
	return e, err
}

// TakeCode makes the entries of a cache name code that is there and whole, but
// not theirs, as if theirs were taken away after the look at its checksum.
func TakeCode(dir string) error {
	entries, err := filepath.Glob(filepath.Join(dir, "*"+entrySuffix))
	if err != nil {
		return err
	}
	for _, path := range entries {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		e := &entry{}
		if err := gob.NewDecoder(bytes.NewReader(b[len(entryMagic)+sha256.Size:])).Decode(e); err != nil {
			return err
		}
		code, err := filepath.Glob(filepath.Join(dir, "*", e.Code))
		if err != nil {
			return err
		}
		e.Code = "other"
		if err := os.Rename(code[0], filepath.Join(filepath.Dir(code[0]), e.Code)); err != nil {
			return err
		}
		var out bytes.Buffer
		if err := gob.NewEncoder(&out).Encode(e); err != nil {
			return err
		}
		sum := sha256.Sum256(out.Bytes())
		if err := os.WriteFile(path, append(append([]byte(entryMagic), sum[:]...), out.Bytes()...), 0o600); err != nil {
			return err
		}
	}
	return nil
}
