package plugins

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
// known module of 4 MB is loaded in less than half of the time. The skeleton is
// marked with the key, so that no two modules have the same.
//
// Each file is written beside its place and renamed into it, and its checksums
// are looked at before it is used: what is damaged or missing is made again.
// Processes that make the same entry at once do so independently; the last
// counts.
type cache struct {
	dir      string
	code     string   // where wazero keeps code, in dir
	platform string   // what wazero's own keys depend on, besides the module
	compiler []string // Options.Compiler
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
func openCache(ctx context.Context, dir string, compiler []string) (_ *cache, err error) {
	c := &cache{dir: dir, compiler: compiler}
	defer func() {
		if err == nil {
			return
		}
		if c.wazero != nil {
			err = errors.Join(err, c.wazero.Close(ctx))
		}
		err = fmt.Errorf("%q: %w; name a directory that this user can write to", dir, err)
	}()
	if c.wazero, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, err
	}
	// Compiling the least of modules shows where wazero puts code, under what
	// name for this processor.
	probe := meter.Mark([]byte("\x00asm\x01\x00\x00\x00"), markName, nil)
	b, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer b.end()
	file, err := b.compile(ctx, probe)
	if err != nil {
		return nil, err
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

	// Module.Data, as there may be thousands.
	DataAt, DataSize []uint32
	Data             []byte
}

// flatten takes the data out of e.Module.
func (e *entry) flatten() {
	for _, d := range e.Module.Data {
		e.DataAt = append(e.DataAt, d.Offset)
		e.DataSize = append(e.DataSize, uint32(len(d.Bytes)))
		e.Data = append(e.Data, d.Bytes...)
	}
	e.Module.Data = nil
}

// unflatten puts the data into e.Module.
func (e *entry) unflatten() {
	e.Module.Data = make([]meter.Data, len(e.DataAt))
	at := uint32(0)
	for i, offset := range e.DataAt {
		size := e.DataSize[i]
		e.Module.Data[i] = meter.Data{Offset: offset, Bytes: e.Data[at : at+size]}
		at += size
	}
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
	if sum, err := sumOfCode(code); err != nil || sum != e.CodeSum {
		return nil
	}
	e.unflatten()
	now := time.Now()
	// That they are in use; if it can't be noted they are made again one day.
	_ = os.Chtimes(path, now, now)
	_ = os.Chtimes(code, now, now)
	return e
}

// sumOfCode returns the checksum of a file with code, but for the machine code
// in it: of that, which is nearly all, wazero keeps a CRC-32C itself and looks
// at it whenever it reads the file. The format is wazero's (engine_cache.go):
// magic, version, function offsets, length of code, code, CRC and what follows.
func sumOfCode(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	r := io.TeeReader(bufio.NewReaderSize(f, 64<<10), h)
	read := 0
	next := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(r, b)
			read += n
		}
		return b
	}
	const magicBytes = 6
	version := next(magicBytes + 1)[magicBytes]
	next(int(version))
	functions := int64(binary.LittleEndian.Uint32(next(4)))
	if 8*functions > info.Size() {
		return sum, fmt.Errorf("%s can't hold %d functions", path, functions)
	}
	next(int(8 * functions))
	code := binary.LittleEndian.Uint64(next(8))
	if err != nil || code > uint64(info.Size()) {
		return sum, errors.Join(err, fmt.Errorf("%s can't hold %d bytes of code", path, code))
	}
	if _, err := f.Seek(int64(read)+int64(code), io.SeekStart); err != nil {
		return sum, err
	}
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// make compiles m and keeps it under key; at a low priority, where that is
// another process's work.
func (c *cache) make(ctx context.Context, key string, m *meter.Module, low bool) (*entry, error) {
	b, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer b.end()
	from, err := b.compileApart(ctx, c.compiler, m.Wasm, low)
	if err != nil {
		return nil, err
	}
	e := &entry{Module: *m}
	e.Module.Wasm = meter.Mark(m.Skeleton, markName, []byte(key))
	e.Module.Skeleton = nil
	if e.CodeSum, err = sumOfCode(from); err != nil {
		return nil, err
	}
	skeleton, err := b.compile(ctx, e.Module.Wasm)
	if err != nil {
		return nil, err
	}
	e.Code = filepath.Base(skeleton)
	e.flatten()
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
type building struct{ dir string }

func (c *cache) begin() (*building, error) {
	dir, err := os.MkdirTemp(c.dir, buildPrefix+"*")
	return &building{dir: dir}, err
}

// end removes what is left.
func (b *building) end() {
	// What can't be removed now is, some day, by clean.
	_ = os.RemoveAll(b.dir)
}

// place returns a directory of its own for each thing that is made.
func (b *building) place() (string, error) { return os.MkdirTemp(b.dir, "") }

// compile compiles a module here and returns the file with its code.
func (b *building) compile(ctx context.Context, wasm []byte) (string, error) {
	dir, err := b.place()
	if err != nil {
		return "", err
	}
	return compileInto(ctx, dir, wasm)
}

// compileApart compiles a module in a process that command starts, if there is
// one, and else here.
func (b *building) compileApart(ctx context.Context, command []string, wasm []byte, low bool) (string, error) {
	if len(command) == 0 {
		return b.compile(ctx, wasm)
	}
	dir, err := b.place()
	if err != nil {
		return "", err
	}
	return compileApart(ctx, command, dir, wasm, low)
}
