package apptest

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Event is a *event.Audio, *event.Transcript, *event.Conversation or
// *event.ToolCall. Ids, a rate, times, a reason and arguments that are left
// empty are filled in for the run.
type Event interface {
	Kind() event.Kind
}

// The values of what an event leaves empty.
const (
	DefaultUID          = "tester"
	DefaultSession      = "s_test"
	DefaultConversation = "c_test"
	DefaultCall         = "t_test"
	DefaultRate         = 16_000 // samples a second
)

// defaultStart is when a conversation without a start began, a Monday.
var defaultStart = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)

// filled returns a copy of e, complete.
func filled(e Event) (Event, error) {
	fill := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	switch e := e.(type) {
	case *event.Audio:
		c := *e
		fill(&c.UID, DefaultUID)
		fill(&c.Session, DefaultSession)
		fill(&c.Conversation, DefaultConversation)
		if c.Rate == 0 {
			c.Rate = DefaultRate
		}
		c.Channels = 1
		return &c, nil
	case *event.Transcript:
		c := *e
		fill(&c.UID, DefaultUID)
		fill(&c.Session, DefaultSession)
		fill(&c.Conversation, DefaultConversation)
		return &c, nil
	case *event.Conversation:
		c := *e
		fill(&c.UID, DefaultUID)
		fill(&c.Session, DefaultSession)
		fill(&c.ID, DefaultConversation)
		fill((*string)(&c.Reason), string(event.ReasonFinish))
		if c.StartedAt.IsZero() {
			c.StartedAt = defaultStart
		}
		if c.CompletedAt.IsZero() {
			c.CompletedAt = c.StartedAt
			if n := len(c.Segments); n > 0 {
				c.CompletedAt = c.StartedAt.Add(seconds(c.Segments[n-1].End))
			}
		}
		return &c, nil
	case *event.ToolCall:
		c := *e
		fill(&c.Call, DefaultCall)
		fill(&c.UID, DefaultUID)
		if len(c.Arguments) == 0 {
			c.Arguments = json.RawMessage("{}")
		}
		return &c, nil
	}
	return nil, fmt.Errorf("a %T is no event: use *event.Audio, *event.Transcript, *event.Conversation or *event.ToolCall", e)
}

// wire returns the form in which a module receives e.
func wire(e Event) ([]byte, error) {
	switch e := e.(type) {
	case *event.Audio:
		return e.AppendBinary(nil)
	case *event.Transcript, *event.Conversation, *event.ToolCall:
		return json.Marshal(e)
	}
	return nil, fmt.Errorf("a %T is no event", e)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Call returns a call of a tool with arguments, which are marshalled as JSON; a
// string, []byte or json.RawMessage is taken as JSON. A module's are checked
// against the tool's parameters, in-process they are not.
func Call(t testing.TB, tool string, arguments any) *event.ToolCall {
	t.Helper()
	c := &event.ToolCall{Tool: tool}
	switch a := arguments.(type) {
	case string:
		c.Arguments = json.RawMessage(a)
	case []byte:
		c.Arguments = a
	case json.RawMessage:
		c.Arguments = a
	default:
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("apptest.Call: marshalling the arguments: %v", err)
		}
		c.Arguments = b
	}
	return c
}

// Say returns a transcript event with one segment for each text, all spoken by
// speaker, two seconds each.
func Say(speaker string, texts ...string) *event.Transcript {
	e := &event.Transcript{Language: "en"}
	for i, text := range texts {
		e.Segments = append(e.Segments, event.Segment{
			ID: fmt.Sprintf("%d", i+1), Text: text, Speaker: speaker,
			Start: float64(2 * i), End: float64(2*i + 2),
		})
	}
	return e
}

// Sine returns d of a tone of hz at rate samples a second, as 16-bit PCM. The
// amplitude is that of its peak, 1 for full scale.
func Sine(rate int, hz, amplitude float64, d time.Duration) []byte {
	n := int(int64(d) * int64(rate) / int64(time.Second))
	pcm := make([]byte, 0, 2*n)
	for i := range n {
		v := amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
		s := int16(math.Round(max(-1, min(1, v)) * math.MaxInt16))
		pcm = append(pcm, byte(s), byte(s>>8))
	}
	return pcm
}

// Pieces cuts 16-bit mono PCM at rate samples a second into audio events of
// every, as the host would; the last may be shorter.
func Pieces(t testing.TB, rate int, pcm []byte, every time.Duration) []Event {
	t.Helper()
	size := 2 * int(int64(every)*int64(rate)/int64(time.Second))
	if size <= 0 {
		t.Fatalf("apptest.Pieces: no samples in %v at %d samples a second", every, rate)
	}
	var events []Event
	for at := 0; at < len(pcm); at += size {
		events = append(events, &event.Audio{
			Rate: rate, Channels: 1, Start: int64(at / 2), PCM: pcm[at:min(at+size, len(pcm))],
		})
	}
	return events
}
