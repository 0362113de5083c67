package stream_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// rawFrame is a client's frame under a zero mask: its first byte (FIN, reserved
// bits, opcode), and its payload.
func rawFrame(first byte, payload []byte) []byte {
	return rawHeader(first, uint64(len(payload)), payload)
}

// rawHeader is rawFrame that says it is n bytes long.
func rawHeader(first byte, n uint64, payload []byte) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// What breaks RFC 6455, or bends it, closes the stream that sent it with its own
// code, is counted, and leaves nothing: neither a stream, nor trouble for others.
func TestWhatBreaksWebSocketHarmsOnlyItself(t *testing.T) {
	keepalive := []byte(`{"type":"keepalive"}`)
	for _, c := range []struct {
		name string
		send []byte
		code int    // of the host's close
		want string // the error's code, "" where the WebSocket layer closes
		why  string // the section of RFC 6455
	}{
		{"no mask", append([]byte{0x81, byte(len(keepalive))}, keepalive...), 1002, "", "5.1: a server must close when a frame is not masked"},
		{"RSV1 without an extension", rawFrame(0xC1, keepalive), 1002, "", "5.2: reserved bits are 0"},
		{"RSV2", rawFrame(0xA1, keepalive), 1002, "", "5.2"},
		{"RSV3", rawFrame(0x91, keepalive), 1002, "", "5.2"},
		{"reserved opcode 3", rawFrame(0x83, keepalive), 1002, "", "5.2"},
		{"reserved opcode 11", rawFrame(0x8B, nil), 1002, "", "5.2"},
		{"fragmented ping", rawFrame(0x09, nil), 1002, "", "5.5: control frames must not be fragmented"},
		{"ping of 126 bytes", rawFrame(0x89, make([]byte, 126)), 1002, "", "5.5: at most 125"},
		{"continuation of nothing", rawFrame(0x80, keepalive), 1002, "", "5.4"},
		{"message within a message", append(rawFrame(0x01, keepalive), rawFrame(0x81, keepalive)...), 1002, "", "5.4"},
		{"close with a code that is none", rawFrame(0x88, []byte{0, 5}), 1002, "", "7.4"},
		{"close with a reason that is no UTF-8", rawFrame(0x88, []byte{3, 0xE8, 0xFF}), 1002, "", "5.5.1"},
		{"length of 2^63", rawHeader(0x82, 1<<63, nil), 1002, "", "5.2: the most significant bit must be 0"},
		{"length of 2^62", append(rawHeader(0x82, 1<<62, nil), make([]byte, 64<<10+1)...), 4504, "message_too_large", "a frame may say that, but we take no such message"},
		{"text that is no UTF-8", rawFrame(0x81, []byte("{\"type\":\"keepalive\xFF\"}")), 4500, "bad_json", "8.1"},
		{"text that is no UTF-8, in fragments", append(rawFrame(0x01, []byte("{\"\xC3")), rawFrame(0x80, []byte("\"}"))...), 4500, "bad_json", "8.1"},
		{"fragments without end", bytes.Repeat(rawFrame(0x00, make([]byte, 1000)), 70), 4504, "message_too_large", "together they are one message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, rigOptions{config: config.Stream{MaxMessageBytes: 64 << 10}})
			bystander, _ := r.start()
			w, _ := r.start()
			if c.name == "fragments without end" {
				c.send = append(rawFrame(0x02, nil), c.send...)
			}
			if _, err := w.NetConn().Write(c.send); err != nil {
				t.Fatal(err)
			}
			code, last := w.closed()
			if code != c.code {
				t.Errorf("closed with %d, want %d (RFC 6455, %s)", code, c.code, c.why)
			}
			if e, ok := last.(*wire.Error); c.want != "" && (!ok || e.Code != c.want || !e.Fatal) {
				t.Errorf("told %+v before, want the fatal error %s", last, c.want)
			}
			counted := c.want
			if counted == "" {
				counted = "bad_frame"
			}
			r.until("it is counted as "+counted, func() bool {
				return r.metric("auricle_stream_refused_messages_total", "code", counted) == 1
			})
			w.Close()
			r.until("the stream is gone", func() bool { return r.metric("auricle_streams_open") == 1 })
			bystander.say(1, "hello")
			read[*wire.Output](bystander)
		})
	}
}

// The deflate of a megabyte of zeros is a kilobyte.
func TestACompressionBombIsAMessageTooLarge(t *testing.T) {
	var bomb bytes.Buffer
	deflate, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := deflate.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := deflate.Flush(); err != nil {
		t.Fatal(err)
	}
	payload := bytes.TrimSuffix(bomb.Bytes(), []byte{0, 0, 0xFF, 0xFF}) // RFC 7692, 7.2.1
	if len(payload) > 100<<10 {
		t.Fatalf("the bomb is %d bytes", len(payload))
	}
	r := newRig(t, rigOptions{config: config.Stream{MaxMessageBytes: 256 << 10, Compression: true}})
	r.dialer.EnableCompression = true
	w, _ := r.start()
	if _, err := w.NetConn().Write(rawFrame(0xC2, payload)); err != nil { // RSV1: compressed
		t.Fatal(err)
	}
	code, last := w.closed()
	if e, ok := last.(*wire.Error); code != 4504 || !ok || e.Code != "message_too_large" {
		t.Errorf("closed with %d after %+v", code, last)
	}
	if n := r.metric("auricle_stream_received_bytes_total"); n > 300<<10 {
		t.Errorf("%v bytes were unpacked, want no more than the limit", n)
	}
}

func TestCompressionIsOffUnlessItIsAskedForByBoth(t *testing.T) {
	for _, c := range []struct{ host, client, want bool }{{false, true, false}, {true, false, false}, {true, true, true}} {
		r := newRig(t, rigOptions{config: config.Stream{Compression: c.host}})
		r.dialer.EnableCompression = c.client
		conn, resp, err := r.dialer.Dial(r.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Extensions") != ""; got != c.want {
			t.Errorf("host %v, client %v: negotiated %v, want %v", c.host, c.client, got, c.want)
		}
		w := &client{t, conn}
		w.send(&wire.Start{UID: "ada", Audio: pcm16k})
		read[*wire.Ready](w)
		w.say(1, "hello")
		if o := read[*wire.Output](w); o.App != "echo" {
			t.Errorf("got %+v", o)
		}
		conn.Close()
	}
}

// A flood of pings is answered by as many pongs as get through, and keeps no
// stream open: it is no message.
func TestAFloodOfPingsPilesNothingUp(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	flood := bytes.Repeat(rawFrame(0x89, make([]byte, 125)), 1000)
	go func() { // ends with the connection
		_, _ = io.Copy(io.Discard, w.NetConn())
	}()
	for range 50 {
		if _, err := w.NetConn().Write(flood); err != nil {
			t.Fatal(err)
		}
		if n := r.metric("auricle_stream_output_queue_bytes"); n > 1<<10 {
			t.Fatalf("%v bytes wait to be written", n)
		}
	}
	bystander, _ := r.start()
	bystander.say(1, "hello")
	read[*wire.Output](bystander)
}
