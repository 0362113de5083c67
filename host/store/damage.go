package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/store/internal/blocks"
	"github.com/hashicorp/go-hclog"
)

// Damage is a place in the store's files that can't be read.
type Damage struct {
	Stream string
	File   string // relative to the data directory
	Offset int64  // in File, in bytes; where it ends when Missing
	Bytes  int64  // how many can't be read
	Why    string

	// First and Last are the sequences in the stream between which messages were
	// here; 0: not known, or none.
	First, Last uint64

	// Key is what the place holds, as it was read there: it may be what is
	// damaged. Empty: not even that can be read.
	Key string

	Before, After int  // records of the file, before and after, that can be read
	Missing       bool // the file is gone, empty, or ends too early
	Mended        bool // nothing is lost: only a length is damaged
}

// DamageError says that the store's files are damaged, and that nothing was
// done about it yet.
type DamageError struct {
	Dir    string
	Damage []Damage

	// Lost are the keys of which messages are missing, as far as they are known.
	// All says that they are all known: there are no others.
	Lost []string
	All  bool

	// Readable is how many messages of each stream can be read.
	Readable map[string]int
}

// damageShown bounds the places and keys of an error's text; the log has all.
const damageShown = 20

// Error lists what is damaged, what is lost with it, what is not, and what to
// do.
func (e *DamageError) Error() string {
	var b strings.Builder
	places := "1 place"
	if n := len(e.Damage); n > 1 {
		places = fmt.Sprintf("%d places", n)
	}
	fmt.Fprintf(&b, "the store is damaged in %s; nothing was changed:", places)
	for i, d := range e.Damage {
		if i == damageShown {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Damage)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s", d)
	}
	switch {
	case e.All && len(e.Lost) == 0:
		b.WriteString("\nNo message is lost.")
	case e.All:
		b.WriteString("\nLost, and nothing else:")
	case len(e.Lost) > 0:
		b.WriteString("\nLost, as far as it is known:")
	}
	for i, k := range e.Lost {
		if i == damageShown {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Lost)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s", k)
	}
	var readable []string
	for _, s := range slices.Sorted(maps.Keys(e.Readable)) {
		readable = append(readable, fmt.Sprintf("%d of %s", e.Readable[s], s))
	}
	fmt.Fprintf(&b, "\nMessages that can be read: %s.", strings.Join(readable, ", "))
	b.WriteString("\nRestore a backup of the directory, or start once with -salvage: " +
		"the damaged files are then kept in its folder \"damaged\", and all that can be read is used.")
	return b.String()
}

// String says where it is, what is wrong and what was there.
func (d Damage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stream %s, %s, byte %d", d.Stream, d.File, d.Offset)
	if d.Bytes > 0 {
		fmt.Fprintf(&b, ", %d bytes", d.Bytes)
	}
	switch {
	case d.First == 0:
	case d.First == d.Last:
		fmt.Fprintf(&b, ", sequence %d", d.First)
	default:
		fmt.Fprintf(&b, ", sequences %d to %d", d.First, d.Last)
	}
	fmt.Fprintf(&b, ": %s", d.Why)
	if d.Key != "" {
		fmt.Fprintf(&b, "; it reads as %s", d.Key)
	}
	if d.Mended {
		b.WriteString("; nothing is lost")
	}
	fmt.Fprintf(&b, "; %d records before it and %d after it can be read", d.Before, d.After)
	return b.String()
}

// prepare makes the data directory, which is locked, fit for the embedded
// server: it checks the files and, where the operator asked for it, salvages
// them. Without that the error is a *DamageError and nothing was changed.
func prepare(ctx context.Context, dir string, salvage bool, log hclog.Logger) error {
	made, err := readFormat(dir)
	if err != nil {
		return err
	}
	stopped, err := readStopped(dir)
	if err != nil {
		log.Warn("what was noted when the host stopped can't be read, and is not used", "error", err)
	}
	o := blocks.Options{Dir: dir, Stopped: stopped, Valid: validRecord}
	report, err := blocks.Check(ctx, o)
	if err != nil {
		return fmt.Errorf("checking the store's files: %w", err)
	}
	level := hclog.Debug
	if report.Took > time.Second {
		level = hclog.Info
	}
	log.Log(level, "store's files checked", "bytes", report.Bytes(), "took", report.Took.Round(time.Millisecond))
	for _, s := range report.Streams {
		if s.Tail != nil {
			log.Info("the host was stopped while it wrote; what was cut short was never acknowledged, and is let go",
				"stream", s.Name, "file", s.Tail.File, "byte", s.Tail.Offset, "bytes", s.Tail.Bytes)
		}
		for _, f := range s.Stale {
			log.Warn("a file of the store is made anew; nothing is lost by it", "stream", s.Name, "file", f.File, "reason", f.Why)
		}
	}
	keep := filepath.Join(dir, "damaged", time.Now().UTC().Format("20060102T150405.000Z"))
	if damage := damageOf(dir, report); damage != nil {
		if !salvage {
			return damage
		}
		if err := report.Salvage(o, keep); err != nil {
			return fmt.Errorf("salvaging the store in %s: %w", dir, err)
		}
		for _, d := range damage.Damage {
			log.Error("damaged", "stream", d.Stream, "file", d.File, "byte", d.Offset, "bytes", d.Bytes,
				"first", d.First, "last", d.Last, "reads_as", d.Key, "nothing_lost", d.Mended, "reason", d.Why)
		}
		for _, k := range damage.Lost {
			log.Error("lost", "key", k)
		}
		log.Warn("the store was salvaged; the files as they were are kept", "in", keep, "lost", len(damage.Lost), "all_known", damage.All)
	} else if salvage {
		log.Info("the store is not damaged, nothing was salvaged")
	}
	if err := report.Refresh(o, keep); err != nil {
		return fmt.Errorf("making files of the store in %s anew: %w", dir, err)
	}
	if err := os.Remove(filepath.Join(dir, nameStopped)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if made == formatCurrent {
		return nil
	}
	if made != 0 {
		log.Info("the store is of an older format, and of the current one from now on", "format", made, "current", formatCurrent)
	}
	return writeFormat(dir)
}

// damageOf returns what is damaged, nil when nothing is.
func damageOf(dir string, r blocks.Report) *DamageError {
	e := &DamageError{Dir: dir, All: true, Readable: map[string]int{}}
	for _, s := range r.Streams {
		e.Readable[s.Name] = s.Messages
		if len(s.Damage) == 0 {
			continue
		}
		for _, d := range s.Damage {
			e.Damage = append(e.Damage, Damage{
				Stream: d.Stream, File: d.File, Offset: d.Offset, Bytes: d.Bytes, Why: d.Why, First: d.First, Last: d.Last,
				Key: describeKey(d.Subject), Before: d.Before, After: d.After, Missing: d.Missing, Mended: d.Mended,
			})
			if !s.LostKnown && !d.Mended && d.Subject != "" {
				e.Lost = append(e.Lost, describeKey(d.Subject))
			}
		}
		e.All = e.All && s.LostKnown
		for _, subject := range slices.Sorted(maps.Keys(s.Lost)) {
			e.Lost = append(e.Lost, describeKey(subject))
		}
	}
	if len(e.Damage) == 0 {
		return nil
	}
	return e
}

// validRecord reports whether a message can be what its subject says: all but a
// part of a large conversation is a JSON object, or a mark without a body.
func validRecord(r blocks.Record) bool {
	if len(r.Body) == 0 || r.Body[0] == '{' {
		return true
	}
	return strings.HasPrefix(string(r.Subject), "part.")
}

// describeKey says what a subject holds, in an operator's words where it is
// what this host writes, with the subject; nothing of an empty one.
func describeKey(subject string) string {
	tokens := strings.Split(subject, ".")
	what := ""
	if session, id, ok := parseOpenSubject(subject); ok {
		what = "a part of open conversation " + id
		if session != "" {
			what += ", session " + session
		}
	} else if uid, id, ok := parseConversationSubject(subject); ok {
		what = fmt.Sprintf("completed conversation %s of user %q", id, uid)
	} else if app, id, ok := parseJobSubject(subject); ok {
		what = fmt.Sprintf("the job of app %q on conversation %s", app, id)
	} else if app, ok := parseJobResultSubject(subject); ok {
		what = fmt.Sprintf("the result of app %q on conversation %s", app, tokens[1])
	} else if tokens[0] == "result" && len(tokens) == 3 {
		what = "a result on conversation " + tokens[1]
	} else if uid, ok := parseMemorySubject(subject); ok {
		what = fmt.Sprintf("memories of user %q", uid)
	} else if app, uid, ok := parseValuesSubject(subject); ok {
		what = fmt.Sprintf("what app %q keeps for user %q", app, uid)
	} else if tokens[0] == "part" && len(tokens) == 4 {
		what = "a piece of completed conversation " + tokens[1]
	} else {
		return subject
	}
	return what + " (" + subject + ")"
}
