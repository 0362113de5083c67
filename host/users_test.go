package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// choose asks a host about a user's app, and returns the user's apps.
func choose(t *testing.T, h *host.Host, method, uid, app, body string) (u api.UserApps) {
	t.Helper()
	path := "/v1/users/" + uid + "/apps"
	if app != "" {
		path += "/" + app
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.OperatorsAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
	}
	if err := json.Unmarshal(b, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// buffers returns how many sessions have an audio buffer, and the bytes there.
func buffers(t *testing.T, h *host.Host) (n, bytes string) {
	t.Helper()
	_, page := get(t, h, "/metrics")
	for line := range strings.Lines(string(page)) {
		if v, ok := strings.CutPrefix(line, "auricle_audio_buffers "); ok {
			n = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "auricle_audio_buffered_bytes "); ok {
			bytes = strings.TrimSpace(v)
		}
	}
	return n, bytes
}

// hearing is echo, for nobody by the configuration.
func hearing() config.App {
	a := echo()
	a.Name, a.Users = "hearing", []string{"nobody"}
	return a
}

func TestAudioBufferComesAndGoesWithTheFirstAudioApp(t *testing.T) {
	dir := t.TempDir()
	h, stop := start(t, configuration(dir, hearing()))
	c := openStream(t, h, "ada", 8000)
	audio := func() {
		t.Helper()
		if err := c.conn.WriteMessage(websocket.BinaryMessage, make([]byte, 16000)); err != nil { // a second, one piece
			t.Fatal(err)
		}
	}
	if n, _ := buffers(t, h); c.ready.Audio != "discarded" || len(c.ready.Apps) != 0 || n != "0" {
		t.Fatalf("at first: %+v, %s buffers", c.ready, n)
	}
	for round := range 3 {
		u := choose(t, h, http.MethodPut, "ada", "hearing", "")
		if want := (api.UserApp{Name: "hearing", Version: u.Apps[0].Version, On: true, Why: "user"}); len(u.Apps) != 1 || u.Apps[0] != want {
			t.Fatalf("after PUT: %+v", u)
		}
		if m := await[*wire.Apps](c); m.Audio != "buffered" || len(m.Apps) != 1 || m.Apps[0].Name != "hearing" {
			t.Fatalf("round %d: told %+v", round, m)
		}
		if n, _ := buffers(t, h); n != "1" {
			t.Errorf("%s buffers, want the one session's", n)
		}
		choose(t, h, http.MethodPut, "ada", "hearing", `{"state":"on"}`) // changes nothing, and nobody is told
		audio()
		if o := await[*wire.Output](c); o.App != "hearing" || o.Event != "audio" {
			t.Fatalf("round %d: %+v", round, o)
		}
		choose(t, h, http.MethodDelete, "ada", "hearing", "")
		if m := await[*wire.Apps](c); m.Audio != "discarded" || len(m.Apps) != 0 {
			t.Fatalf("round %d: told %+v", round, m)
		}
		if n, bytes := buffers(t, h); n != "0" || bytes != "0" {
			t.Errorf("%s buffers with %s bytes, want none", n, bytes)
		}
		audio() // goes nowhere
	}
	choose(t, h, http.MethodPut, "ada", "hearing", "")
	u := choose(t, h, http.MethodPut, "ada", "hearing", `{"state":"default"}`)
	if u.Apps[0].On || u.Apps[0].Why != "config" {
		t.Errorf("after a reset: %+v", u)
	}
	choose(t, h, http.MethodPut, "ada", "hearing", "")
	choose(t, h, http.MethodDelete, "nobody", "hearing", "")
	c.conn.Close()
	stop()

	// All of it is kept.
	h, stop = start(t, configuration(dir, hearing()))
	for uid, want := range map[string]string{"ada": "buffered", "bert": "discarded", "nobody": "discarded"} {
		c := openStream(t, h, uid, 8000)
		if c.ready.Audio != want {
			t.Errorf("%s after a restart: %+v, want audio %s", uid, c.ready, want)
		}
		c.conn.Close()
	}
	if u := choose(t, h, http.MethodGet, "nobody", "", ""); u.Apps[0].On || u.Apps[0].Why != "user" || !u.Apps[0].Default {
		t.Errorf("nobody's apps: %+v", u)
	}
	stop()

	// So are choices about an app that is not there, until they are taken back.
	h, _ = start(t, configuration(dir, echo()))
	if u := choose(t, h, http.MethodGet, "ada", "", ""); len(u.Absent) != 1 || u.Absent[0] != (api.AbsentApp{Name: "hearing", On: true}) {
		t.Errorf("without the app: %+v", u)
	}
	if u := choose(t, h, http.MethodPut, "ada", "hearing", `{"state":"default"}`); len(u.Absent) != 0 {
		t.Errorf("after a reset: %+v", u)
	}
}

// What an app has still to do for a user who switches it off is not done, and
// that can be seen.
func TestWorkOfAnAppThatIsSwitchedOffIsADeadLetter(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), echo(), spins()))
	c := openStream(t, h, "ada", 0)
	c.say(1, "One.")
	c.send(map[string]string{"type": "finish"})
	id := c.completed().ID
	reason := func(state string) string {
		_, body := get(t, h, "/v1/jobs?app=spins&conversation="+id+"&state="+state)
		var page struct{ Jobs []struct{ Reason string } }
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Jobs) == 0 {
			return ""
		}
		return page.Jobs[0].Reason
	}
	awaitTrue(t, "a job that waits", func() bool { return reason("waiting") != "" })
	choose(t, h, http.MethodDelete, "ada", "spins", "")
	if _, err := http.Post("http://"+h.OperatorsAddr().String()+"/v1/jobs/retry", "application/json", strings.NewReader(`{"app":"spins"}`)); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "a dead letter", func() bool { return reason("dead") == "switched_off" })

	// Nothing is due to it any more.
	c.say(2, "Two.")
	c.send(map[string]string{"type": "end"})
	whole := c.completed()
	if got := record(t, h, whole.ID); len(got.Jobs) != 0 {
		t.Errorf("jobs %+v, want none", got.Jobs)
	}
}

// awaitTrue asks until it is so.
func awaitTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s", what)
		}
	}
}

func TestHostsThatShareAStoreTakeUpEachOthersChoices(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, NoSystemAccount: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the NATS server did not start")
	}
	both := func() *host.Host {
		c := configuration(t.TempDir(), hearing())
		c.Store.NATS = config.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
		h, _ := start(t, c)
		return h
	}
	one, two := both(), both()
	c := openStream(t, two, "ada", 8000)
	for range 3 {
		choose(t, one, http.MethodPut, "ada", "hearing", "")
		if m := await[*wire.Apps](c); m.Audio != "buffered" {
			t.Fatalf("after PUT at the other host: %+v", m)
		}
		if u := choose(t, two, http.MethodGet, "ada", "", ""); !u.Apps[0].On {
			t.Errorf("this host says %+v", u)
		}
		choose(t, one, http.MethodPut, "ada", "hearing", `{"state":"default"}`)
		if m := await[*wire.Apps](c); m.Audio != "discarded" {
			t.Fatalf("after a reset at the other host: %+v", m)
		}
	}
	// Both at once, about different apps or the same: nothing is lost.
	done := make(chan error, 2)
	for _, h := range []*host.Host{one, two} {
		go func() {
			for i := range 10 {
				req, _ := http.NewRequest(http.MethodPut, fmt.Sprintf("http://%s/v1/users/u%d/apps/hearing", h.OperatorsAddr(), i%3), nil)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					done <- err
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					done <- fmt.Errorf("status %d", resp.StatusCode)
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
