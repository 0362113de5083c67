package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
)

// appEvent is an event to call a module with.
type appEvent struct {
	Kind                       event.Kind
	UID, Session, Conversation string
	Payload                    []byte        // as the module reads it
	At                         time.Duration // in the conversation; 0 when unknown
}

// The ids of a conversation that is played to one module, unless an event
// brings its own.
const (
	runUID          = "demo"
	runSession      = "s_run"
	runConversation = "c_run"
	runCall         = "t_run"
)

// recordingEvents slices a recording into the events that a host would send
// to an app with this manifest, in their order: a transcript event for each
// segment, audio in pieces of the length that the manifest asks for, and the
// completed conversation at the end. Kinds that the manifest does not name are
// left out.
func recordingEvents(rec *recording, m *event.Manifest, started time.Time) iter.Seq2[appEvent, error] {
	return func(yield func(appEvent, error) bool) {
		kinds := m.Events.Kinds()
		next, stop := iter.Pull2(audioEvents(rec, m))
		defer stop()
		piece, err, sound := next()
		segments := rec.Segments
		if !slices.Contains(kinds, event.KindTranscript) {
			segments = nil
		}
		for sound || len(segments) > 0 {
			if err != nil {
				yield(appEvent{}, err)
				return
			}
			var ev appEvent
			if len(segments) > 0 && (!sound || seconds(segments[0].End) < piece.At) {
				s := segments[0]
				segments = segments[1:]
				if ev, err = jsonEvent(event.KindTranscript, &event.Transcript{
					Session: runSession, Conversation: runConversation, UID: runUID,
					Language: rec.Language, Segments: []event.Segment{s},
				}); err != nil {
					yield(appEvent{}, err)
					return
				}
				ev.At = seconds(s.End)
			} else {
				ev = piece
				piece, err, sound = next()
			}
			if !yield(ev, nil) {
				return
			}
		}
		if slices.Contains(kinds, event.KindConversation) {
			yield(completedEvent(rec, started))
		}
	}
}

// audioEvents cuts the recording's sound into pieces for the manifest, at the
// rate that it asks for.
func audioEvents(rec *recording, m *event.Manifest) iter.Seq2[appEvent, error] {
	return func(yield func(appEvent, error) bool) {
		if rec.Audio == nil || m.Events.Audio == nil {
			return
		}
		every := m.Events.Audio.EveryMillis
		if every == 0 {
			every = event.DefaultAudioMillis
		}
		f := rec.Audio.Format
		rate := cmp.Or(m.Events.Audio.Rate, f.Rate)
		track, err := audio.NewTrack(0, f.Rate, rate)
		if err != nil {
			yield(appEvent{}, err)
			return
		}
		pieces := track.Add("")
		buf := make([]byte, every*f.Rate/1000*f.FrameBytes())
		piece := every * rate / 1000 * audio.SampleBytes
		r := rec.Audio.Reader()
		for start, more := int64(0), true; more; {
			n, err := io.ReadFull(r, buf)
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				yield(appEvent{}, fmt.Errorf("reading the sound: %w", err))
				return
			}
			more = err == nil
			pcm, err := f.AppendMono(nil, buf[:n])
			if err != nil {
				yield(appEvent{}, fmt.Errorf("reading the sound: %w", err))
				return
			}
			track.Write(runConversation, start, pcm)
			start += int64(len(pcm) / audio.SampleBytes)
			if !more {
				track.EndConversation(runConversation)
			}
			for p, ok := pieces.Next(piece, piece); ok; p, ok = pieces.Next(piece, piece) {
				ev, err := audioEvent(&event.Audio{
					Rate: rate, Channels: 1, Start: p.Start, PCM: p.PCM,
					Session: runSession, Conversation: runConversation, UID: runUID,
				})
				if !yield(ev, err) || err != nil {
					return
				}
			}
		}
	}
}

func audioEvent(a *event.Audio) (appEvent, error) {
	payload, err := a.AppendBinary(nil)
	return appEvent{
		Kind: event.KindAudio, UID: a.UID, Session: a.Session, Conversation: a.Conversation, Payload: payload,
		At: time.Duration(float64(a.Start)/float64(a.Rate)*float64(time.Second)) + a.Duration(),
	}, err
}

// jsonEvent makes an event with the ids of a run.
func jsonEvent(k event.Kind, payload any) (appEvent, error) {
	b, err := json.Marshal(payload)
	return appEvent{Kind: k, UID: runUID, Session: runSession, Conversation: runConversation, Payload: b}, err
}

// completedEvent is the completed conversation that a recording makes.
func completedEvent(rec *recording, started time.Time) (appEvent, error) {
	c := event.Conversation{
		ID: runConversation, Session: runSession, UID: runUID,
		Language: rec.Language, Source: "auricle app run", Metadata: rec.Metadata,
		StartedAt: started, CompletedAt: started.Add(rec.Duration()),
		Reason: event.ReasonEnd, Segments: slices.Clone(rec.Segments),
	}
	if rec.Audio != nil {
		c.AudioMillis = rec.Audio.Duration().Milliseconds()
	}
	slices.SortStableFunc(c.Segments, func(a, b event.Segment) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	ev, err := jsonEvent(event.KindConversation, &c)
	ev.At = rec.Duration()
	return ev, err
}

// maxEventLine bounds a line of an events file: a piece of audio of 10 s at
// 48 kHz is 1.3 MB in base64, a conversation of a day a little more.
const maxEventLine = 16 << 20

// audioLine is the payload of an audio event in an events file.
type audioLine struct {
	Rate         int    `json:"rate"` // samples a second
	Start        int64  `json:"start"`
	Dropped      uint32 `json:"dropped"`
	Session      string `json:"session"`
	Conversation string `json:"conversation"`
	UID          string `json:"uid"`
	Restarted    bool   `json:"restarted"`
	PCM          []byte `json:"pcm_base64"` // s16le, mono
}

// fileEvents reads an events file: JSON lines {"kind": …, "payload": …}. Its
// errors name the line. Ids that a payload lacks are filled in.
func fileEvents(r io.Reader, name string) iter.Seq2[appEvent, error] {
	return func(yield func(appEvent, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxEventLine)
		n := 0
		for lines.Scan() {
			n++
			if len(lines.Bytes()) == 0 {
				continue
			}
			ev, err := parseEventLine(lines.Bytes())
			if err != nil {
				err = fmt.Errorf("%s:%d: %w", name, n, err)
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			if errors.Is(err, bufio.ErrTooLong) {
				err = fmt.Errorf("the line is longer than %d MiB", maxEventLine>>20)
			}
			yield(appEvent{}, fmt.Errorf("%s:%d: %w", name, n+1, err))
		}
	}
}

// parseEventLine reads one line of an events file.
func parseEventLine(b []byte) (appEvent, error) {
	var line struct {
		Kind    string          `json:"kind"`
		Payload json.RawMessage `json:"payload"`
	}
	if err := decodeStrict(b, &line); err != nil {
		return appEvent{}, lineFault(err)
	}
	if len(line.Payload) == 0 {
		return appEvent{}, errors.New(`the line has no "payload"`)
	}
	fill := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	switch line.Kind {
	case event.KindAudio.String():
		var a audioLine
		if err := decodeStrict(line.Payload, &a); err != nil {
			return appEvent{}, fmt.Errorf("audio payload: %w", lineFault(err))
		}
		if a.Rate <= 0 || len(a.PCM)%2 != 0 {
			return appEvent{}, fmt.Errorf("audio payload: rate %d and %d bytes of PCM; the rate must be above 0, and 16-bit PCM has an even number of bytes", a.Rate, len(a.PCM))
		}
		fill(&a.UID, runUID)
		fill(&a.Session, runSession)
		fill(&a.Conversation, runConversation)
		return audioEvent(&event.Audio{
			Rate: a.Rate, Channels: 1, Start: a.Start, Dropped: a.Dropped, Restarted: a.Restarted, PCM: a.PCM,
			Session: a.Session, Conversation: a.Conversation, UID: a.UID,
		})
	case event.KindTranscript.String():
		var t event.Transcript
		if err := decodeStrict(line.Payload, &t); err != nil {
			return appEvent{}, fmt.Errorf("transcript payload: %w", lineFault(err))
		}
		fill(&t.UID, runUID)
		fill(&t.Session, runSession)
		fill(&t.Conversation, runConversation)
		ev, err := jsonEvent(event.KindTranscript, &t)
		ev.UID, ev.Session, ev.Conversation = t.UID, t.Session, t.Conversation
		for _, s := range t.Segments {
			ev.At = max(ev.At, seconds(s.End))
		}
		return ev, err
	case event.KindConversation.String():
		var c event.Conversation
		if err := decodeStrict(line.Payload, &c); err != nil {
			return appEvent{}, fmt.Errorf("conversation payload: %w", lineFault(err))
		}
		fill(&c.UID, runUID)
		fill(&c.Session, runSession)
		fill(&c.ID, runConversation)
		ev, err := jsonEvent(event.KindConversation, &c)
		ev.UID, ev.Session, ev.Conversation = c.UID, c.Session, c.ID
		for _, s := range c.Segments {
			ev.At = max(ev.At, seconds(s.End))
		}
		return ev, err
	case event.KindTool.String():
		var c event.ToolCall
		if err := decodeStrict(line.Payload, &c); err != nil {
			return appEvent{}, fmt.Errorf("tool payload: %w", lineFault(err))
		}
		return toolEvent(c)
	}
	return appEvent{}, fmt.Errorf("unknown kind %q; it is one of audio, transcript, conversation, tool", line.Kind)
}

// toolEvent makes an event of a call; what it lacks is filled in.
func toolEvent(c event.ToolCall) (appEvent, error) {
	c.Call, c.UID = cmp.Or(c.Call, runCall), cmp.Or(c.UID, runUID)
	if len(c.Arguments) == 0 {
		c.Arguments = json.RawMessage("{}")
	}
	b, err := json.Marshal(c)
	return appEvent{Kind: event.KindTool, UID: c.UID, Payload: b}, err
}

// lineFault leaves the place out of a JSON error within a line: the caller
// names the line, and the fault names the field.
func lineFault(err error) error {
	if e, ok := errors.AsType[*jsonError](err); ok {
		return e.Err
	}
	return err
}
