package host_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

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

func TestWhatAnAppStoresOutlastsTheHostAndTheApp(t *testing.T) {
	dir := t.TempDir()
	keeper := config.App{
		Name: "keeper", Module: apptest.Build(t, "../sdk/testdata/guests/keeper"), Users: []string{"*"},
		Grant:   []event.Capability{event.CapTranscript, event.CapStorage},
		Storage: config.AppStorage{MaxBytes: 1 << 10, MaxKeys: 2},
	}
	tell := func(h *host.Host, uid, order, want string) {
		t.Helper()
		c := openStream(t, h, uid, 0)
		c.say(1, order)
		if got := string(await[*wire.Output](c).Data); got != `"`+want+`"` {
			t.Errorf("%s, told %q, said %s, want %q", uid, order, got, want)
		}
		c.conn.Close()
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
