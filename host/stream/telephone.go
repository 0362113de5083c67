package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/stream/telephone"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Telephone are the protocols of docs/telephone.md, by which providers stream
// the audio of a call.
var Telephone = []*Dialect{
	telephoneDialect(telephone.Twilio),
	telephoneDialect(telephone.Telnyx),
	telephoneDialect(telephone.Plivo),
}

func telephoneDialect(v telephone.Vendor) *Dialect {
	return &Dialect{
		Path: "/v1/telephone/" + string(v),
		late: true,
		open: func(*http.Request) (opening, *refusal) {
			return opening{speak: func(st *stream) dialect { return &call{st: st, vendor: v} }}, nil
		},
	}
}

// The parameters of a call that the host takes for itself. The others become
// metadata of its conversation.
const (
	paramToken     = "token"      // credentials
	paramUID       = "uid"        // whose audio it is, where the token leaves it open
	paramLanguage  = "language"   // a tag as en or pt-BR
	paramTrack     = "track"      // of the call that is heard: inbound, which is the default, or outbound
	paramByteOrder = "byte_order" // of L16: little, which is the default, or big
)

// The names by which the host adds the provider's own to a conversation's
// metadata.
const (
	metadataCall   = "call_id"
	metadataStream = "stream_id"
	metadataTrack  = "track"
)

// call is a stream of a telephone provider's. Nothing is said to a provider: it
// would take audio only, and a frame that it does not know is an error to it.
//
// A start that can't be taken, and whatever comes before one, closes the stream.
// After it a frame that can't be taken is counted and let go: somebody is on the
// line, and the next frame may be as it should.
type call struct {
	st     *stream
	vendor telephone.Vendor
	stream string // the provider's id of it
	track  string // that is heard
	swap   bool   // samples come big-endian
	order  telephone.Order
	told   telephone.Order // whose counts the metrics have
	why    atomic.Pointer[wire.Error]
}

var _ dialect = (*call)(nil)

func (*call) opened(context.Context) {}
func (*call) frames() int            { return websocket.TextMessage }
func (*call) say(wire.Message)       {}

// last sends nothing: the close's code and reason say what there is to say. It
// keeps why, for the log.
func (c *call) last(m wire.Message) []byte {
	if e, ok := m.(*wire.Error); ok {
		c.why.CompareAndSwap(nil, e)
	}
	return nil
}

func (c *call) binary(context.Context, time.Time, []byte) {
	c.fail(wire.CloseBadMessage, wire.CodeBadMessage, "a binary frame came; a telephone stream has text frames only")
}

func (c *call) text(ctx context.Context, b []byte) {
	c.st.ponged() // whoever streams lives; some answer no ping meanwhile
	f, err := c.vendor.Decode(b)
	started := c.st.session != nil
	if err != nil {
		var bad *telephone.Error
		if !errors.As(err, &bad) {
			bad = &telephone.Error{Code: wire.CodeBadMessage, Message: err.Error()}
		}
		switch {
		case started:
			c.refuse(bad.Code)
		case bad.Event == telephone.EventMedia:
			c.notStarted(bad.Event)
		case bad.Code == telephone.CodeUnsupportedAudio:
			c.fail(wire.CloseUnsupportedAudio, bad.Code, bad.Message)
		default:
			c.fail(wire.CloseBadMessage, bad.Code, bad.Message)
		}
		return
	}
	switch {
	case slices.Contains(telephone.Others, f.Event):
		c.count(f.Event)
	case f.Event == telephone.EventStart && started:
		c.fail(wire.CloseBadMessage, wire.CodeAlreadyStarted, "a second start came; a stream is one call's")
	case f.Event == telephone.EventStart:
		c.count(f.Event)
		c.start(ctx, f)
	case f.Event != telephone.EventMedia && f.Event != telephone.EventStop:
		c.count("unknown")
		c.refuse(telephone.CodeUnknownEvent)
	case !started:
		c.notStarted(f.Event)
	case f.Stream != "" && f.Stream != c.stream:
		c.refuse(telephone.CodeWrongStream)
	case f.Event == telephone.EventMedia:
		c.media(f.Media)
	default:
		c.count(f.Event)
		c.flush()
		if err := c.st.end(ctx); err != nil {
			c.st.refused(err, f.Event)
		}
	}
}

// start has the call's token say whose it is, and begins the session.
func (c *call) start(ctx context.Context, f telephone.Frame) {
	p := f.Start.Parameters
	token := p[paramToken]
	delete(p, paramToken) // it goes nowhere else
	if !c.st.authenticate(ctx, token) {
		return
	}
	c.st.server.known(c.st)

	c.stream, c.track = f.Stream, telephone.Inbound
	if t := f.Start.Tracks; len(t) > 0 && !slices.Contains(t, telephone.Inbound) {
		c.track = telephone.Outbound
	}
	switch t, ok := p[paramTrack]; {
	case !ok:
	case t == telephone.Inbound, t == telephone.Outbound:
		c.track = t
	default:
		c.fail(wire.CloseBadMessage, wire.CodeBadStart, fmt.Sprintf("the parameter %s is %+.64q; give inbound or outbound, and stream the other track by itself", paramTrack, t))
		return
	}
	switch o, ok := p[paramByteOrder]; {
	case !ok, o == "little":
	case o == "big":
		c.swap = f.Start.Format.Codec == wire.PCM16
	default:
		c.fail(wire.CloseBadMessage, wire.CodeBadStart, fmt.Sprintf("the parameter %s is %+.64q; give little or big", paramByteOrder, o))
		return
	}
	m := &wire.Start{
		UID: p[paramUID], Language: p[paramLanguage], Source: string(c.vendor),
		Audio: &wire.Format{Codec: string(f.Start.Format.Codec), Rate: f.Start.Format.Rate, Channels: f.Start.Format.Channels},
	}
	for _, taken := range []string{paramUID, paramLanguage, paramTrack, paramByteOrder} {
		delete(p, taken)
	}
	p[metadataStream], p[metadataTrack] = c.stream, c.track
	if f.Start.Call != "" {
		p[metadataCall] = f.Start.Call
	}
	if len(p) > wire.MaxMetadataEntries {
		c.fail(wire.CloseBadMessage, wire.CodeBadStart, fmt.Sprintf("the call's parameters and ids are %d entries of metadata; at most %d are taken", len(p), wire.MaxMetadataEntries))
		return
	}
	m.Metadata = p
	if r, ok := c.st.startRequest(m); ok {
		c.st.begin(ctx, r)
	}
}

// media takes a chunk of audio.
func (c *call) media(m *telephone.Media) {
	if m.Track != "" && m.Track != c.track {
		c.count("media_unheard")
		return
	}
	c.count(telephone.EventMedia)
	c.order.Put(m.Chunk, m.Payload, c.hear)
	c.countLost()
}

// hear gives the session a chunk whose turn it is.
func (c *call) hear(payload []byte) {
	if c.swap {
		telephone.Swap(payload)
	}
	c.st.audio(time.Now(), payload)
}

// flush gives the session the chunks that waited for another before them.
func (c *call) flush() {
	c.order.Flush(c.hear)
	c.countLost()
}

// closed completes the conversation where the provider has closed the stream
// without stop, as Plivo does: a call is over then, and nobody resumes it. A
// connection that broke is left to the grace period, as any stream's is.
func (c *call) closed() {
	if why := c.why.Load(); why != nil {
		level := c.st.log().Debug // anybody can be refused
		if c.st.identity.May(auth.Stream) {
			level = c.st.log().Warn
		}
		level("a telephone stream was closed", "vendor", c.vendor, "code", why.Code, "message", why.Message)
	}
	s := c.st.session
	if s == nil || c.st.ended || c.st.closedWith == 0 || c.st.out.closeCode() != wire.CloseNormal.Code {
		return
	}
	c.flush()
	if s.End() != nil {
		return // a newer stream has it
	}
	c.st.ended = true
	over, cancel := context.WithCancel(context.Background())
	cancel()
	s.Wait(over) // nobody is left to wait for the apps; the error says that
}

// notStarted closes a stream that begins in the middle.
func (c *call) notStarted(event string) {
	c.fail(wire.CloseBadMessage, wire.CodeNotStarted, event+" came before start")
}

func (c *call) fail(code wire.CloseCode, name, message string) {
	c.st.fail(code, name, message, nil)
}

// refuse counts a frame that is let go.
func (c *call) refuse(code string) { c.st.server.metrics.refused.WithLabelValues(code).Inc() }

func (c *call) count(event string) {
	c.st.server.metrics.telephone.WithLabelValues(string(c.vendor), event).Inc()
}

// countLost brings the metrics up to what order has counted.
func (c *call) countLost() {
	lost := c.st.server.metrics.chunks
	if n := c.order.Lost - c.told.Lost; n > 0 {
		lost.WithLabelValues(string(c.vendor), "missing").Add(float64(n))
	}
	if n := c.order.Late - c.told.Late; n > 0 {
		lost.WithLabelValues(string(c.vendor), "late").Add(float64(n))
	}
	c.told.Lost, c.told.Late = c.order.Lost, c.order.Late
}
