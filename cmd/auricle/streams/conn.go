package streams

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// connectTimeout bounds how long a connection may take until ready.
const connectTimeout = 30 * time.Second

// conn is a client's stream. One pacer sends on it, one goroutine reads.
type conn struct {
	group *group
	c     *net.TCPConn
	r     *bufio.Reader
	gone  atomic.Bool // it broke or was closed: nothing is sent any more

	session string // of ready

	seq   uint64           // of the last transcript; the pacer's
	acked uint64           // the reader's
	sent  [32]atomic.Int64 // when the last transcripts were sent, by seq, in ns
	done  chan struct{}    // closed when the reader has ended
}

// upgrade connects, from an address of its own for each few thousand: a pair of
// addresses has only so many ports. narrow offers little room for what the host
// sends.
func upgrade(ctx context.Context, address string, i int, narrow bool) (*net.TCPConn, *bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var dialer net.Dialer
	if narrow {
		dialer.Control = narrowly
	}
	if host, _, _ := strings.Cut(address, ":"); host == "127.0.0.1" && i >= 10_000 {
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i/10_000))}
	}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	tcp := c.(*net.TCPConn)
	fail := func(err error) (*net.TCPConn, *bufio.Reader, error) {
		tcp.Close() // err says more
		return nil, nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := tcp.SetDeadline(deadline); err != nil {
		return fail(err)
	}
	request := "GET /v1/stream HTTP/1.1\r\nHost: " + address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := tcp.Write([]byte(request)); err != nil {
		return fail(err)
	}
	r := bufio.NewReaderSize(tcp, 512)
	status := ""
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fail(fmt.Errorf("reading the answer to the handshake: %w", err))
		}
		if status == "" {
			status = strings.TrimSpace(string(line))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	if !strings.Contains(status, " 101 ") {
		return fail(fmt.Errorf("the handshake was answered with %q", status))
	}
	return tcp, r, nil
}

// connect opens the i-th stream of a group, and resumes a session if one is
// named.
func (g *group) connect(ctx context.Context, i int, session string) (*conn, error) {
	tcp, r, err := upgrade(ctx, g.o.Address, i, g.o.Mute)
	if err != nil {
		return nil, err
	}
	c := &conn{group: g, c: tcp, r: r, session: session, done: make(chan struct{})}
	if err := c.start(i); err != nil {
		tcp.Close() // err says more
		return nil, err
	}
	return c, tcp.SetDeadline(time.Time{})
}

// start begins a session, and waits until it has.
func (c *conn) start(i int) error {
	g := c.group
	if g.o.Bare {
		return nil
	}
	start := `{"type":"start","uid":"` + g.o.Group + "-" + strconv.Itoa(i) + `"`
	if g.o.Audio {
		start += `,"audio":{"codec":"pcm_s16le","rate":16000,"channels":1}`
	}
	if c.session != "" {
		start += `,"session":"` + c.session + `"`
	}
	if _, err := c.c.Write(appendFrame(nil, opText, []byte(start+"}"))); err != nil {
		return err
	}
	var b [192]byte
	for {
		op, payload, err := readFrame(c.r, b[:])
		switch {
		case err != nil:
			return fmt.Errorf("waiting for ready: %w", err)
		case op == opText && bytes.HasPrefix(payload, []byte(`{"type":"ready"`)):
			_, rest, _ := bytes.Cut(payload, []byte(`"session":"`))
			session, _, _ := bytes.Cut(rest, []byte(`"`))
			c.session = string(session)
			return nil
		case op == opText && bytes.HasPrefix(payload, []byte(`{"type":"error"`)), op == opClose:
			return fmt.Errorf("start was answered with %q", payload)
		}
	}
}

// read takes what the host says until the connection ends.
func (c *conn) read() {
	defer close(c.done)
	var b [160]byte
	for {
		op, payload, err := readFrame(c.r, b[:])
		now := time.Now()
		if err != nil {
			if !c.gone.Swap(true) {
				c.group.broke(fmt.Errorf("reading: %w", err))
			}
			return
		}
		switch op {
		case opPing:
			if _, err := c.c.Write(appendFrame(nil, opPong, payload)); err != nil && !c.gone.Load() {
				continue // reading says what is wrong
			}
		case opClose:
			if !c.gone.Swap(true) {
				c.group.broke(fmt.Errorf("the host closed: %q", payload))
			}
			c.c.Close() // it is over
			return
		case opText:
			c.text(payload, now)
		}
	}
}

// text takes a message; payload is its beginning.
func (c *conn) text(payload []byte, now time.Time) {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"type":"`))
	if !ok {
		return
	}
	switch {
	case bytes.HasPrefix(rest, []byte(`ack"`)):
		seq := number(rest, `"seq":`)
		for c.acked < seq {
			c.acked++
			if at := c.sent[c.acked%uint64(len(c.sent))].Swap(0); at != 0 {
				c.group.acknowledged(time.Duration(now.UnixNano() - at))
			}
		}
	case bytes.HasPrefix(rest, []byte(`gap"`)):
		c.group.gaps.Add(1)
	case bytes.HasPrefix(rest, []byte(`output"`)):
		c.group.outputs.Add(1)
	case bytes.HasPrefix(rest, []byte(`error"`)):
		if !bytes.Contains(rest, []byte(`"empty_conversation"`)) {
			c.group.refused(string(payload))
		}
	}
}

// number returns the number behind a name, 0 where there is none.
func number(b []byte, name string) (n uint64) {
	_, rest, _ := bytes.Cut(b, []byte(name))
	for _, d := range rest {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}

// write sends frames; a connection that can't be written is gone.
func (c *conn) write(frames []byte) {
	if _, err := c.c.Write(frames); err != nil && !c.gone.Swap(true) {
		c.c.Close() // the reader ends
		c.group.broke(fmt.Errorf("writing: %w", err))
	}
}

// transcript makes the next one, of one segment.
func (c *conn) transcript(b []byte, at time.Time) []byte {
	c.seq++
	c.sent[c.seq%uint64(len(c.sent))].Store(at.UnixNano())
	n := strconv.FormatUint(c.seq, 10)
	return appendFrame(b, opText, []byte(`{"type":"transcript","seq":`+n+`,"segments":[{"id":"`+n+
		`","text":"and then something was said, in a sentence of an ordinary length","speaker":"A","start":`+n+`,"end":`+n+`.5}]}`))
}

// end closes the connection: as a client that is done, or as one that vanishes.
func (c *conn) end(how string) error {
	c.gone.Store(true)
	switch how {
	case endReset:
		return errors.Join(c.c.SetLinger(0), c.c.Close())
	case endSaid:
		_, err := c.c.Write(appendFrame(nil, opText, []byte(`{"type":"end"}`)))
		return err // the host closes
	default:
		return c.c.Close()
	}
}

// How a client ends its stream.
const (
	endSaid  = "end"   // it says so, and the host closes
	endClose = "close" // it closes the connection
	endReset = "reset" // it vanishes: the connection is reset
)
