package replays

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
)

// DefaultMaxBytes is what Options.MaxBytes is when it is 0.
const DefaultMaxBytes = 64 << 20

const (
	maxQueued      = 64       // recordings on their way to the disk
	maxQueuedBytes = 32 << 20 // of them all, not yet encoded

	// blockBytes is what a file takes at least.
	blockBytes = 4 << 10

	suffix = ".json"
)

// Options configure a Directory.
type Options struct {
	Dir        string        // made if it does not exist; required
	MaxBytes   int64         // of all recordings, 4 KiB each at least; 0 means 64 MiB
	MaxAge     time.Duration // after which a recording is removed; 0: only for want of room
	Sample     float64       // the share of the invocations that ended ok to keep, 0 to 1
	Logger     hclog.Logger  // nil: silent
	Registerer prometheus.Registerer
}

// check returns everything that is wrong with the options.
func (o Options) check() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("no directory for recordings"))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxBytes is %d; it can't be negative", o.MaxBytes))
	}
	if o.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("MaxAge is %v; it can't be negative", o.MaxAge))
	}
	if !(o.Sample >= 0 && o.Sample <= 1) {
		errs = append(errs, fmt.Errorf("a Sample of %v; it is a share, from 0 to 1", o.Sample))
	}
	return errors.Join(errs...)
}

// ErrNotFound says that there is no such recording (any more).
var ErrNotFound = errors.New("no such recording")

// Entry is one kept recording.
type Entry struct {
	apps.RecordingHead
	Bytes int64 `json:"bytes"` // of its file
}

// Directory keeps recordings. It owns its goroutine and, while it is open, the
// files in its directory that are named as recordings; Close ends it. All
// methods are safe for concurrent use.
type Directory struct {
	o       Options
	log     hclog.Logger
	metrics *metrics

	queue   chan *apps.Recording // when full, or with maxQueuedBytes in it, what comes is dropped
	closing chan struct{}        // closed by Close
	known   chan struct{}        // closed when the files of an earlier host are in entries
	done    chan struct{}        // closed when the goroutine has ended
	failing bool                 // the last write failed; only the goroutine uses it

	mu      sync.Mutex // guards what follows; never held while files are read or written
	closed  bool
	queued  int64            // bytes in queue
	entries []Entry          // oldest first
	total   int64            // what they take
	byApp   map[string]int64 // of it
}

var _ apps.Keeper = (*Directory)(nil)

// Open opens a directory of recordings. It returns at once: what an earlier host
// left there is looked through meanwhile.
func Open(o Options) (*Directory, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for recordings: %w", err)
	}
	files, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the directory of recordings: %w", err)
	}
	d := &Directory{
		o: o, log: o.Logger, metrics: newMetrics(),
		queue: make(chan *apps.Recording, maxQueued), closing: make(chan struct{}),
		known: make(chan struct{}), done: make(chan struct{}), byApp: map[string]int64{},
	}
	if err := d.metrics.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("registering metrics of recordings: %w", err)
	}
	go d.run(files) // ends after Close, which waits for done
	return d, nil
}

// Wants reports whether an invocation that ended so is to be kept: each that
// failed, and of the others a share by chance.
func (d *Directory) Wants(o plugins.Outcome) bool {
	return o != plugins.OK || d.o.Sample > 0 && rand.Float64() < d.o.Sample
}

// Keep takes a recording to be written, unless it is overlong or the queue is
// full, and reports whether it has. It does not wait.
func (d *Directory) Keep(r *apps.Recording) bool {
	if r.Overlong {
		d.metrics.counted(tooLong)
		d.log.Debug("an invocation's recording is not kept: it is too long", "app", r.App, "invocation", r.Invocation, "most_bytes", apps.MaxRecordedBytes)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if size := heldBytes(r); !d.closed && d.queued+size <= maxQueuedBytes {
		select {
		case d.queue <- r:
			d.queued += size
			return true
		default:
		}
	}
	d.metrics.counted(dropped)
	return false
}

// heldBytes is what a recording takes in the queue, roughly.
func heldBytes(r *apps.Recording) int64 {
	n := int64(blockBytes + len(r.Payload) + len(r.Answers))
	for _, o := range r.Outputs {
		n += int64(len(o.Data))
	}
	return n
}

// List returns the newest recordings, newest first, at most limit of them: an
// app's, or all if app is empty.
func (d *Directory) List(ctx context.Context, app string, limit int) ([]Entry, error) {
	select {
	case <-d.known:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []Entry{}
	for _, e := range slices.Backward(d.entries) {
		if len(list) == limit {
			break
		}
		if e.App != unknown && (app == "" || e.App == app) {
			list = append(list, e)
		}
	}
	return list, nil
}

// invocationID is how invocations are named.
var invocationID = regexp.MustCompile(`^i_[0-9a-hjkmnp-tv-z]{26}$`)

// Read returns a recording's file, or ErrNotFound.
func (d *Directory) Read(invocation string) ([]byte, error) {
	if !invocationID.MatchString(invocation) {
		return nil, ErrNotFound
	}
	b, err := os.ReadFile(d.path(invocation))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	return b, err
}

func (d *Directory) path(invocation string) string {
	return filepath.Join(d.o.Dir, invocation+suffix)
}

// Close takes no more recordings and waits until those in the queue are
// written, or ctx ends. Wants and Keep may still be called.
func (d *Directory) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.closing)
	}
	d.mu.Unlock()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run owns the files: it finds those of an earlier host, and then writes and
// removes.
func (d *Directory) run(files []os.DirEntry) {
	defer close(d.done)
	defer d.metrics.unregister()
	d.find(files)
	d.tidy()
	close(d.known)
	var aged <-chan time.Time
	if d.o.MaxAge > 0 {
		t := time.NewTicker(min(max(d.o.MaxAge/20, time.Second), time.Hour))
		defer t.Stop()
		aged = t.C
	}
	for {
		select {
		case r := <-d.queue:
			d.write(r)
		case <-aged:
			d.tidy()
		case <-d.closing:
			for len(d.queue) > 0 { // nothing is added any more
				d.write(<-d.queue)
			}
			return
		}
	}
}

// find takes over the recordings of an earlier host, and removes what it had
// begun to write.
func (d *Directory) find(files []os.DirEntry) {
	for _, f := range files { // by name, and so by age
		path := filepath.Join(d.o.Dir, f.Name())
		if id, ok := strings.CutSuffix(f.Name(), unfinished); ok && invocationID.MatchString(id) {
			_ = os.Remove(path) // one that can't be removed is tried again at the next start
		}
		id, ok := strings.CutSuffix(f.Name(), suffix)
		if !ok || !invocationID.MatchString(id) {
			continue
		}
		e, err := readEntry(path)
		if err != nil {
			d.log.Warn("a recording can't be read; it is left, counted and not listed", "file", path, "error", err)
			e = Entry{apps.RecordingHead{Invocation: id, App: unknown}, e.Bytes}
		}
		d.add(e)
	}
}

// unknown is the app of a recording that can't be read. None has such a name.
const unknown = ""

func readEntry(path string) (e Entry, err error) {
	f, err := os.Open(path)
	if err != nil {
		return e, err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	if err != nil {
		return e, err
	}
	e.Bytes = info.Size()
	e.RecordingHead, err = apps.ReadRecordingHead(f)
	return e, err
}

func (d *Directory) add(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Invocations end in another order than they begin.
	i, _ := slices.BinarySearchFunc(d.entries, e, func(a, b Entry) int { return strings.Compare(a.Invocation, b.Invocation) })
	d.entries = slices.Insert(d.entries, i, e)
	d.count(e.App, takes(e))
}

// count adds to what an app's recordings take.
func (d *Directory) count(app string, bytes int64) {
	d.total += bytes
	if d.byApp[app] += bytes; d.byApp[app] == 0 {
		delete(d.byApp, app)
	}
	d.metrics.bytes.Set(float64(d.total))
}

// takes is what an entry counts for Options.MaxBytes.
func takes(e Entry) int64 { return max(e.Bytes, blockBytes) }

// write puts a recording on the disk and makes room for it.
func (d *Directory) write(r *apps.Recording) {
	d.mu.Lock()
	d.queued -= heldBytes(r)
	d.mu.Unlock()
	file, err := r.Encode()
	if err == nil && int64(len(file)) > d.o.MaxBytes {
		d.metrics.counted(tooLong)
		return
	}
	if err == nil {
		err = d.put(r.Invocation, file)
	}
	if err != nil {
		d.metrics.counted(failed)
		if !d.failing { // once for all that follow
			d.log.Error("an invocation's recording can't be kept", "app", r.App, "invocation", r.Invocation, "error", err)
		}
		d.failing = true
		return
	}
	d.failing = false
	d.metrics.counted(kept)
	d.add(Entry{r.Head(), int64(len(file))})
	d.tidy()
}

// unfinished is at the end of the name of a file that is being written.
const unfinished = ".part"

func (d *Directory) put(invocation string, file []byte) error {
	part := filepath.Join(d.o.Dir, invocation+unfinished)
	err := os.WriteFile(part, file, 0o600)
	if err == nil {
		err = os.Rename(part, d.path(invocation))
	}
	if err != nil {
		_ = os.Remove(part) // err says more
	}
	return err
}

// tidy removes what there is no room for, or is too old.
func (d *Directory) tidy() {
	for _, e := range d.excess(time.Now()) {
		if err := os.Remove(d.path(e.Invocation)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Error("a recording can't be removed", "invocation", e.Invocation, "error", err)
			continue
		}
		d.metrics.removed.Inc()
	}
}

// excess takes the entries out of the list that are to be removed.
func (d *Directory) excess(now time.Time) (out []Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	drop := func(i int) {
		e := d.entries[i]
		d.entries = slices.Delete(d.entries, i, i+1)
		d.count(e.App, -takes(e))
		out = append(out, e)
	}
	for d.o.MaxAge > 0 && len(d.entries) > 0 && now.Sub(began(d.entries[0])) >= d.o.MaxAge {
		drop(0)
	}
	for d.total > d.o.MaxBytes {
		most, bytes := "", int64(0)
		for app, n := range d.byApp {
			if n > bytes || n == bytes && app < most {
				most, bytes = app, n
			}
		}
		drop(slices.IndexFunc(d.entries, func(e Entry) bool { return e.App == most }))
	}
	return out
}

// began is when an entry's invocation did, by its name.
func began(e Entry) time.Time {
	id, err := ulid.ParseStrict(strings.ToUpper(strings.TrimPrefix(e.Invocation, "i_")))
	if err != nil {
		return time.Time{} // its name would not have been taken for a recording's
	}
	return ulid.Time(id.Time())
}
