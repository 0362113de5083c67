package host_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// bridgeModule builds the webhook bridge from its sources, once: a host that
// go test builds has none in it.
var bridgeModule = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bridge.wasm")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", file, "./bridge/app")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the bridge: %w\n%s", err, out)
	}
	return os.ReadFile(file)
})

const hookSecret = "0123456789abcdef0123456789abcdef"

// webhooks starts a host with the apps of a configuration file's text.
func webhooks(t *testing.T, hcl string) *host.Host {
	t.Helper()
	wasm, err := bridgeModule()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	module := filepath.Join(dir, "bridge.wasm")
	if err := os.WriteFile(module, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	c, ps := config.Load(config.LoadOptions{Path: "config.hcl", Source: []byte(hcl), Environ: []string{"HOOK_SECRET=" + hookSecret}})
	if len(ps) > 0 {
		t.Fatalf("problems:\n%v", ps)
	}
	c.Listen, c.Operators.Listen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(dir, "data")
	for i := range c.Apps {
		if c.Apps[i].Webhook != nil {
			c.Apps[i].Module = module
		}
	}
	h, _ := start(t, c)
	return h
}

// received is a request that a webhook app had.
type received struct {
	path, query string
	header      http.Header
	body        []byte
}

// webhookApp is a webhook app: it notes each request and answers as answer says,
// which may be called by several at once.
type webhookApp struct {
	*httptest.Server
	requests chan received
}

func newWebhookApp(t *testing.T, answer func(w http.ResponseWriter, r received)) *webhookApp {
	t.Helper()
	a := &webhookApp{requests: make(chan received, 256)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		req := received{r.URL.EscapedPath(), r.URL.RawQuery, r.Header, body}
		if r.Method != http.MethodPost {
			t.Errorf("got %s %s, want a POST", r.Method, r.URL)
		}
		a.requests <- req
		answer(w, req)
	}))
	t.Cleanup(a.Close)
	return a
}

// next returns the next request to path; those to others are passed over.
func (a *webhookApp) next(t *testing.T, path string) received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case r := <-a.requests:
			if r.path == path {
				return r
			}
		case <-ctx.Done():
			t.Fatalf("waiting for a request to %s", path)
		}
	}
}

// signed reports whether a request's signature is of its body and of now, as
// docs/webhooks.md tells app authors to check it.
func signed(r received, secret string, now time.Time) error {
	var stamp, sum string
	for part := range strings.SplitSeq(r.header.Get("Auricle-Signature"), ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			sum = value
		}
	}
	var sec int64
	if _, err := fmt.Sscan(stamp, &sec); err != nil {
		return fmt.Errorf("signature %q has no time", r.header.Get("Auricle-Signature"))
	}
	if d := now.Sub(time.Unix(sec, 0)).Abs(); d > 5*time.Minute {
		return fmt.Errorf("signed %v ago", d)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", stamp, r.body)
	if want := hex.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(sum), []byte(want)) {
		return fmt.Errorf("signature %s, want %s", sum, want)
	}
	return nil
}

// awaitOutput returns the next output of an app's that is is true for.
func awaitOutput(c *client, app string, is func(*wire.Output) bool) *wire.Output {
	c.t.Helper()
	for {
		if o := await[*wire.Output](c); o.App == app && is(o) {
			return o
		}
	}
}

// A webhook app that works with Omi gets here what it gets there, can tell who
// calls, and is understood.
func TestAWebhookAppGetsWhatOmiSends(t *testing.T) {
	var mu sync.Mutex
	tries := map[string]int{}
	app := newWebhookApp(t, func(w http.ResponseWriter, r received) {
		mu.Lock()
		tries[r.path]++
		n := tries[r.path]
		mu.Unlock()
		switch {
		case r.path == "/memory" && n == 1:
			w.WriteHeader(http.StatusInternalServerError)
		case r.path == "/memory" && n == 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.path == "/memory":
			io.WriteString(w, `{"message": "Noted: the budget."}`)
		case r.path == "/live" && n == 1:
			fmt.Fprintf(w, `{"message": %q}`, strings.Repeat("You talk of money. ", 20))
		case r.path == "/live" && n == 2:
			io.WriteString(w, `{"notification": {"prompt": "Cheer {{user_name}} up", "params": ["user_name"], "context": {"question": "mood"}}}`)
		default:
			io.WriteString(w, "OK")
		}
	})
	h := webhooks(t, fmt.Sprintf(`
jobs {
  attempts = 3
  over     = "1s"
}

app "journal" {
  webhook {
    conversation = "%[1]s/memory?key=a%%26b"
    transcript   = "%[1]s/live"
    audio        = "%[1]s/audio"
    audio_every  = "100ms"
  }

  http {
    private = ["127.0.0.0/8"]

    sign {
      secret = env("HOOK_SECRET")
    }

    header "Authorization" {
      value = env("HOOK_SECRET")
    }
  }
}
`, app.URL))

	user := "ana&b=1/%2B#" // printable ASCII, as uids are
	c := openStream(t, h, user, 8000)
	sound := pcmOf(1600)
	if err := c.conn.WriteMessage(websocket.BinaryMessage, sound); err != nil {
		t.Fatal(err)
	}
	heard := app.next(t, "/audio")
	if heard.query != "sample_rate=8000&uid=ana%26b%3D1%2F%252B%23" || heard.header.Get("Content-Type") != "application/octet-stream" || !bytes.Equal(heard.body, sound[:1600]) {
		t.Errorf("audio: %s, %s, %d bytes", heard.query, heard.header.Get("Content-Type"), len(heard.body))
	}

	c.say(1, "The budget is due.")
	said := app.next(t, "/live")
	if want := "session_id=" + c.ready.Session + "&uid=ana%26b%3D1%2F%252B%23"; said.query != want || said.header.Get("Content-Type") != "application/json" {
		t.Errorf("transcript: %s as %s, want %s", said.query, said.header.Get("Content-Type"), want)
	}
	var live struct {
		Session  string `json:"session_id"`
		Segments []struct {
			ID, Text, Speaker string
			SpeakerID         *int  `json:"speaker_id"`
			IsUser            *bool `json:"is_user"`
			Start, End        *float64
		}
	}
	if err := json.Unmarshal(said.body, &live); err != nil || live.Session != c.ready.Session || len(live.Segments) != 1 ||
		live.Segments[0].Text != "The budget is due." || live.Segments[0].Speaker != "SPEAKER_00" || *live.Segments[0].SpeakerID != 0 ||
		*live.Segments[0].IsUser || *live.Segments[0].Start != 1 || *live.Segments[0].End != 2 {
		t.Errorf("transcript %s, %v", said.body, err)
	}
	// A message is a notification, which is short, and in full an output.
	told := awaitOutput(c, "journal", func(o *wire.Output) bool { return o.Kind == event.OutputNotification })
	var notification struct{ Text string }
	if err := json.Unmarshal(told.Data, &notification); err != nil || len([]rune(notification.Text)) > event.NotifyMaxChars || !strings.HasSuffix(notification.Text, " talk of…") {
		t.Errorf("notification %s", told.Data)
	}
	whole := awaitOutput(c, "journal", func(o *wire.Output) bool { return o.Kind == event.OutputEmitted })
	if want := `{"message":"` + strings.TrimSpace(strings.Repeat("You talk of money. ", 20)) + `"}`; string(whole.Data) != want {
		t.Errorf("output %s, want %s", whole.Data, want)
	}
	c.say(2, "And so am I.")
	prompt := awaitOutput(c, "journal", func(o *wire.Output) bool { return o.Kind == event.OutputEmitted })
	if want := `{"notification":{"prompt":"Cheer {{user_name}} up","params":["user_name"],"context":{"question":"mood"}}}`; string(prompt.Data) != want {
		t.Errorf("output %s, want %s", prompt.Data, want)
	}

	// The conversation is tried again until it is taken, under one key.
	c.send(map[string]string{"type": "finish"})
	id := c.completed().ID
	var keys []string
	for range 3 {
		r := app.next(t, "/memory")
		keys = append(keys, r.header.Get("Idempotency-Key"))
		if r.query != "key=a%26b&uid=ana%26b%3D1%2F%252B%23" {
			t.Errorf("conversation: %s", r.query)
		}
		if err := signed(r, hookSecret, time.Now()); err != nil {
			t.Error(err)
		}
		var memory struct {
			ID        string `json:"id"`
			CreatedAt string `json:"created_at"`
			Segments  []any  `json:"transcript_segments"`
			Discarded *bool  `json:"discarded"`
		}
		if err := json.Unmarshal(r.body, &memory); err != nil || memory.ID != id || len(memory.Segments) != 2 || memory.Discarded == nil || *memory.Discarded {
			t.Errorf("conversation %s, %v", r.body, err)
		}
	}
	if len(keys[0]) != 32 || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("Idempotency-Keys %q, want one", keys)
	}
	message := awaitOutput(c, "journal", func(o *wire.Output) bool { return o.Event == "conversation" })
	if string(message.Data) != `{"message":"Noted: the budget."}` {
		t.Errorf("output %s", message.Data)
	}
	for what, r := range map[string]received{"audio": heard, "transcript": said} {
		if err := signed(r, hookSecret, time.Now()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if r.header.Get("Authorization") != hookSecret || r.header.Get("Idempotency-Key") != "" {
			t.Errorf("%s: headers %v", what, r.header)
		}
	}
	// A signature is of one body.
	forged := said
	forged.body = heard.body
	if signed(forged, hookSecret, time.Now()) == nil || signed(said, hookSecret+"x", time.Now()) == nil || signed(said, hookSecret, time.Now().Add(time.Hour)) == nil {
		t.Error("a forged or old request is taken")
	}

	// The API says what it is, and no secret of its URL.
	_, page := get(t, h, "/v1/apps")
	if !strings.Contains(string(page), `"conversation":"`+app.URL+`/memory"`) && !strings.Contains(string(page), `"conversation": "`+app.URL+`/memory"`) ||
		strings.Contains(string(page), "key=a") || strings.Contains(string(page), hookSecret) {
		t.Errorf("GET /v1/apps: %s", page)
	}
	awaitTrue(t, "the job to be done", func() bool { return len(record(t, h, id).Jobs) == 0 })
}

// pcmOf returns n bytes of sound.
func pcmOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// A webhook that lags gets the newest audio; what it did not get is told.
func TestALaggingWebhookGetsTheLatestAudio(t *testing.T) {
	release := make(chan struct{})
	app := newWebhookApp(t, func(w http.ResponseWriter, r received) { <-release })
	t.Cleanup(sync.OnceFunc(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	}))
	h := webhooks(t, fmt.Sprintf(`
app "ears" {
  webhook {
    audio         = "%s/audio"
    audio_every   = "100ms"
    audio_timeout = "30s"
  }

  http {
    private = ["127.0.0.0/8"]
  }
}
`, app.URL))
	c := openStream(t, h, "ana", 8000)
	say := func(n int) { // n pieces
		t.Helper()
		if err := c.conn.WriteMessage(websocket.BinaryMessage, pcmOf(1600*n)); err != nil {
			t.Fatal(err)
		}
	}
	say(1)
	app.next(t, "/audio")
	say(6)
	awaitTrue(t, "the audio to wait", func() bool {
		_, bytes := buffers(t, h)
		return bytes == fmt.Sprint(1600*6)
	})
	close(release)
	app.next(t, "/audio")
	gap := await[*wire.Gap](c)
	if gap.App != "ears" || gap.Reason != "superseded" || gap.Bytes != 1600*5 {
		t.Errorf("gap %+v, want five pieces superseded", gap)
	}
	for _, s := range h.Apps() {
		if s.Dropped["superseded"] != 1 {
			t.Errorf("%s: dropped %v", s.App, s.Dropped)
		}
	}
}

// Whatever a webhook does harms its own app, which fails with a reason; others,
// the stream and the conversation go on.
func TestAWebhookThatMisbehavesHarmsItsOwnAppOnly(t *testing.T) {
	ends := make(chan struct{})
	good := newWebhookApp(t, func(w http.ResponseWriter, r received) { io.WriteString(w, `{"message": "Well done."}`) })
	inside := newWebhookApp(t, func(w http.ResponseWriter, r received) {})
	bad := newWebhookApp(t, func(w http.ResponseWriter, r received) {
		switch r.path {
		case "/hang":
			<-ends
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case "/huge":
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 100 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/redirect":
			w.Header().Set("Location", strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)+"/secret")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/drip":
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-time.After(50 * time.Millisecond): // a webhook's own slowness
				case <-ends:
					return
				}
			}
		case "/cut":
			panic(http.ErrAbortHandler)
		}
	})
	t.Cleanup(func() { close(ends) })
	names := []string{"hang", "fails", "huge", "redirect", "drip", "cut"}
	var hcl strings.Builder
	hcl.WriteString("jobs {\n  attempts = 1\n}\n")
	hook := func(name, url string) {
		fmt.Fprintf(&hcl, `
app %[1]q {
  webhook {
    conversation         = "%[2]s/%[1]s"
    transcript           = "%[2]s/%[1]s"
    conversation_timeout = "500ms"
    transcript_timeout   = "500ms"
  }

  http {
    private = ["127.0.0.0/8"]
  }
}
`, name, url)
	}
	for _, n := range names {
		hook(n, bad.URL)
	}
	hook("good", good.URL)
	h := webhooks(t, hcl.String())

	c := openStream(t, h, "ana", 0)
	c.say(1, "One.")
	awaitOutput(c, "good", func(o *wire.Output) bool { return o.Kind == event.OutputNotification })
	c.send(map[string]string{"type": "finish"})
	id := c.completed().ID
	if o := awaitOutput(c, "good", func(o *wire.Output) bool { return o.Event == "conversation" }); string(o.Data) != `{"message":"Well done."}` {
		t.Errorf("output %s", o.Data)
	}
	why := map[string]string{
		"hang": "(timeout)", "fails": "webhook answered 500", "huge": "(response_too_large)",
		"redirect": "(redirect_refused)", "drip": "(timeout)", "cut": "(exchange_failed)",
	}
	for _, n := range names {
		var job store.Job
		awaitTrue(t, n+"'s job to be given up", func() bool {
			_, body := get(t, h, "/v1/jobs/"+n+"/"+id)
			job = store.Job{}
			if err := json.Unmarshal(body, &job); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			return job.State == store.JobDead && job.Last != nil
		})
		if job.Reason != string(plugins.AppError) || !strings.Contains(job.Last.Error, why[n]) {
			t.Errorf("%s: %s, %s; want app_error, %s", n, job.Reason, job.Last.Error, why[n])
		}
	}
	for _, s := range h.Apps() {
		failed := s.Outcomes[plugins.AppError]
		if slices.Contains(names, s.App) && (failed != 2 || len(s.Outcomes) != 1) || s.App == "good" && (s.Outcomes[plugins.OK] != 2 || len(s.Outcomes) != 1) {
			t.Errorf("%s: outcomes %v", s.App, s.Outcomes)
		}
	}
	if len(inside.requests) > 0 {
		t.Error("a redirect led to a host that was not granted")
	}
	c.send(map[string]string{"type": "end"})
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
}
