package blocks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what is checked and how.
type Options struct {
	Dir string // the server's StoreDir

	// Stopped is what Stopped returned after the server was stopped in order; nil
	// when it was not. It makes sure that index.db is what the server wrote last:
	// what it lists and the blocks don't have is then missing.
	Stopped map[string]Stop

	// Valid reports whether a message that has its checksum can be what it is
	// named; nil: all can. It is called from several goroutines.
	Valid func(Record) bool
}

// Report is what a check found, by stream.
type Report struct {
	Streams []Stream
	Took    time.Duration
}

// Damage returns all that is damaged.
func (r Report) Damage() []Damage {
	var all []Damage
	for _, s := range r.Streams {
		all = append(all, s.Damage...)
	}
	return all
}

// Bytes returns how much was read.
func (r Report) Bytes() int64 {
	var n int64
	for _, s := range r.Streams {
		n += s.Bytes
	}
	return n
}

// Stream is what a check found of one stream.
type Stream struct {
	Name     string
	Messages int   // that can be read, those included that were deleted since
	Bytes    int64 // of its blocks
	Damage   []Damage
	Tail     *Tail // what an unclean stop left; nil: nothing

	// Lost are the subjects of which messages are missing, and how many, where
	// index.db tells: it was current, which LostKnown says.
	Lost      map[string]uint64
	LostKnown bool

	// Stale are files that are wrong but hold nothing that is not kept
	// elsewhere, with what is wrong: they are made anew.
	Stale []Stale

	dir    string
	last   uint64 // the highest sequence that anything names
	blocks []*blockFile
	index  *index
}

// Damage is a place of a stream that can't be read.
type Damage struct {
	Stream string
	File   string // relative to Options.Dir
	Offset int64  // in the file; with Missing where it ends
	Bytes  int64  // how many can't be read

	// First and Last are the sequences of which one or more were here; 0: not
	// known. With the stream's LostKnown 0 is: none, they were deleted.
	First, Last uint64

	// Subject is as it was read: it may be what is damaged. Empty: unreadable.
	Subject string

	Before, After int    // records of the file, before and after, that can be read
	Missing       bool   // the file is gone, or ends too early
	Mended        bool   // only the length is damaged: nothing is lost
	Why           string // for example "the record's checksum does not match"
}

// Tail is what a write that was cut short left at the end of a stream: it was
// never acknowledged, and the server cuts it off.
type Tail struct {
	File          string
	Offset, Bytes int64
}

// Stale is a file that is wrong and is made anew from others.
type Stale struct{ File, Why string }

// blockFile is a block while it is checked.
type blockFile struct {
	path   string
	number uint32
	size   int64

	records  int      // sound ones
	messages int      // of them
	held     []uint64 // the sequences of the messages, rising
	last     uint64   // the highest sequence, deletions included
	time     int64    // of the last sound record
	end      [sumBytes]byte
	bad      []badPlace
	tail     bool  // the last of bad may be what an unclean stop left
	unread   int64 // bytes that the disk did not give
	unreadBy error
}

// badPlace is a stretch of a block, and what is around it.
type badPlace struct {
	stretch
	subject     string // as read
	before      int    // sound records
	prior, next uint64 // the sequences of the nearest messages in the block; 0: none
	damage      int    // its place in the stream's Damage
}

// Check reads through the streams in dir. The error says what could not be
// opened at all; what is wrong with what could is in the Report.
//
// Two blocks are read at a time, each of them whole: that is what bounds its
// memory.
func Check(ctx context.Context, o Options) (Report, error) {
	began := time.Now()
	streams, err := list(o.Dir)
	if err != nil {
		return Report{}, err
	}
	type job struct {
		stream string
		file   *blockFile
	}
	jobs := make(chan job)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup // waited for below
	var largest int64
	for _, s := range streams {
		for _, f := range s.blocks {
			largest = max(largest, f.size)
		}
	}
	for range 2 {
		workers.Go(func() {
			buf := make([]byte, largest)
			for j := range jobs {
				if ctx.Err() != nil {
					continue
				}
				if err := j.file.check(j.stream, buf, o.Valid); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, s := range streams {
		for _, f := range s.blocks {
			jobs <- job{s.Name, f}
		}
	}
	close(jobs)
	workers.Wait()
	if ctx.Err() != nil {
		return Report{}, context.Cause(ctx)
	}
	r := Report{Streams: make([]Stream, len(streams))}
	for i, s := range streams {
		if err := s.conclude(o); err != nil {
			return Report{}, err
		}
		r.Streams[i] = *s
	}
	for name := range o.Stopped {
		if slices.ContainsFunc(streams, func(s *Stream) bool { return s.Name == name }) {
			continue
		}
		folder := filepath.Join("jetstream", "$G", "streams", name)
		r.Streams = append(r.Streams, Stream{Name: name, dir: filepath.Join(o.Dir, folder), Damage: []Damage{{
			Stream: name, File: folder, Missing: true, Why: "the stream's folder is gone",
		}}})
	}
	slices.SortFunc(r.Streams, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	r.Took = time.Since(began)
	return r, nil
}

// The names of files.
const (
	nameMeta    = "meta.inf"
	nameMetaSum = "meta.sum"
	nameKey     = "meta.key"
	nameIndex   = "index.db"
	nameExpiry  = "thw.db"
	dirMessages = "msgs"
	dirPurge    = "__new_msgs__"
)

// list finds the streams and their blocks.
func list(dir string) ([]*Stream, error) {
	root := filepath.Join(dir, "jetstream", "$G", "streams")
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var streams []*Stream
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") { // a stream that was being removed
			continue
		}
		s := &Stream{Name: e.Name(), dir: filepath.Join(root, e.Name())}
		if err := s.list(); err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// list finds the stream's blocks, by number.
func (s *Stream) list() error {
	msgs := filepath.Join(s.dir, dirMessages)
	// All of the stream was being removed, and was so once this has a block.
	if found, err := filepath.Glob(filepath.Join(s.dir, dirPurge, "*.blk")); err == nil && len(found) > 0 {
		msgs = filepath.Join(s.dir, dirPurge)
	}
	entries, err := os.ReadDir(msgs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".blk")
		number, err := strconv.ParseUint(name, 10, 32)
		if !ok || err != nil || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.blocks = append(s.blocks, &blockFile{path: filepath.Join(msgs, e.Name()), number: uint32(number), size: info.Size()})
		s.Bytes += info.Size()
	}
	slices.SortFunc(s.blocks, func(a, b *blockFile) int { return cmp.Compare(a.number, b.number) })
	return nil
}

// check reads the block into buf, which is long enough.
func (f *blockFile) check(stream string, buf []byte, valid func(Record) bool) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	buf = buf[:f.size]
	if f.unread, f.unreadBy, err = readAll(file, buf); err != nil {
		return fmt.Errorf("reading %s: %w", f.path, err)
	}
	f.scan(newBlock(stream, f.number, buf, valid))
	return nil
}

// scan notes what is in the block.
func (f *blockFile) scan(b *block) {
	b.scan(func(r Record) {
		f.records++
		f.last = max(f.last, r.Sequence)
		f.time = r.Time
		if !r.message() {
			return
		}
		f.messages++
		if n := len(f.held); n > 0 && r.Sequence <= f.held[n-1] {
			return // it was written twice; the server takes the first
		}
		f.held = append(f.held, r.Sequence)
		for i := len(f.bad) - 1; i >= 0 && f.bad[i].next == 0; i-- {
			f.bad[i].next = r.Sequence
		}
	}, func(s stretch) {
		f.tail = b.unfinished(s)
		p := badPlace{stretch: s, before: f.records, subject: string(s.read.Subject)}
		if n := len(f.held); n > 0 {
			p.prior = f.held[n-1]
		}
		f.bad = append(f.bad, p)
		if s.mended {
			f.last = max(f.last, s.read.Sequence)
		}
	})
	copy(f.end[:], b.buf[max(0, len(b.buf)-sumBytes):])
}

// bytes returns what the disk can give of the block.
func (f *blockFile) bytes() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	buf := make([]byte, f.size)
	_, _, err = readAll(file, buf)
	return buf, err
}

// readAll fills buf. What the disk can't give is left zero: how many bytes, and
// why, is returned.
func readAll(file io.ReaderAt, buf []byte) (unread int64, by, err error) {
	n, err := file.ReadAt(buf, 0)
	if n == len(buf) {
		return 0, nil, nil
	}
	if errors.Is(err, io.EOF) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	const sector = 4096
	for at := n / sector * sector; at < len(buf); at += sector {
		part := buf[at:min(at+sector, len(buf))]
		if n, err := file.ReadAt(part, int64(at)); n < len(part) {
			clear(part)
			unread, by = unread+int64(len(part)), err
		}
	}
	return unread, by, nil
}

// conclude puts together what its blocks and its other files say.
func (s *Stream) conclude(o Options) error {
	relative := func(path string) string {
		if r, err := filepath.Rel(o.Dir, path); err == nil {
			return r
		}
		return path
	}
	var end *blockFile // the last with anything in it
	for _, f := range s.blocks {
		s.Messages += f.messages
		s.last = max(s.last, f.last)
		if f.size > 0 {
			end = f
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, nameKey)); err == nil {
		return fmt.Errorf("stream %s in %s is encrypted: it is not of this host", s.Name, s.dir)
	}
	s.checkMeta(relative)

	path := filepath.Join(s.dir, dirMessages, nameIndex)
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.Stale = append(s.Stale, Stale{relative(path), err.Error()})
	default:
		x, err := readIndex(s.Name, raw, false)
		if err != nil {
			s.Stale = append(s.Stale, Stale{relative(path), err.Error()})
			break
		}
		s.index = &x
	}
	current := s.index != nil && o.Stopped[s.Name].Index == sumOf(raw)
	for _, f := range s.blocks {
		for i := range f.bad {
			b := &f.bad[i]
			if f == end && i == len(f.bad)-1 && f.tail {
				s.Tail = &Tail{File: relative(f.path), Offset: int64(b.from), Bytes: int64(b.to - b.from)}
				f.bad = f.bad[:i]
				break
			}
			d := Damage{
				Stream: s.Name, File: relative(f.path), Offset: int64(b.from), Bytes: int64(b.to - b.from),
				Subject: b.subject, Before: b.before, After: f.records - b.before, Mended: b.mended, Why: b.fault.String(),
			}
			if f.unread > 0 {
				d.Why += fmt.Sprintf(" (the disk could not read %d bytes of the file: %v)", f.unread, f.unreadBy)
			}
			own := b.read.Sequence
			between := own > b.prior && (b.next == 0 || own < b.next) && (b.next != 0 || s.index != nil && own <= s.index.last || own == b.prior+1)
			switch {
			case b.mended, between && b.read.Bytes == b.to-b.from:
				d.First, d.Last = own, own
			case b.prior > 0 && b.next > b.prior+1:
				d.First, d.Last = b.prior+1, b.next-1
			}
			s.last = max(s.last, d.Last)
			b.damage = len(s.Damage)
			s.Damage = append(s.Damage, d)
		}
	}
	if s.index != nil {
		s.compare(current, relative)
	}
	if len(s.Damage) > 0 && current {
		if err := s.findLost(raw, o.Valid); err != nil {
			return err
		}
	}
	return nil
}

// checkMeta compares the configuration with its checksum. The host brings its
// own configuration, so that a damaged one loses nothing.
func (s *Stream) checkMeta(relative func(string) string) {
	path := filepath.Join(s.dir, nameMeta)
	stale := func(why string) { s.Stale = append(s.Stale, Stale{relative(path), why}) }
	meta, err := os.ReadFile(path)
	if err != nil {
		stale(err.Error())
		return
	}
	sum, err := os.ReadFile(filepath.Join(s.dir, nameMetaSum))
	if err != nil {
		stale(err.Error())
		return
	}
	h := newHash(s.Name)
	h.Write(meta)
	if hex.EncodeToString(h.Sum(nil)) != string(bytes.TrimSpace(sum)) || !json.Valid(meta) {
		stale(nameMetaSum + " is not its checksum")
	}
}

// compare finds what index.db knows and the blocks don't have.
func (s *Stream) compare(current bool, relative func(string) string) {
	files := map[uint32]*blockFile{}
	for _, f := range s.blocks {
		files[f.number] = f
	}
	missing := func(f *blockFile, number uint32, first, last uint64, why string) {
		d := Damage{Stream: s.Name, First: first, Last: last, Missing: true, Why: why}
		if f != nil {
			d.File, d.Offset, d.Before = relative(f.path), f.size, f.records
		} else {
			d.File = relative(filepath.Join(s.dir, dirMessages, fmt.Sprintf("%d.blk", number)))
		}
		s.Damage = append(s.Damage, d)
		s.last = max(s.last, last)
	}
	for _, x := range s.index.blocks {
		f := files[x.number]
		switch {
		case x.messages() == 0:
		case f != nil && f.size == 0: // the server removes a file, it never empties one
			missing(f, x.number, x.first, x.last, "the file is empty")
		case !current: // anything else may have been removed since
		case f == nil:
			missing(nil, x.number, x.first, x.last, "the file is gone")
		default:
			s.compareBlock(f, x, missing)
		}
	}
	n := len(s.blocks)
	if s.last >= s.index.last {
		if current && len(s.Damage) == 0 && !s.index.ends(s.blocks) {
			f := s.blocks[n-1]
			missing(f, f.number, 0, 0, "the file does not end as it did when the host stopped")
		}
		return
	}
	// Sequences never go back, however old index.db is.
	if n == 0 || s.blocks[n-1].number < s.index.number {
		missing(nil, s.index.number, s.last+1, s.index.last, "the file is gone")
		return
	}
	f := s.blocks[n-1]
	if k := len(f.bad) - 1; k >= 0 && f.bad[k].next == 0 {
		d := &s.Damage[f.bad[k].damage]
		d.First, d.Last = s.last+1, s.index.last
		s.last = s.index.last
		return
	}
	missing(f, f.number, s.last+1, s.index.last, "the file ends too early")
}

// compareBlock finds the messages that index.db, which is current, has in a
// block and the block has not.
func (s *Stream) compareBlock(f *blockFile, x indexed, missing func(*blockFile, uint32, uint64, uint64, string)) {
	var gone []uint64
	i := 0
	x.live(func(sequence uint64) {
		for i < len(f.held) && f.held[i] < sequence {
			i++
		}
		if i == len(f.held) || f.held[i] != sequence {
			gone = append(gone, sequence)
		}
	})
	// Those of damaged places make these exact: first where the record still
	// says its own, then what is left to where it must have been.
	take := func(from, to uint64) (here []uint64) {
		gone = slices.DeleteFunc(gone, func(sequence uint64) bool {
			in := sequence >= from && sequence <= to
			if in {
				here = append(here, sequence)
			}
			return in
		})
		return here
	}
	var unsure []badPlace
	for _, b := range f.bad {
		if d := &s.Damage[b.damage]; d.First == 0 || d.First != d.Last {
			unsure = append(unsure, b)
		} else if len(take(d.First, d.Last)) == 0 {
			unsure = append(unsure, b)
		}
	}
	for _, b := range unsure {
		d := &s.Damage[b.damage]
		d.First, d.Last = 0, 0
		if here := take(b.prior+1, b.next-1); len(here) > 0 {
			d.First, d.Last = here[0], here[len(here)-1]
		}
	}
	for _, b := range f.bad {
		s.last = max(s.last, s.Damage[b.damage].Last)
	}
	for len(gone) > 0 {
		n := 1
		for n < len(gone) && gone[n] == gone[n-1]+1 {
			n++
		}
		missing(f, f.number, gone[0], gone[n-1], "records are missing")
		gone = gone[n:]
	}
}

// findLost counts what is left under each subject and compares it with
// index.db, which is current.
func (s *Stream) findLost(raw []byte, valid func(Record) bool) error {
	x, err := readIndex(s.Name, raw, true)
	if err != nil {
		return err
	}
	live := map[uint32]indexed{}
	for _, b := range x.blocks {
		live[b.number] = b
	}
	for _, f := range s.blocks {
		in, ok := live[f.number]
		if !ok {
			continue
		}
		buf, err := f.bytes()
		if err != nil {
			return err
		}
		count := func(r Record) {
			if r.message() && r.Sequence >= in.first && (in.deleted == nil || !in.deleted.Exists(r.Sequence)) {
				if n := x.subjects[string(r.Subject)]; n > 0 {
					x.subjects[string(r.Subject)] = n - 1
				}
			}
		}
		newBlock(s.Name, f.number, buf, valid).scan(count, func(b stretch) {
			if b.mended {
				count(b.read)
			}
		})
	}
	s.Lost, s.LostKnown = map[string]uint64{}, true
	for subject, n := range x.subjects {
		if n > 0 {
			s.Lost[subject] = n
		}
	}
	return nil
}
