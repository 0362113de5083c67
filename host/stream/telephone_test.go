package stream_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/host/stream/telephone"
	"github.com/auricle-dev/auricle/sdk/event"
)

// recordedCall returns the frames of a call, as the vendor's documents show them.
func recordedCall(t testing.TB, v telephone.Vendor) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("telephone", "testdata", string(v)+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var frames []string
	for s := bufio.NewScanner(f); s.Scan(); {
		frames = append(frames, s.Text())
	}
	return frames
}

// telephoneURL serves a vendor's dialect of the rig's server, as the host does,
// and returns where.
func (r *rig) telephoneURL(v telephone.Vendor) string {
	r.t.Helper()
	mux := http.NewServeMux()
	for _, d := range stream.Telephone {
		mux.Handle(d.Path, r.server.Handler(d))
	}
	s := httptest.NewServer(mux)
	r.t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/v1/telephone/" + string(v)
}

// call opens a vendor's stream.
func (r *rig) call(v telephone.Vendor) *client {
	r.t.Helper()
	return r.callAt(r.telephoneURL(v))
}

func (r *rig) callAt(url string) *client {
	r.t.Helper()
	c, _, err := r.dialer.Dial(url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &client{r.t, c}
}

// silent reads up to the close, before which nothing may come: a provider
// would take it for audio.
func (w *client) silent() *websocket.CloseError {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	_, b, err := w.ReadMessage()
	var ce *websocket.CloseError
	if !errors.As(err, &ce) {
		w.t.Fatalf("got %q, %v; want a close", b, err)
	}
	return ce
}

func (r *rig) refused(code string) float64 {
	return r.metric("auricle_stream_refused_messages_total", "code", code)
}

func (r *rig) frames(event string) float64 {
	return r.metric("auricle_telephone_frames_total", "event", event)
}

func TestACallOfEachVendorIsAConversation(t *testing.T) {
	for v, want := range map[telephone.Vendor]struct {
		call, stream string
		ms           int64
		sample       int16 // every one of the recording's
	}{
		telephone.Twilio: {"CA00000000000000000000000000000001", "MZ18ad3ab5a668481ce02b83e7395059f0", 60, 0},
		telephone.Telnyx: {"v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ", "32DE0DEA-53CB-4B21-89A4-9E1819C043BC", 60, 8},
		telephone.Plivo:  {"12345678-1234-1234-1234-123456789abc", "87654321-4321-4321-4321-cba987654321", 60, 0},
	} {
		t.Run(string(v), func(t *testing.T) {
			heard := make(chan []byte, 64)
			r := newRig(t, rigOptions{wantsAudio: true, heard: heard})
			w := r.call(v)
			for _, f := range recordedCall(t, v) {
				w.text(f)
			}
			c := r.completed()
			metadata := map[string]string{"ticket": "4711", "call_id": want.call, "stream_id": want.stream, "track": "inbound"}
			if c.UID != "ada" || c.Language != "en" || c.Source != string(v) || c.Reason != event.ReasonEnd || c.AudioMillis != want.ms || !maps.Equal(c.Metadata, metadata) {
				t.Errorf("got %+v", c)
			}
			if ce := w.silent(); ce.Code != 1000 {
				t.Errorf("closed with %v", ce)
			}
			close(heard)
			n := 0
			for pcm := range heard {
				for ; len(pcm) >= 2; pcm = pcm[2:] {
					if s := int16(pcm[0]) | int16(pcm[1])<<8; s != want.sample {
						t.Fatalf("heard a sample %d, want %d", s, want.sample)
					}
					n++
				}
			}
			if rate := map[bool]int{true: 16, false: 8}[v == telephone.Plivo]; n != 60*rate {
				t.Errorf("heard %d samples, want %d", n, 60*rate)
			}
			if media, dtmf, stop := r.frames("media"), r.frames("dtmf"), r.frames("stop"); media != 3 || dtmf != 1 || stop != 1 {
				t.Errorf("counted %v media, %v dtmf, %v stop", media, dtmf, stop)
			}
		})
	}
}

// telnyxStart returns a start with an encoding and more parameters.
func telnyxStart(encoding, parameters string) string {
	return `{"event":"start","stream_id":"s","start":{"media_format":{"encoding":"` + encoding + `","sample_rate":8000,"channels":1},"custom_parameters":{"uid":"ada"` + parameters + `}}}`
}

func telnyxMedia(chunk int, track string, payload ...byte) string {
	return fmt.Sprintf(`{"event":"media","stream_id":"s","media":{"track":%q,"chunk":"%d","payload":%q}}`, track, chunk, base64.StdEncoding.EncodeToString(payload))
}

const telnyxStop = `{"event":"stop","stream_id":"s"}`

func TestWhatIsHeardOfACall(t *testing.T) {
	for name, row := range map[string]struct {
		frames []string
		want   string
		unheard, missing,
		late float64
	}{
		"L16 is little-endian":            {[]string{telnyxStart("L16", ""), telnyxMedia(1, "inbound", 1, 2)}, "\x01\x02", 0, 0, 0},
		"L16 is big-endian where it says": {[]string{telnyxStart("L16", `,"byte_order":"big"`), telnyxMedia(1, "inbound", 1, 2)}, "\x02\x01", 0, 0, 0},
		"the inbound track":               {[]string{telnyxStart("L16", ""), telnyxMedia(1, "inbound", 1, 1), telnyxMedia(1, "outbound", 2, 2)}, "\x01\x01", 1, 0, 0},
		"the outbound track if asked":     {[]string{telnyxStart("L16", `,"track":"outbound"`), telnyxMedia(1, "inbound", 1, 1), telnyxMedia(1, "outbound", 2, 2)}, "\x02\x02", 1, 0, 0},
		"chunks out of order":             {[]string{telnyxStart("L16", ""), telnyxMedia(1, "inbound", 1, 1), telnyxMedia(3, "inbound", 3, 3), telnyxMedia(2, "inbound", 2, 2)}, "\x01\x01\x02\x02\x03\x03", 0, 0, 0},
		"chunks around a lost one":        {[]string{telnyxStart("L16", ""), telnyxMedia(1, "inbound", 1, 1), telnyxMedia(3, "inbound", 3, 3), telnyxMedia(3, "inbound", 3, 3)}, "\x01\x01\x03\x03", 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan []byte, 16)
			r := newRig(t, rigOptions{wantsAudio: true, heard: heard})
			w := r.call(telephone.Telnyx)
			for _, f := range append(row.frames, telnyxStop) {
				w.text(f)
			}
			r.completed()
			close(heard)
			var got []byte
			for pcm := range heard {
				got = append(got, pcm...)
			}
			if string(got) != row.want {
				t.Errorf("heard %v, want %v", got, []byte(row.want))
			}
			lost := func(reason string) float64 {
				families, _ := r.metrics.Gather()
				for _, f := range families {
					for _, m := range f.GetMetric() {
						if l := m.GetLabel(); f.GetName() == "auricle_telephone_chunks_lost_total" && l[0].GetValue() == reason {
							return m.GetCounter().GetValue()
						}
					}
				}
				return 0
			}
			if u, m, l := r.frames("media_unheard"), lost("missing"), lost("late"); u != row.unheard || m != row.missing || l != row.late {
				t.Errorf("counted %v unheard, %v missing, %v late", u, m, l)
			}
		})
	}
}

// Frames that close the stream.
func TestCallsThatAreClosed(t *testing.T) {
	frames := recordedCall(t, telephone.Twilio)
	connected, start, media, stop := frames[0], frames[1], frames[2], frames[7]
	for name, row := range map[string]struct {
		frames []string
		code   string
		close  int
	}{
		"media before start":         {[]string{connected, media}, "not_started", 4500},
		"bad media before start":     {[]string{strings.Replace(media, `"payload": "`, `"payload": "%`, 1)}, "not_started", 4500},
		"stop before start":          {[]string{connected, stop}, "not_started", 4500},
		"no JSON":                    {[]string{"hello"}, "bad_message", 4500},
		"the native protocol":        {[]string{`{"type":"start","uid":"ada"}`}, "bad_message", 4500},
		"a second start":             {[]string{start, start}, "already_started", 4500},
		"no uid":                     {[]string{strings.Replace(start, `"uid"`, `"user"`, 1)}, "bad_start", 4500},
		"a uid with spaces":          {[]string{strings.Replace(start, `"ada"`, `"a b"`, 1)}, "bad_start", 4500},
		"a track that is none":       {[]string{strings.Replace(start, `"ticket"`, `"track"`, 1)}, "bad_start", 4500},
		"a byte order that isn't":    {[]string{strings.Replace(start, `"ticket"`, `"byte_order"`, 1)}, "bad_start", 4500},
		"a language too long":        {[]string{strings.Replace(start, `"en"`, `"`+strings.Repeat("e", 65)+`"`, 1)}, "bad_start", 4500},
		"too many parameters":        {[]string{tooMany(start)}, "bad_start", 4500},
		"a codec the host lacks":     {[]string{strings.Replace(start, "audio/x-mulaw", "audio/x-g722", 1)}, "unsupported_audio", 4503},
		"a message that is too long": {[]string{`{"event":"` + strings.Repeat("x", 1<<20) + `"}`}, "message_too_large", 4504},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			w := r.call(telephone.Twilio)
			for _, f := range row.frames {
				w.text(f)
			}
			if ce := w.silent(); ce.Code != row.close || ce.Text == "" {
				t.Errorf("closed with %v, want %d and a reason", ce, row.close)
			}
			if n := r.refused(row.code); n != 1 {
				t.Errorf("%v refused as %s", n, row.code)
			}
		})
	}
	t.Run("a binary frame", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		w := r.call(telephone.Twilio)
		w.text(start)
		w.audio(160)
		if ce := w.silent(); ce.Code != 4500 || r.refused("bad_message") != 1 {
			t.Errorf("closed with %v", ce)
		}
	})
}

func tooMany(start string) string {
	var more strings.Builder
	for i := range 14 {
		fmt.Fprintf(&more, `"p%d": "1", `, i)
	}
	return strings.Replace(start, `"ticket"`, more.String()+`"ticket"`, 1)
}

// Frames that are let go: the call goes on, and so does another beside it.
func TestCallsThatGoOn(t *testing.T) {
	frames := recordedCall(t, telephone.Twilio)
	start, media, stop := frames[1], frames[2], frames[7]
	for code, frame := range map[string]string{
		"bad_payload":       strings.Replace(media, `"payload": "`, `"payload": "%`, 1),
		"payload_too_large": strings.Replace(media, `"payload": "`, `"payload": "`+strings.Repeat("/", 64<<10), 1),
		"wrong_stream":      strings.Replace(media, "MZ18", "MZ99", 1),
		"unknown_event":     `{"event":"transcription","streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}`,
		"bad_message":       `{"event":"media","media":`,
	} {
		t.Run(code, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			beside := r.callAt(r.telephoneURL(telephone.Telnyx))
			beside.text(telnyxStart("PCMU", ""))
			w := r.call(telephone.Twilio)
			w.text(start)
			w.text(frame)
			w.text(media)
			w.text(stop)
			if c := r.completed(); c.AudioMillis != 20 {
				t.Errorf("%d ms were heard, want the 20 of the good frame", c.AudioMillis)
			}
			if ce := w.silent(); ce.Code != 1000 {
				t.Errorf("closed with %v", ce)
			}
			if n := r.refused(code); n != 1 {
				t.Errorf("%v refused as %s", n, code)
			}
			beside.text(telnyxMedia(1, "inbound", make([]byte, 80)...))
			beside.text(telnyxStop)
			if c := r.completed(); c.AudioMillis != 10 || c.Source != "telnyx" {
				t.Errorf("the call beside it: %+v", c)
			}
		})
	}
}

// A provider may close without stop; the call is over all the same.
func TestACallThatIsClosedWithoutStopIsComplete(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{Grace: time.Hour}})
	w := r.call(telephone.Telnyx)
	w.text(telnyxStart("PCMU", ""))
	w.text(telnyxMedia(1, "inbound", make([]byte, 160)...))
	w.text(telnyxMedia(3, "inbound", make([]byte, 160)...)) // held back until the end
	if err := w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if c := r.completed(); c.Reason != event.ReasonEnd || c.AudioMillis != 40 {
		t.Errorf("got %+v", c)
	}
}

func TestACallThatSaysNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{StartTimeout: 10 * time.Second}})
		s := &http.Server{Handler: r.server.Handler(stream.Telephone[0])}
		go s.Serve(l) // ends with Close
		defer s.Close()
		begin := time.Now()
		c, _, err := (&websocket.Dialer{NetDialContext: l.dial}).Dial("ws://pipe/v1/telephone/twilio", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w := &client{t, c}
		w.text(`{"event":"connected","protocol":"Call","version":"1.0.0"}`)
		if ce := w.silent(); ce.Code != 4502 || time.Since(begin) != 10*time.Second {
			t.Errorf("closed with %v after %v", ce, time.Since(begin))
		}
	})
}

// tokens is an Authenticator with a static token for ada, for eve and for a
// backend of all users, one without the scope, and the host's log.
func tokens(t *testing.T) (a *auth.Authenticator, token map[string]string) {
	t.Helper()
	token = map[string]string{}
	var c config.Auth
	for name, as := range map[string]config.AuthToken{
		"ada": {UID: "ada", Scopes: []string{"stream"}}, "eve": {UID: "eve", Scopes: []string{"stream"}},
		"backend": {Scopes: []string{"stream"}}, "reader": {UID: "ada", Scopes: []string{"read"}},
	} {
		as.Name = name
		token[name], as.SHA256 = auth.NewStatic()
		c.Static = append(c.Static, as)
	}
	a, err := auth.New(auth.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, token
}

// withToken puts a token into the recorded start's parameters.
func withToken(t *testing.T, v telephone.Vendor, start, token string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(start), &m); err != nil {
		t.Fatal(err)
	}
	switch v {
	case telephone.Twilio:
		m["start"].(map[string]any)["customParameters"].(map[string]any)["token"] = token
	case telephone.Telnyx:
		m["start"].(map[string]any)["custom_parameters"].(map[string]any)["token"] = token
	case telephone.Plivo:
		m["extra_headers"] = m["extra_headers"].(string) + ";token=" + token
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestACallShowsItsTokenInItsStart(t *testing.T) {
	for _, v := range telephone.Vendors {
		t.Run(string(v), func(t *testing.T) {
			a, token := tokens(t)
			once, _, err := a.Issue(auth.Identity{Scopes: auth.Scopes}, "ada", 0)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			r := newRig(t, rigOptions{auth: a, logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &log})})
			frames := recordedCall(t, v)
			start := 1
			if v == telephone.Plivo {
				start = 0
			}
			for _, row := range []struct {
				name, token string
				close       int
			}{
				{"the user's own", token["ada"], 1000},
				{"a backend's, of any user", token["backend"], 1000},
				{"a single-use one", once, 1000},
				{"the single-use one again", once, 4501},
				{"none", "", 4501},
				{"one that is unknown", "auricle_wrong", 4501},
				{"another user's", token["eve"], 4501},
				{"one that may not stream", token["reader"], 4501},
				{"no token at all, but a JWT's shape", "a.b.c", 4501},
			} {
				w := r.call(v)
				for i, f := range frames {
					if i == start {
						f = withToken(t, v, f, row.token)
					}
					w.text(f)
				}
				if ce := w.silent(); ce.Code != row.close {
					t.Errorf("%s: closed with %v, want %d", row.name, ce, row.close)
				}
				if row.close == 1000 {
					if c := r.completed(); c.UID != "ada" || c.Metadata["token"] != "" {
						t.Errorf("%s: got %+v", row.name, c)
					}
				}
			}
			select {
			case c := <-r.store.completed:
				t.Errorf("of a call that was refused something is kept: %+v", c)
			default:
			}
			r.until("all streams are closed", func() bool { return r.metric("auricle_streams_open") == 0 })
			for name, secret := range token {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the token of %s is in the log", name)
				}
			}
			if strings.Contains(log.String(), once) {
				t.Error("the single-use token is in the log")
			}
		})
	}
}

// Telnyx and Plivo keep a URL's query; some send headers.
func TestACallMayShowItsTokenInTheRequest(t *testing.T) {
	a, token := tokens(t)
	r := newRig(t, rigOptions{auth: a})
	url := r.telephoneURL(telephone.Plivo)
	once, _, err := a.Issue(auth.Identity{Scopes: auth.Scopes}, "ada", 0)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(query, bearer string) (*client, *http.Response) {
		h := http.Header{}
		if bearer != "" {
			h.Set("Authorization", "Bearer "+bearer)
		}
		c, resp, err := r.dialer.Dial(url+query, h)
		if err != nil {
			return nil, resp
		}
		t.Cleanup(func() { c.Close() })
		return &client{t, c}, resp
	}
	for name, row := range map[string]struct{ query, bearer string }{
		"a single-use token in the query": {"?token=" + once, ""},
		"a header":                        {"", token["ada"]},
	} {
		w, resp := dial(row.query, row.bearer)
		if w == nil {
			t.Fatalf("%s: %v", name, resp)
		}
		for _, f := range recordedCall(t, telephone.Plivo) {
			w.text(f)
		}
		if ce := w.silent(); ce.Code != 1000 {
			t.Errorf("%s: closed with %v", name, ce)
		}
		r.completed()
	}
	for name, row := range map[string]struct{ query, bearer string }{
		"the single-use token again": {"?token=" + once, ""},
		"a static token in the URL":  {"?token=" + token["ada"], ""},
		"a header that is unknown":   {"", "auricle_wrong"},
	} {
		if w, resp := dial(row.query, row.bearer); w != nil || resp == nil || resp.StatusCode != 401 {
			t.Errorf("%s: got %v, want 401", name, resp)
		}
	}
}

// Connections that show no credentials take a share of the host's places only.
func TestStreamsOfNobodyKeepNobodyElseOut(t *testing.T) {
	a, token := tokens(t)
	r := newRig(t, rigOptions{auth: a, conversation: conversation.Options{MaxSessions: 40},
		config: config.Stream{StartTimeout: time.Hour}}) // no place is given back by time
	url := r.telephoneURL(telephone.Twilio)
	frames := recordedCall(t, telephone.Twilio)
	var nobody []*client
	for range 16 {
		nobody = append(nobody, r.callAt(url))
	}
	refused := func() bool {
		c, resp, err := r.dialer.Dial(url, nil)
		if err == nil {
			c.Close()
			return false
		}
		if resp == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("got %v, %v; want 503 with Retry-After", resp, err)
		}
		return true
	}
	if !refused() {
		t.Fatal("a seventeenth stream of nobody was let in")
	}
	h := http.Header{"Authorization": {"Bearer " + token["ada"]}}
	if c, resp, err := r.dialer.Dial(url, h); err != nil {
		t.Errorf("one with credentials: %v, %v", resp, err)
	} else {
		c.Close()
	}
	// One that shows its token gives its place back, and so does one that leaves.
	nobody[0].text(withToken(t, telephone.Twilio, frames[1], token["ada"]))
	r.until("there is a place", func() bool { return !refused() })
	nobody[1].Close()
	nobody[2].text("hello")
	r.until("there are places", func() bool { return !refused() })
}
