package plugins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// cache keeps compiled code in a directory, for this process and others. It
// holds, for each module, version of the engine, of wazero and kind of
// processor,
//
//	<key>.entry              what is known of the module, its skeleton and data
//	wazero-…/<wazero's key>  the machine code, in wazero's own format
//
// wazero finds code by the hash of the binary that it is given, and reads and
// validates all of that again each time. So it is given the module's skeleton,
// whose functions are empty, and the code is kept under that one's hash: a
// known module of 4 MB is loaded in a fifth of the time. The skeleton is marked
// with the key, so that no two modules have the same.
//
// Each file is written beside its place and renamed into it, and its checksum
// is looked at before it is used: what is damaged or missing is made again.
// Processes that make the same entry at once do so independently; the last
// counts.
type cache struct {
	dir      string
	code     string // where wazero keeps code, in dir
	platform string // what wazero's own keys depend on, besides the module
	wazero   wazero.CompilationCache
}

const (
	entrySuffix  = ".entry"
	buildPrefix  = "building-"
	markName     = "auricle:module"
	entryMagic   = "auricle entry 1\n"
	maxEntryAge  = 60 * 24 * time.Hour // unused for so long, it is removed
	maxBuildTime = time.Hour           // after that, what is left of building was left behind
)

// openCache opens dir, makes sure that files can be made there, and removes what
// has not been used for long.
func openCache(ctx context.Context, dir string) (_ *cache, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%q: %w; name a directory that this user can write to", dir, err)
		}
	}()
	c := &cache{dir: dir}
	if c.wazero, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, err
	}
	// Compiling the least of modules shows where wazero puts code, under what
	// name for this processor.
	probe := meter.Mark([]byte("\x00asm\x01\x00\x00\x00"), markName, nil)
	b, err := c.begin()
	if err != nil {
		return nil, errors.Join(err, c.wazero.Close(ctx))
	}
	defer b.end()
	file, err := b.compile(ctx, probe)
	if err != nil {
		return nil, errors.Join(err, c.wazero.Close(ctx))
	}
	c.code = filepath.Join(dir, filepath.Base(filepath.Dir(file)))
	c.platform = filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
	c.clean(time.Now())
	return c, nil
}

func (c *cache) close(ctx context.Context) error { return c.wazero.Close(ctx) }

// clean removes what has not been used for long. What it can't remove stays:
// somebody else may be using or removing it.
func (c *cache) clean(now time.Time) {
	old := func(path string, age time.Duration) bool {
		info, err := os.Stat(path)
		return err == nil && now.Sub(info.ModTime()) > age
	}
	entries, _ := filepath.Glob(filepath.Join(c.dir, "*"+entrySuffix))
	code, _ := filepath.Glob(filepath.Join(c.code, "*"))
	for _, path := range append(entries, code...) {
		if old(path, maxEntryAge) {
			_ = os.Remove(path)
		}
	}
	left, _ := filepath.Glob(filepath.Join(c.dir, buildPrefix+"*"))
	for _, path := range left {
		if old(path, maxBuildTime) {
			_ = os.RemoveAll(path)
		}
	}
}

// key names what is kept of the module with that hash.
func (c *cache) key(sum [sha256.Size]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s%d\n%s\n%x", entryMagic, meter.Version, c.platform, sum)
	return hex.EncodeToString(h.Sum(nil))
}

// entry is what is kept of a module, besides its code.
type entry struct {
	Module  meter.Module // Wasm is the skeleton, marked
	Code    string       // wazero's name of the file with the code
	CodeSum [sha256.Size]byte
}

// find returns what is kept under key, nil if there is nothing or it is damaged.
func (c *cache) find(key string) *entry {
	path := filepath.Join(c.dir, key+entrySuffix)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(b[min(len(b), len(entryMagic)+sha256.Size):])
	if !bytes.HasPrefix(b, append([]byte(entryMagic), sum[:]...)) {
		return nil
	}
	e := &entry{}
	if gob.NewDecoder(bytes.NewReader(b[len(entryMagic)+sha256.Size:])).Decode(e) != nil {
		return nil
	}
	code := filepath.Join(c.code, e.Code)
	if sum, err := sumOfFile(code); err != nil || sum != e.CodeSum {
		return nil
	}
	now := time.Now()
	// That they are in use; if it can't be noted they are made again one day.
	_ = os.Chtimes(path, now, now)
	_ = os.Chtimes(code, now, now)
	return e
}

func sumOfFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close() // only read
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 256<<10)); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// drop removes what is kept under key.
func (c *cache) drop(key string) error {
	err := os.Remove(filepath.Join(c.dir, key+entrySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// make compiles m and keeps it under key.
func (c *cache) make(ctx context.Context, key string, m *meter.Module) (*entry, error) {
	b, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer b.end()
	from, err := b.compile(ctx, m.Wasm)
	if err != nil {
		return nil, err
	}
	e := &entry{Module: *m}
	e.Module.Wasm = meter.Mark(m.Skeleton, markName, []byte(key))
	e.Module.Skeleton = nil
	if e.CodeSum, err = sumOfFile(from); err != nil {
		return nil, err
	}
	skeleton, err := b.compile(ctx, e.Module.Wasm)
	if err != nil {
		return nil, err
	}
	e.Code = filepath.Base(skeleton)
	var kept bytes.Buffer
	if err := gob.NewEncoder(&kept).Encode(e); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(kept.Bytes())
	beside := filepath.Join(b.dir, "entry")
	if err := os.WriteFile(beside, append(append([]byte(entryMagic), sum[:]...), kept.Bytes()...), 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(from, filepath.Join(c.code, e.Code)); err != nil {
		return nil, err
	}
	return e, os.Rename(beside, filepath.Join(c.dir, key+entrySuffix))
}

// building is a directory in which something for the cache is made.
type building struct {
	dir string
	n   int // compiled so far
}

func (c *cache) begin() (*building, error) {
	dir, err := os.MkdirTemp(c.dir, buildPrefix+"*")
	return &building{dir: dir}, err
}

// end removes what is left.
func (b *building) end() {
	// What can't be removed now is, some day, by clean.
	_ = os.RemoveAll(b.dir)
}

// compile compiles a module and returns the file with its code.
func (b *building) compile(ctx context.Context, wasm []byte) (string, error) {
	b.n++
	dir := filepath.Join(b.dir, fmt.Sprint(b.n))
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", err
	}
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	_, err = compile(ctx, r, wasm)
	if err = errors.Join(err, r.Close(ctx), cache.Close(ctx)); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err == nil && (len(files) != 1 || strings.HasSuffix(files[0], ".tmp")) {
		err = fmt.Errorf("wazero kept %q of one module", files)
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}
