package host_test

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// storage asks a host for what app keeper keeps for a user, or deletes it.
func storage(t *testing.T, h *host.Host, method, uid string) (s api.UserStorage) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.OperatorsAddr().String()+"/v1/users/"+uid+"/apps/keeper/storage", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", method, resp.StatusCode, b, err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// keeps is an app that does to its storage what it hears.
func keeps(t *testing.T) config.App {
	t.Helper()
	return config.App{
		Name: "keeper", Module: apptest.Build(t, "../sdk/testdata/guests/keeper"), Users: []string{"*"},
		Grant:   []event.Capability{event.CapTranscript, event.CapStorage},
		Storage: config.AppStorage{MaxBytes: 1 << 10, MaxKeys: 2},
		Limits:  config.AppLimits{Wall: time.Minute}, // a machine with much to do makes no outcome another one
	}
}

// tellKeeper has app keeper, of a user who says order, answer with want.
func tellKeeper(t *testing.T, h *host.Host, uid, order, want string) {
	t.Helper()
	c := openStream(t, h, uid, 0)
	c.say(1, order)
	if got := string(await[*wire.Output](c).Data); got != `"`+want+`"` {
		t.Errorf("%s, told %q, said %s, want %q", uid, order, got, want)
	}
	c.conn.Close()
}

func TestWhatAnAppStoresOutlastsTheHostAndTheApp(t *testing.T) {
	dir, keeper := t.TempDir(), keeps(t)
	tell := func(h *host.Host, uid, order, want string) {
		t.Helper()
		tellKeeper(t, h, uid, order, want)
	}
	h, stop := start(t, configuration(dir, keeper))
	tell(h, "ada", "put a 1; add n 5; put third x", "5, quota")
	tell(h, "bob", "get a", "not found")
	tell(h, "bob", "put b 1", "")
	stop()

	h, stop = start(t, configuration(dir, keeper))
	tell(h, "ada", "get a; add n 1", "=1, 6")
	if s := storage(t, h, http.MethodGet, "ada"); s.UID != "ada" || s.App != "keeper" || s.Bytes != 4 || len(s.Keys) != 2 || s.Keys[1] != (event.StoredKey{Key: "n", Bytes: 1}) {
		t.Errorf("ada's: %+v", s)
	}
	stop()

	h, stop = start(t, configuration(dir)) // without the app
	if s := storage(t, h, http.MethodGet, "ada"); len(s.Keys) != 2 {
		t.Errorf("ada's, without the app: %+v", s)
	}
	if s := storage(t, h, http.MethodDelete, "ada"); s.Keys == nil || len(s.Keys) != 0 {
		t.Errorf("ada's, deleted: %+v", s)
	}
	storage(t, h, http.MethodDelete, "ada") // of nothing
	stop()

	h, _ = start(t, configuration(dir, keeper))
	tell(h, "ada", "get a; add n 1", "not found, 1")
	tell(h, "bob", "get b", "=1")
}

// One user with sessions at two hosts, whose app counts in all of them at once.
func TestHostsThatShareAStoreLoseNothingThatAnAppAdds(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, NoSystemAccount: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the NATS server did not start")
	}
	keeper := keeps(t)
	var hosts []*host.Host
	for range 2 {
		c := configuration(t.TempDir(), keeper)
		c.Store.NATS = config.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
		h, _ := start(t, c)
		hosts = append(hosts, h)
	}
	var all sync.WaitGroup
	for i := range 4 {
		c := openStream(t, hosts[i%2], "ada", 0)
		all.Go(func() {
			for seq := range 10 {
				c.say(seq+1, "add n 1")
				await[*wire.Output](c)
			}
		})
	}
	all.Wait()
	for _, h := range hosts {
		tellKeeper(t, h, "ada", "get n", "=40")
	}
}
