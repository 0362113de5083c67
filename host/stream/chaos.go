package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// Chaos says how a Server mistreats its clients, for those who write one and
// want to see it cope. It is decided anew at each handshake and at each message
// of a client, by chance: the streams of one seed, counted in the order of their
// handshakes, fare the same each time, as long as they say the same.
//
// A fault that the client is told of is told as the host's own would be: with
// the message that belongs to it. What was acknowledged is kept, whatever
// happens.
type Chaos struct {
	Seed   uint64
	Refuse []ChaosRefusal // of handshakes
	Drop   float64        // how likely, 0 to 1, the connection breaks at a message, without a close: before it is taken, or after
	Close  []ChaosClose
	Delay  time.Duration // each message of the host waits for up to that long

	handshakes atomic.Uint64
}

// ChaosRefusal is a handshake that is refused.
type ChaosRefusal struct {
	Status int     // 401, 403, 429 or 503; the last two with Retry-After
	Chance float64 // 0 to 1
}

// ChaosClose is a stream that is closed at a message, which is not taken.
type ChaosClose struct {
	Code   int     // one of wire.CloseCodes; 0: any of those
	Chance float64 // 0 to 1
}

// DefaultChaos is what "default" stands for: all that a client has to bear
// without giving up.
const DefaultChaos = "drop=0.5%,delay=200ms,close=1011:0.1%,close=1013:0.1%,close=4001:0.2%,close=4008:0.1%,close=4010:0.1%,close=4012:0.1%,refuse=429:10%,refuse=503:10%"

// maxChaosDelay keeps a delay well within what a client and the host's own
// timeouts bear.
const maxChaosDelay = 2 * time.Second

// ParseChaos reads a Chaos as a command line has it: "default", or faults that
// are joined by commas, as "drop=5%,delay=200ms,close=4001:2%,close=any:1%,refuse=503:10%".
// The error names each part that is wrong, and what would be right.
func ParseChaos(text string) (*Chaos, error) {
	if text == "default" {
		text = DefaultChaos
	}
	c := new(Chaos)
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		if err := c.parse(strings.TrimSpace(part)); err != nil {
			errs = append(errs, fmt.Errorf("chaos %q: %w", part, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	sum := c.Drop
	for _, f := range c.Close {
		sum += f.Chance
	}
	refused := 0.0
	for _, f := range c.Refuse {
		refused += f.Chance
	}
	if sum > 1 || refused > 1 {
		return nil, errors.New("chaos: the chances of drop and close together, and those of refuse, may be 100% at most")
	}
	return c, nil
}

// String writes c as ParseChaos reads it.
func (c *Chaos) String() string {
	var parts []string
	percent := func(p float64) string { return strconv.FormatFloat(100*p, 'g', 6, 64) + "%" }
	if c.Drop > 0 {
		parts = append(parts, "drop="+percent(c.Drop))
	}
	if c.Delay > 0 {
		parts = append(parts, "delay="+c.Delay.String())
	}
	for _, f := range c.Close {
		code := "any"
		if f.Code != 0 {
			code = strconv.Itoa(f.Code)
		}
		parts = append(parts, "close="+code+":"+percent(f.Chance))
	}
	for _, f := range c.Refuse {
		parts = append(parts, "refuse="+strconv.Itoa(f.Status)+":"+percent(f.Chance))
	}
	return strings.Join(parts, ",")
}

func (c *Chaos) parse(part string) (err error) {
	name, value, _ := strings.Cut(part, "=")
	what, likely, _ := strings.Cut(value, ":")
	switch name {
	case "drop":
		c.Drop, err = chance(value)
	case "delay":
		c.Delay, err = time.ParseDuration(value)
		if err != nil || c.Delay < 0 || c.Delay > maxChaosDelay {
			return fmt.Errorf("give a duration of at most %v, as delay=200ms", maxChaosDelay)
		}
	case "close":
		f := ChaosClose{}
		if what != "any" {
			f.Code, err = strconv.Atoi(what)
			if err != nil || !slices.ContainsFunc(wire.CloseCodes, func(k wire.CloseCode) bool { return k.Code == f.Code }) {
				return errors.New("give one of the host's close codes, or any, and how likely it is, as close=4001:2%")
			}
		}
		f.Chance, err = chance(likely)
		c.Close = append(c.Close, f)
	case "refuse":
		f := ChaosRefusal{}
		f.Status, err = strconv.Atoi(what)
		if _, ok := chaosRefusals[f.Status]; err != nil || !ok {
			return errors.New("give one of 401, 403, 429 and 503, and how likely it is, as refuse=503:10%")
		}
		f.Chance, err = chance(likely)
		c.Refuse = append(c.Refuse, f)
	default:
		return errors.New("there is drop, delay, close and refuse")
	}
	return err
}

// chance reads a percentage as 0 to 1.
func chance(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	p, err := strconv.ParseFloat(digits, 64)
	if !percent || err != nil || !(p >= 0 && p <= 100) {
		return 0, errors.New("give how likely it is in percent, as 5% or 0.5%")
	}
	return p / 100, nil
}

// chaosRefusals are the answers to handshakes, by status.
var chaosRefusals = map[int]refusal{
	http.StatusUnauthorized:       {status: http.StatusUnauthorized, code: "unauthorised", message: "chaos: this handshake is refused as one without valid credentials is"},
	http.StatusForbidden:          {status: http.StatusForbidden, code: "forbidden", message: "chaos: this handshake is refused as one that may not stream is"},
	http.StatusTooManyRequests:    {status: http.StatusTooManyRequests, code: wire.CodeTooManyStreams, retryAfter: time.Second, message: "chaos: this handshake is refused as one too many is; connect again in a while"},
	http.StatusServiceUnavailable: {status: http.StatusServiceUnavailable, code: wire.CodeShuttingDown, retryAfter: time.Second, message: "chaos: this handshake is refused as by a host that stops; connect again in a while"},
}

// streamChaos is what chance has in store for one stream. Its methods do
// nothing when it is nil.
type streamChaos struct {
	*Chaos
	read  *rand.Rand // belongs to the reader
	write *rand.Rand // belongs to the writer of the moment
}

// stream begins the chaos of another handshake; c may be nil.
func (c *Chaos) stream() *streamChaos {
	if c == nil {
		return nil
	}
	n := c.handshakes.Add(1)
	return &streamChaos{Chaos: c, read: rand.New(rand.NewPCG(c.Seed, 2*n)), write: rand.New(rand.NewPCG(c.Seed, 2*n+1))}
}

// refuse says whether the handshake is refused.
func (c *streamChaos) refuse() *refusal {
	if c == nil {
		return nil
	}
	p := c.read.Float64()
	for _, f := range c.Refuse {
		if p -= f.Chance; p < 0 {
			r := chaosRefusals[f.Status]
			return &r
		}
	}
	return nil
}

// fate is what happens to a stream at one message.
type fate struct {
	dropBefore, dropAfter bool
	close                 *wire.CloseCode
}

// message decides about the client's next message.
func (c *streamChaos) message() (f fate) {
	if c == nil {
		return f
	}
	p := c.read.Float64()
	if p -= c.Drop; p < 0 {
		before := c.read.IntN(2) == 0
		return fate{dropBefore: before, dropAfter: !before}
	}
	for _, k := range c.Close {
		if p -= k.Chance; p >= 0 {
			continue
		}
		code := wire.CloseCodes[c.read.IntN(len(wire.CloseCodes))]
		if k.Code != 0 {
			code = wire.CloseCodes[slices.IndexFunc(wire.CloseCodes, func(w wire.CloseCode) bool { return w.Code == k.Code })]
		}
		return fate{close: &code}
	}
	return f
}

// pause has the writer wait before it writes a message. It is at most
// maxChaosDelay, and so nothing interrupts it.
func (c *streamChaos) pause() {
	if c != nil && c.Delay > 0 {
		time.Sleep(time.Duration(c.write.Int64N(int64(c.Delay) + 1)))
	}
}

// chaosLast returns the message that a host sends before it closes with code; nil
// when there is none.
func (s *Server) chaosLast(code wire.CloseCode) wire.Message {
	const note = "chaos: the stream is closed for no reason, as "
	closing := func(word, as string) wire.Message {
		m := &wire.Closing{Code: word, Message: note + as}
		if code == wire.CloseShuttingDown || code == wire.CloseTryLater {
			m.RetryAfterMillis = s.retryAfter().Milliseconds()
		}
		return m
	}
	failing := func(word, as string) wire.Message {
		return &wire.Error{Code: word, Message: note + as, Fatal: true}
	}
	switch code {
	case wire.CloseTryLater:
		return closing(wire.CodeStoreUnavailable, "by a host that can't read its store")
	case wire.CloseShuttingDown:
		return closing(wire.CodeShuttingDown, "by a host that stops")
	case wire.CloseSlowReader:
		return closing(wire.CodeSlowReader, "that of a client that does not read")
	case wire.CloseIdle:
		return closing(wire.CodeIdle, "that of a client that says nothing")
	case wire.CloseExpired:
		return closing(wire.CodeTokenExpired, "that of a client whose credentials have expired")
	case wire.CloseNoPong:
		return closing(wire.CodeNoPong, "that of a client that answers no ping")
	case wire.CloseInternal:
		return failing(wire.CodeInternal, "by a host with a bug")
	case wire.CloseBadMessage:
		return failing(wire.CodeBadMessage, "that of a client that broke the protocol")
	case wire.CloseUnauthorised:
		return failing(wire.CodeUnauthorised, "that of a client whose credentials are not valid any more")
	case wire.CloseNeverStarted:
		return failing(wire.CodeNeverStarted, "that of a client that sent no start")
	case wire.CloseUnsupportedAudio:
		return failing(wire.CodeUnsupportedAudio, "that of a client whose audio the host does not take")
	case wire.CloseMessageTooLarge:
		return failing(wire.CodeMessageTooLarge, "that of a client whose message was too large")
	case wire.CloseSessionExpired:
		return failing(wire.CodeUnknownSession, "that of a client whose session is over")
	case wire.CloseSuperseded:
		return failing(wire.CodeSuperseded, "that of a client with a newer stream")
	case wire.CloseAudioTooFast:
		return failing(wire.CodeAudioTooFast, "that of a client whose audio comes too fast")
	case wire.CloseTooManyStreams:
		return failing(wire.CodeTooManyStreams, "that of a user with too many streams")
	}
	return nil // 1000 and 1002 come without one
}
