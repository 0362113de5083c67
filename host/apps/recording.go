package apps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// MaxRecordedBytes bounds what a recording holds of an invocation: its event,
// settings, the host's answers, outputs and log. Of longer ones there is none.
const MaxRecordedBytes = 8 << 20

// MaxRecordingFile bounds a recording's file: text is escaped there, and takes
// twice as much at most.
const MaxRecordingFile = 4 * MaxRecordedBytes

const (
	maxAnswerBytes = 4 << 20 // more than a million readings of a clock

	recordingFormat = 1
)

// Recording is one invocation: all that its course depended on besides the
// module itself, and what came of it. Replay runs it again. It holds what a
// person said.
type Recording struct {
	Invocation                 string // its id, as Invocation.ID
	App, Version               string // the app's name with its operator, and its manifest's version
	Module                     string // the SHA-256 of the binary, in hex
	Kind                       event.Kind
	UID, Session, Conversation string
	At                         time.Time
	Payload                    []byte // as event_read gave it
	Restarted                  bool   // the event says that the state is lost
	Settings                   []byte // as settings_read gave them
	Limits                     plugins.Limits
	MemoryLimit                int64
	State                      event.State

	// Continued says that the app's memory held what earlier events of the
	// session had left. That is not recorded: such an invocation can't be
	// replayed, only tried again on fresh state.
	Continued bool

	Answers []byte // the host's, as plugins.Tape.Bytes gives them

	// Overlong says that there was more to record than MaxRecordedBytes, so that
	// Payload, Answers, Outputs and Log are missing.
	Overlong bool

	Outcome     plugins.Outcome
	Err         string
	Stack       []string
	Fuel        uint64
	Wall        time.Duration
	MemoryBytes int64
	Outputs     []RecordedOutput
	Log         []LogLine
	LogCut      int
}

// RecordingHead is what a list of recordings tells of one.
type RecordingHead struct {
	Invocation   string          `json:"invocation"`
	At           time.Time       `json:"at"`
	App          string          `json:"app"`
	Version      string          `json:"version"`
	Kind         string          `json:"event"`
	UID          string          `json:"uid"`
	Session      string          `json:"session"`
	Conversation string          `json:"conversation"`
	Outcome      plugins.Outcome `json:"outcome"`
}

// Head returns the recording's head.
func (r *Recording) Head() RecordingHead {
	return RecordingHead{
		Invocation: r.Invocation, At: r.At.UTC().Round(0), App: r.App, Version: r.Version, Kind: r.Kind.String(),
		UID: r.UID, Session: r.Session, Conversation: r.Conversation, Outcome: r.Outcome,
	}
}

// maxRecordingHead bounds what is read of a file for its head.
const maxRecordingHead = 16 << 10

// ReadRecordingHead returns the head of a recording's file, of which it reads
// the beginning only; that the rest is whole, DecodeRecording tells.
func ReadRecordingHead(file io.Reader) (h RecordingHead, err error) {
	fields := map[string]any{
		"invocation": &h.Invocation, "at": &h.At, "app": &h.App, "version": &h.Version, "event": &h.Kind,
		"uid": &h.UID, "session": &h.Session, "conversation": &h.Conversation, "outcome": &h.Outcome,
	}
	d := json.NewDecoder(io.LimitReader(file, maxRecordingHead))
	if _, err := d.Token(); err != nil {
		return h, fmt.Errorf("it is no recording: %w", err)
	}
	for len(fields) > 0 && d.More() {
		name, err := d.Token()
		if err != nil {
			return h, fmt.Errorf("it is no recording, or was cut short: %w", err)
		}
		key, _ := name.(string)
		var other json.RawMessage
		into := any(&other)
		if f, ok := fields[key]; ok {
			into = f
			delete(fields, key)
		}
		if err := d.Decode(into); err != nil {
			return h, fmt.Errorf("it is no recording, or was cut short: %w", err)
		}
	}
	if len(fields) > 0 {
		return h, errors.New("it is no recording")
	}
	return h, nil
}

// RecordedOutput is an effect that an invocation had.
type RecordedOutput struct {
	Kind event.OutputKind `json:"kind"`
	Data json.RawMessage  `json:"data"`
}

// Keeper keeps recordings. Both methods are called while an invocation is on
// its way back to whoever waits for it, and must not take long.
type Keeper interface {
	// Wants reports whether an invocation that ended so is to be kept.
	Wants(plugins.Outcome) bool
	// Keep takes a recording, and reports whether it is going to be kept, under
	// its invocation's id. An Overlong one is not.
	Keep(*Recording) bool
}

// KeepRecordings has the app's invocations recorded, and k keep those that it
// wants. It must be called before the first Invoke.
func (a *App) KeepRecordings(k Keeper) { a.keeper = k }

// tapes are for invocations to be recorded on; most are never looked at.
var tapes = sync.Pool{New: func() any { return plugins.NewTape(maxAnswerBytes) }}

// recording returns what is to be kept of an invocation.
func (a *App) recording(ev Event, inv Invocation, tape *plugins.Tape) *Recording {
	sum := a.Module.SHA256()
	r := &Recording{
		Invocation: inv.ID, App: a.Name, Version: a.Manifest.Version, Module: hex.EncodeToString(sum[:]),
		Kind: ev.Kind, UID: ev.UID, Session: ev.Session, Conversation: ev.Conversation,
		At: inv.At, Restarted: inv.Restarted, Settings: a.Settings,
		Limits: a.Limits(ev.Kind), MemoryLimit: a.Module.MemoryLimit(), State: a.State(),
		Outcome: inv.Outcome, Err: inv.Err, Stack: inv.Stack, Fuel: inv.Fuel, Wall: inv.Wall, MemoryBytes: inv.MemoryBytes,
		LogCut: inv.LogCut,
	}
	size := len(ev.Payload) + len(a.Settings) + len(tape.Bytes())
	for _, o := range inv.Outputs {
		size += len(o.Data)
	}
	for _, l := range inv.Log {
		size += len(l.Text)
	}
	if r.Overlong = tape.Full() || size > MaxRecordedBytes; r.Overlong {
		return r
	}
	r.Payload, r.Answers, r.Log = bytes.Clone(ev.Payload), bytes.Clone(tape.Bytes()), inv.Log
	for _, o := range inv.Outputs {
		r.Outputs = append(r.Outputs, RecordedOutput{o.Kind, o.Data})
	}
	return r
}

// recordingBody is a recording's file.
type recordingBody struct {
	Format       int              `json:"format"` // recordingFormat
	Sum          string           `json:"sha256"` // of the file with this one empty, in hex
	App          string           `json:"app"`
	Version      string           `json:"version"`
	Module       string           `json:"module_sha256"`
	Invocation   string           `json:"invocation"`
	At           time.Time        `json:"at"`
	Kind         string           `json:"event"`
	UID          string           `json:"uid"`
	Session      string           `json:"session"`
	Conversation string           `json:"conversation"`
	Outcome      plugins.Outcome  `json:"outcome"`
	Text         *string          `json:"payload,omitempty"` // or else
	Bytes        []byte           `json:"payload_base64,omitempty"`
	Restarted    bool             `json:"restarted,omitempty"`
	Settings     string           `json:"settings"` // to the byte
	Limits       recordingLimits  `json:"limits"`
	State        event.State      `json:"state"`
	Continued    bool             `json:"continued,omitempty"`
	Answers      []byte           `json:"answers_base64"`
	Err          string           `json:"error"`
	Stack        []string         `json:"stack"`
	Fuel         uint64           `json:"fuel"`
	WallMicros   int64            `json:"wall_us"`
	MemoryBytes  int64            `json:"memory_bytes"`
	Outputs      []RecordedOutput `json:"outputs"`
	Log          []recordedLine   `json:"log"`
	LogCut       int              `json:"log_cut_bytes"`
}

type recordingLimits struct {
	Fuel        uint64 `json:"fuel"`
	WallMicros  int64  `json:"wall_us"`
	MemoryBytes int64  `json:"memory_bytes"`
}

type recordedLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Encode returns the recording's file: JSON, the same for equal recordings.
func (r *Recording) Encode() ([]byte, error) {
	if r.Overlong {
		return nil, fmt.Errorf("invocation %s has more than the %d bytes that a recording holds", r.Invocation, MaxRecordedBytes)
	}
	b := recordingBody{
		Format: recordingFormat, App: r.App, Version: r.Version, Module: r.Module, Invocation: r.Invocation, At: r.At.UTC().Round(0),
		Kind: r.Kind.String(), UID: r.UID, Session: r.Session, Conversation: r.Conversation,
		Restarted: r.Restarted, Settings: string(r.Settings),
		Limits: recordingLimits{r.Limits.Fuel, r.Limits.Wall.Microseconds(), r.MemoryLimit},
		State:  r.State, Continued: r.Continued, Answers: notNil(r.Answers),
		Outcome: r.Outcome, Err: r.Err, Stack: notNil(r.Stack), Fuel: r.Fuel, WallMicros: r.Wall.Microseconds(), MemoryBytes: r.MemoryBytes,
		Outputs: notNil(r.Outputs), Log: []recordedLine{}, LogCut: r.LogCut,
	}
	for _, l := range r.Log {
		b.Log = append(b.Log, recordedLine(l))
	}
	if text := string(r.Payload); r.Kind == event.KindAudio || !utf8.ValidString(text) {
		b.Bytes = r.Payload
	} else {
		b.Text = &text
	}
	var err error
	if b.Sum, err = b.sum(); err != nil {
		return nil, err
	}
	return b.encode()
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (b *recordingBody) encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(b); err != nil {
		return nil, fmt.Errorf("encoding the recording of %s: %w", b.Invocation, err)
	}
	return out.Bytes(), nil
}

// sum returns what Sum is to be.
func (b *recordingBody) sum() (string, error) {
	whole := *b
	whole.Sum = ""
	text, err := whole.encode()
	return hexSum(text), err
}

// DecodeRecording reads a recording's file. The error says what is wrong with
// it: cut short, damaged, of another format, or no recording at all.
func DecodeRecording(file []byte) (*Recording, error) {
	if len(file) > MaxRecordingFile {
		return nil, fmt.Errorf("a recording has at most %d MiB, this file more", MaxRecordingFile>>20)
	}
	var head struct {
		Format *int   `json:"format"`
		Sum    string `json:"sha256"`
	}
	if err := json.Unmarshal(file, &head); err != nil {
		return nil, fmt.Errorf("it is no recording, or was cut short: %w", err)
	}
	if head.Format == nil || len(head.Sum) != hex.EncodedLen(sha256.Size) {
		return nil, errors.New("it is no recording of an invocation: format and sha256 are missing")
	}
	if *head.Format != recordingFormat {
		return nil, fmt.Errorf("it is a recording of format %d; this version of auricle reads format %d", *head.Format, recordingFormat)
	}
	var b recordingBody
	if err := decodeStrict(file, &b); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if sum, err := b.sum(); err != nil || sum != b.Sum {
		return nil, errors.New("it is damaged: its content does not have its sha256")
	}
	kind, known := kindNamed(b.Kind)
	switch {
	case !known:
		return nil, fmt.Errorf("unknown event %q", printable(clip(b.Kind, 80)))
	case b.Limits.Fuel == 0 || b.Limits.WallMicros <= 0 || b.Limits.MemoryBytes <= 0:
		return nil, errors.New("its limits must be above 0")
	case (b.Text != nil) == (b.Bytes != nil):
		return nil, errors.New("it needs a payload, or else payload_base64")
	case len(b.Answers) > MaxRecordedBytes:
		return nil, fmt.Errorf("its answers have %d bytes; a recording holds at most %d", len(b.Answers), MaxRecordedBytes)
	}
	if _, err := plugins.ReadTape(b.Answers); err != nil {
		return nil, fmt.Errorf("its answers: %w", err)
	}
	r := &Recording{
		Invocation: b.Invocation, App: b.App, Version: b.Version, Module: b.Module, At: b.At,
		Kind: kind, UID: b.UID, Session: b.Session, Conversation: b.Conversation,
		Payload: b.Bytes, Restarted: b.Restarted, Settings: []byte(b.Settings),
		Limits:      plugins.Limits{Fuel: b.Limits.Fuel, Wall: time.Duration(b.Limits.WallMicros) * time.Microsecond},
		MemoryLimit: b.Limits.MemoryBytes, State: b.State, Continued: b.Continued, Answers: b.Answers,
		Outcome: b.Outcome, Err: b.Err, Stack: b.Stack, Fuel: b.Fuel, Wall: time.Duration(b.WallMicros) * time.Microsecond,
		MemoryBytes: b.MemoryBytes, Outputs: b.Outputs, LogCut: b.LogCut,
	}
	if b.Text != nil {
		r.Payload = []byte(*b.Text)
	}
	for _, l := range b.Log {
		r.Log = append(r.Log, LogLine(l))
	}
	return r, nil
}

// kindNamed returns the kind of event of that name.
func kindNamed(name string) (event.Kind, bool) {
	for k := event.KindAudio; k <= event.KindSchedule; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// Difference is one thing that came out otherwise when a recording was
// replayed.
type Difference struct{ What, Was, Is string }

// differences compares what came of an invocation with what was recorded. How
// long it took is not compared, nor the words of an error that tells it.
func (r *Recording) differences(inv Invocation) (ds []Difference) {
	differ := func(what, was, is string) {
		if was != is {
			ds = append(ds, Difference{what, was, is})
		}
	}
	differ("outcome", string(r.Outcome), string(inv.Outcome))
	differ("fuel", fmt.Sprint(r.Fuel), fmt.Sprint(inv.Fuel))
	differ("memory", fmt.Sprintf("%d bytes", r.MemoryBytes), fmt.Sprintf("%d bytes", inv.MemoryBytes))
	if r.Outcome != inv.Outcome || r.Outcome != plugins.FuelExhausted && r.Outcome != plugins.DeadlineExceeded {
		differ("error", r.Err, inv.Err)
	}
	differ("stack", strings.Join(r.Stack, ", "), strings.Join(inv.Stack, ", "))
	for i := range max(len(r.Outputs), len(inv.Outputs)) {
		was, is := "none", "none"
		if i < len(r.Outputs) {
			was = fmt.Sprintf("%s %s", r.Outputs[i].Kind, r.Outputs[i].Data)
		}
		if i < len(inv.Outputs) {
			is = fmt.Sprintf("%s %s", inv.Outputs[i].Kind, inv.Outputs[i].Data)
		}
		differ(fmt.Sprintf("output %d", i+1), was, is)
	}
	for i := range max(len(r.Log), len(inv.Log)) {
		was, is := "none", "none"
		if i < len(r.Log) {
			was = fmt.Sprintf("%s: %s", r.Log[i].Level, r.Log[i].Text)
		}
		if i < len(inv.Log) {
			is = fmt.Sprintf("%s: %s", inv.Log[i].Level, inv.Log[i].Text)
		}
		differ(fmt.Sprintf("log line %d", i+1), was, is)
	}
	differ("log", fmt.Sprintf("%d bytes cut", r.LogCut), fmt.Sprintf("%d bytes cut", inv.LogCut))
	return ds
}
