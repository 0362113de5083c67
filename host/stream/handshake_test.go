package stream_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/conversation"
)

func TestARequestThatIsNoStreamIsRefusedWithWhatToDo(t *testing.T) {
	r := newRig(t, rigOptions{})
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	with := func(k, v string) http.Header {
		h := upgrade.Clone()
		h.Set(k, v)
		return h
	}
	for _, c := range []struct {
		name   string
		method string
		header http.Header
		status int
		code   string
		want   string // in the message
	}{
		{"plain GET", "GET", nil, 426, "upgrade_required", "WebSocket client"},
		{"POST", "POST", nil, 405, "method_not_allowed", "GET"},
		{"old version", "GET", with("Sec-WebSocket-Version", "8"), 400, "bad_handshake", "13"},
		{"bad key", "GET", with("Sec-WebSocket-Key", "x"), 400, "bad_handshake", "Sec-WebSocket-Key"},
		{"page of another site", "GET", with("Origin", "https://example.com"), 403, "origin_not_allowed", "example.com"},
		{"page under a name for this host", "GET", with("Origin", "http://rebound.example:7080"), 403, "origin_not_allowed", "localhost"},
		{"page that hides its origin", "GET", with("Origin", "null"), 403, "origin_not_allowed", "null"},
		{"page whose name only begins so", "GET", with("Origin", "http://localhost.example.com"), 403, "origin_not_allowed", "example.com"},
		{"page of this machine", "GET", with("Origin", "http://localhost:8000"), 101, "", ""},
		{"page of this machine, by IPv4", "GET", with("Origin", "http://127.0.0.1:8000"), 101, "", ""},
		{"page of this machine, by IPv6", "GET", with("Origin", "http://[::1]:8000"), 101, "", ""},
		{"program", "GET", upgrade, 101, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, "http"+strings.TrimPrefix(r.url, "ws"), nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.header {
				req.Header[k] = v
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Errorf("status: got %s, want %d", resp.Status, c.status)
			}
			if c.status != 101 {
				checkRefusal(t, resp, c.code, c.want)
			}
		})
	}
}

func checkRefusal(t *testing.T, resp *http.Response, code, want string) {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Error struct {
			Code, Message string
			RequestID     string `json:"request_id"`
		}
	}
	if err := json.Unmarshal(b, &body); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	e := body.Error
	if e.Code != code || !strings.Contains(e.Message, want) || !strings.HasPrefix(e.RequestID, "r_") {
		t.Errorf("got %+v, want %s that says %q", e, code, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: got %s", got)
	}
}

func TestAFullHostRefusesBeforeTheUpgrade(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{MaxSessions: 2}})
	r.start()
	w, _ := r.start()
	_, resp, err := r.dialer.Dial(r.url, nil)
	if err == nil || resp == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("got %v, %v; want 503 with Retry-After", resp, err)
	}
	checkRefusal(t, resp, "host_full", "again")
	w.Close()
	r.until("there is room", func() bool { return r.metric("auricle_streams_open") == 1 })
	r.start()
}

func TestAHostThatShutsDownRefusesBeforeTheUpgrade(t *testing.T) {
	r := newRig(t, rigOptions{})
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, resp, err := r.dialer.Dial(r.url, nil)
	if err == nil || resp == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("got %v, %v; want 503 with Retry-After", resp, err)
	}
	checkRefusal(t, resp, "shutting_down", "again")
}
