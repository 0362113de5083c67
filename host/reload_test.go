package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// operated is a host with a configuration file that a test edits.
type operated struct {
	*host.Host
	t    *testing.T
	dir  string
	stop func()

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// Write takes the host's log.
func (o *operated) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(b)
}

func (o *operated) logged() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.String()
}

// edit writes the configuration file. Modules stand beside it.
func (o *operated) edit(hcl string) {
	o.t.Helper()
	hcl = `listen = "127.0.0.1:0"` + "\n" + `data_dir = "data"` + "\n" + hcl
	if err := os.WriteFile(filepath.Join(o.dir, "config.hcl"), []byte(hcl), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// module copies a guest, named from this folder, to name.wasm beside the file.
func (o *operated) module(name, guest string) {
	o.t.Helper()
	wasm, err := os.ReadFile(guest)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.dir, name+".wasm"), wasm, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// read loads the file as serve does.
func (o *operated) read() (config.Config, config.Problems) {
	return config.Load(config.LoadOptions{Path: filepath.Join(o.dir, "config.hcl"), Environ: []string{"AURICLE_OPERATORS_LISTEN=127.0.0.1:0"}})
}

const (
	echoGuest     = "dispatch/testdata/echo.wasm"
	echoNextGuest = "dispatch/testdata/echo_next.wasm"
	spinsGuest    = "dispatch/testdata/spins.wasm"
	counterGuest  = "apps/testdata/counter.wasm"
)

// operate runs a host on a configuration, with the guests notes (which is
// echo), echo, spins and counter beside it, until the test ends.
func operate(t *testing.T, hcl string) *operated {
	t.Helper()
	o := &operated{t: t, dir: t.TempDir()}
	o.module("echo", echoGuest)
	o.module("notes", echoGuest)
	o.module("spins", spinsGuest)
	o.module("counter", counterGuest)
	o.edit(hcl)
	c, problems := o.read()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	o.Host, o.stop = startWith(t, host.Options{Config: c, Reload: o.read, Logger: hclog.New(&hclog.LoggerOptions{Output: o, Level: hclog.Info})})
	return o
}

// reload posts to /v1/reload and returns the report.
func (o *operated) reload() host.ReloadReport {
	o.t.Helper()
	status, body := post(o.t, o.Host, "/v1/reload")
	var r host.ReloadReport
	if err := json.Unmarshal(body, &r); err != nil || status != http.StatusOK {
		o.t.Fatalf("POST /v1/reload: %d %s (%v)", status, body, err)
	}
	return r
}

// became says what a reload did with the apps: "kept a; changed b".
func became(r host.ReloadReport) string {
	var out []string
	for _, of := range []struct {
		what  string
		names []string
	}{{"kept", r.Kept}, {"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed}} {
		if len(of.names) > 0 {
			out = append(out, of.what+" "+strings.Join(of.names, " "))
		}
	}
	return strings.Join(out, "; ")
}

func post(t *testing.T, h *host.Host, path string) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.OperatorsAddr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// heard says who answered a transcript (echo with the event, echo_next with
// [event], counter with [count, event]) and what: "echo 1 2" are the ids of its
// segments, "counter 3" is the count.
func heard(t *testing.T, o *wire.Output) string {
	t.Helper()
	who, data := "echo", o.Data
	var list []json.RawMessage
	if json.Unmarshal(o.Data, &list) == nil {
		who, data = "echo_next", list[len(list)-1]
	}
	if len(list) == 2 {
		who = "counter " + string(list[0])
	}
	var e event.Transcript
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%s: %v", o.Data, err)
	}
	if e.Restarted {
		return who + " restarted"
	}
	if len(list) < 2 {
		for _, s := range e.Segments {
			who += " " + s.ID
		}
	}
	return who
}

// A stream goes on through a reload in which the module that answers it is
// another, with the same configuration: each thing that is said is answered
// once, before by the one and after by the other.
func TestStreamNoticesNothingOfAReload(t *testing.T) {
	o := operate(t, `
		app "notes" {
		  module = "notes.wasm"
		  grant  = ["audio", "transcript", "conversation"]
		}
		app "other" {
		  module = "echo.wasm"
		  grant  = ["audio", "transcript", "conversation"]
		}`)
	const before, during, after = 3, 200, 203
	c := openStream(t, o.Host, "ada", 0)
	next := 0 // segment that nobody was heard of yet, of each app
	others := 0
	who := []string{""} // answered for notes, in turn
	hear := func(until int) {
		t.Helper()
		for next < until || others < until {
			out := await[*wire.Output](c)
			answer := strings.Fields(heard(t, out))
			at := &next
			if out.App == "other" {
				at = &others
			} else if who[len(who)-1] != answer[0] {
				who = append(who, answer[0])
			}
			for _, id := range answer[1:] {
				if *at++; id != fmt.Sprint(*at) {
					t.Fatalf("%s heard %s, want segment %d", out.App, id, *at)
				}
			}
		}
	}
	for seq := 1; seq <= before; seq++ {
		c.say(seq, "word")
		hear(seq)
	}
	o.module("notes", echoNextGuest)
	reloaded := make(chan host.ReloadReport, 1)
	go func() { // ends with the reload; waited for below
		r, err := o.Reload(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Error(err)
		}
		reloaded <- r
	}()
	seq := before
	for ; seq < during; seq++ {
		c.say(seq+1, "word")
	}
	if got, want := became(<-reloaded), "kept other; changed notes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	hear(during)
	for ; seq < after; seq++ {
		c.say(seq+1, "word")
		hear(seq + 1)
	}
	if want := []string{"", "echo", "echo_next"}; !slices.Equal(who, want) {
		t.Errorf("answered by %q, want the old module and then the new one", who[1:])
	}
	c.send(map[string]string{"type": "end"})
	if whole := c.completed(); len(whole.Segments) != after {
		t.Errorf("%d segments, want %d", len(whole.Segments), after)
	}
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
	for _, s := range o.Apps() {
		if s.Outcomes[plugins.OK] == 0 || len(s.Outcomes) != 1 || len(s.Dropped) != 0 {
			t.Errorf("%s: %+v, want nothing but ok", s.App, s)
		}
	}
	for _, line := range []string{"app kept: app=other", "app changed: app=notes", "configuration reloaded: kept=1 added=0 changed=1 removed=0"} {
		if !strings.Contains(o.logged(), line) {
			t.Errorf("the log lacks %q:\n%s", line, o.logged())
		}
	}
}

func TestAppIsToldThatItsStateIsLost(t *testing.T) {
	const app = `
		app "tally" {
		  module = "counter.wasm"
		  grant  = ["audio", "transcript", "conversation"]
		  state  = "session"
		  %s
		}`
	o := operate(t, fmt.Sprintf(app, ""))
	c := openStream(t, o.Host, "ada", 0)
	for seq, step := range []struct{ hcl, became, want string }{
		{"", "", "counter 1"},
		{"", "", "counter 2"},
		{"limits { fuel = 30e6 }", "changed tally", "counter 1 restarted"},
		{"# the same\nlimits { fuel = 30e6 }", "kept tally", "counter 2"},
	} {
		if step.hcl != "" {
			o.edit(fmt.Sprintf(app, step.hcl))
			if got := became(o.reload()); got != step.became {
				t.Errorf("got %q, want %q", got, step.became)
			}
		}
		c.say(seq+1, "word")
		if got := heard(t, await[*wire.Output](c)); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
}

func TestConfigurationWithFaultsChangesNothing(t *testing.T) {
	const good = `
app "notes" {
  module = "echo.wasm"
  grant  = ["audio", "transcript", "conversation"]
}
`
	o := operate(t, good)
	o.module("broken", "reload.go")
	c := openStream(t, o.Host, "ada", 0)
	running := o.Installed()
	for seq, bad := range []struct {
		name string
		hcl  string
		want []string // of the problems, behind the directory
	}{
		{"not HCL", good + `app "more" {`, []string{"config.hcl:8:"}},
		{"a key that is unknown, and a module that is missing", "pool { worker = 3 }\n" + strings.Replace(good, "echo.wasm", "gone.wasm", 1),
			[]string{"config.hcl:3:8: unknown key", `config.hcl:6:12: app "notes": module`}},
		{"a module that is none, beside a good one", good + `app "broken" { module = "broken.wasm" }`, []string{`config.hcl:8:25: app "broken": its module can't be loaded`}},
		{"nothing granted", strings.Replace(good, `["audio", "transcript", "conversation"]`, "[]", 1), []string{`config.hcl:6:12: app "notes": it needs`}},
	} {
		t.Run(bad.name, func(t *testing.T) {
			o.edit(bad.hcl)
			status, body := post(t, o.Host, "/v1/reload")
			var answer struct{ Problems []string }
			if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusUnprocessableEntity || len(answer.Problems) < len(bad.want) {
				t.Fatalf("got %d %s (%v), want 422 and %q", status, body, err, bad.want)
			}
			for i, want := range bad.want {
				if !strings.Contains(answer.Problems[i], "/"+want) {
					t.Errorf("problem %q, want %q", answer.Problems[i], want)
				}
				if !strings.Contains(o.logged(), answer.Problems[i]) {
					t.Errorf("the log lacks %q", answer.Problems[i])
				}
			}
			if !slices.Equal(o.Installed(), running) {
				t.Error("the apps are others")
			}
			c.say(seq+1, "still there?")
			if got, want := heard(t, await[*wire.Output](c)), fmt.Sprint("echo ", seq+1); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	if status, body := get(t, o.Host, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	o.edit(good)
	if got := became(o.reload()); got != "kept notes" {
		t.Errorf("mended: %q, want it kept", got)
	}
}

// An app that is removed while it works goes when it has ended.
func TestRemovedAppEndsWhatItRuns(t *testing.T) {
	o := operate(t, `
		app "slow" {
		  module = "spins.wasm"
		  grant  = ["transcript", "conversation"]
		  limits {
		    fuel = 1e15
		    wall = "700ms"
		  }
		}`)
	c := openStream(t, o.Host, "ada", 0)
	c.say(1, "one")
	for end := time.Now().Add(patience); o.Pool().Running == 0; {
		if time.Now().After(end) {
			t.Fatal("the app was not called")
		}
	}
	o.edit("")
	if got := became(o.reload()); got != "removed slow" {
		t.Errorf("got %q", got)
	}
	if o.Pool().Running != 1 {
		t.Error("the reload waited for what ran")
	}
	c.say(2, "two")
	c.send(map[string]string{"type": "end"})
	c.completed()
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
	if _, body := get(t, o.Host, "/v1/apps"); !strings.Contains(string(body), `"apps":[]`) {
		t.Errorf("/v1/apps: %s, want none", body)
	}
	want := `auricle_invocations_total{app="slow",event="transcript",outcome="deadline_exceeded"} 1`
	for end := time.Now().Add(patience); ; {
		if _, metrics := get(t, o.Host, "/metrics"); strings.Contains(string(metrics), want) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("/metrics lacks %s: it was cut", want)
		}
	}
}

// What an app has still to do when it is removed waits for when it is installed
// again.
func TestCompletedConversationsWaitForTheirApp(t *testing.T) {
	o := operate(t, `
		pool { workers = 1 }
		app "minutes" {
		  module = "spins.wasm"
		  grant  = ["transcript", "conversation"]
		  limits {
		    fuel = 1e15
		    wall = "400ms"
		  }
		}`)
	c := openStream(t, o.Host, "ada", 0)
	var ids []string
	for seq := 1; seq <= 2; seq++ { // the second waits while the first spins
		c.say(seq, "word")
		c.send(map[string]string{"type": "finish"})
		ids = append(ids, c.completed().ID)
	}
	o.edit("")
	if got := became(o.reload()); got != "removed minutes" {
		t.Errorf("got %q", got)
	}
	until := func(what, path, text string) {
		t.Helper()
		for end := time.Now().Add(patience); ; {
			_, body := get(t, o.Host, path)
			if strings.Contains(string(body), text) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %s, want %s", what, body, text)
			}
		}
	}
	until("removed", "/v1/jobs?conversation="+ids[1], `"reason":"not_installed"`)
	o.edit(`
		app "minutes" {
		  module = "echo.wasm"
		  grant  = ["audio", "transcript", "conversation"]
		}`)
	if got := became(o.reload()); got != "added minutes" {
		t.Errorf("got %q", got)
	}
	until("installed again", "/v1/conversations/"+ids[1], `"app":"minutes"`)
}

// Audio is kept from when an app is to get it until none is.
func TestAudioAppComesAndGoesDuringAStream(t *testing.T) {
	const app = `
		app "hears" {
		  module = "echo.wasm"
		  grant  = ["audio", "transcript", "conversation"]
		}`
	o := operate(t, "")
	c := openStream(t, o.Host, "ada", 8000)
	speak := func(seconds int) {
		t.Helper()
		for range seconds {
			if err := c.conn.WriteMessage(websocket.BinaryMessage, make([]byte, 16000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	said := 0
	settle := func(buffered, discarded int) { // all that was sent is taken
		t.Helper()
		said++
		c.say(said, "word")
		await[*wire.Ack](c)
		for _, want := range []string{
			fmt.Sprintf("\nauricle_audio_buffered_bytes %d\n", buffered),
			fmt.Sprintf("\nauricle_audio_discarded_bytes_total %d\n", discarded),
		} {
			for end := time.Now().Add(patience); ; { // the app takes a second of audio in several pieces
				if _, metrics := get(t, o.Host, "/metrics"); strings.Contains(string(metrics), want) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("/metrics lacks %q", strings.TrimSpace(want))
				}
			}
		}
	}
	speak(2)
	settle(0, 32000)

	o.edit(app)
	if got := became(o.reload()); got != "added hears" {
		t.Errorf("got %q", got)
	}
	speak(1)
	for out := await[*wire.Output](c); out.Event != "audio"; {
		out = await[*wire.Output](c)
	}
	settle(0, 32000)

	o.edit("")
	if got := became(o.reload()); got != "removed hears" {
		t.Errorf("got %q", got)
	}
	speak(1)
	settle(0, 48000)
	c.send(map[string]string{"type": "end"})
	if whole := c.completed(); whole.AudioMillis != 4000 {
		t.Errorf("%d ms of audio, want all 4,000", whole.AudioMillis)
	}
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
}

func TestReloadAppliesTheLogLevelAndNamesWhatNeedsARestart(t *testing.T) {
	o := operate(t, `pool { workers = 8 }`)
	o.edit(`
log_level = "error"
pool { workers = 9 }
conversation { silence = "60s" }
`)
	restart := []struct{ key, at string }{{"pool.workers", ":5:18"}, {"conversation.silence", ":6:26"}}
	for i, applied := range [][]string{{"log_level"}, {}} {
		r := o.reload()
		if !reflect.DeepEqual(r.Applied, applied) {
			t.Errorf("reload %d applied %q, want %q", i, r.Applied, applied)
		}
		if len(r.Restart) != len(restart) {
			t.Fatalf("restart %v, want %v", r.Restart, restart)
		}
		for i, want := range restart {
			if got := r.Restart[i]; got.Key != want.key || !strings.HasSuffix(got.At, "/config.hcl"+want.at) {
				t.Errorf("restart %v, want %v", got, want)
			}
		}
	}
	if n := strings.Count(o.logged(), "configuration reloaded"); n > 1 {
		t.Errorf("%d lines at info with the log at error", n)
	}
}

func TestReloadsWaitForEachOtherAndEndWithTheHost(t *testing.T) {
	reading, proceed := make(chan struct{}, 1), make(chan struct{})
	c := configuration(t.TempDir(), echo())
	h, stop := startWith(t, host.Options{Config: c, Reload: func() (config.Config, config.Problems) {
		reading <- struct{}{}
		<-proceed
		changed := c
		changed.Apps = nil
		return changed, nil
	}})
	first := make(chan error, 1)
	go func() { // ends with proceed; waited for below
		_, err := h.Reload(context.WithoutCancel(t.Context()))
		first <- err
	}()
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := h.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second reload: %v, want that it waits for the first until its context ends", err)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }() // ends when the host has; waited for below
	for end := time.Now().Add(patience); h.Ready() == nil; {
		if time.Now().After(end) {
			t.Fatal("the host does not stop")
		}
	}
	if _, err := h.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("while the host stops: %v, want that it is shutting down", err)
	}
	close(proceed)
	if err := <-first; err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("the first reload: %v, want that the host is shutting down", err)
	}
	<-stopped
	if n := len(h.Installed()); n != 1 {
		t.Errorf("%d apps, want what was there", n)
	}
}

func TestHostThatWasNotToldHowCanNotReload(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	if _, err := h.Reload(t.Context()); err == nil {
		t.Error("reloaded nothing without an error")
	}
	if status, body := post(t, h, "/v1/reload"); status != http.StatusNotFound {
		t.Errorf("POST /v1/reload: %d %s, want 404", status, body)
	}
}
