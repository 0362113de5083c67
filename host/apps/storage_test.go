package apps_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/space"
)

var storing = strings.Replace(allCaps, `"capabilities": [`, `"capabilities": [{"name": "storage", "reason": "to remember"}, `, 1)

// put is a request with its bytes.
func put(key, value string) string {
	return fmt.Sprintf(`{"op":"storage_put","key":%q,"bytes":%d}%s`, key, len(value), value)
}

// kept returns what app notes keeps for user u, as "key=value" in order.
func kept(t *testing.T, s apps.Storage) string {
	t.Helper()
	v, _, err := s.Values(t.Context(), "notes", "u")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range v.List() {
		all = append(all, k.Key+"="+string(v[k.Key]))
	}
	return strings.Join(all, " ")
}

// storingApp returns the script app with its storage.
func storingApp(t *testing.T, s apps.Storage) *apps.App {
	t.Helper()
	a := openScript(t, storing)
	apps.StoreIn(a, s)
	return a
}

func TestWhatIsStoredIsKeptWhenTheInvocationEndsOK(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*script) *script
		want plugins.Outcome
		kept string
	}{
		{"ok", func(s *script) *script { return s }, plugins.OK, "a=new b=1"},
		{"trap", func(s *script) *script { return s.do(opTrap) }, plugins.Trap, "a=old"},
		{"app error", func(s *script) *script { return s.do(opReturn, 1) }, plugins.AppError, "a=old"},
		{"spent fuel", func(s *script) *script { return s.do(opSpin) }, plugins.FuelExhausted, "a=old"},
	} {
		var s apps.MemoryStorage
		if ok, err := s.PutValues(t.Context(), "notes", "u", space.Values{"a": []byte("old")}, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
		a := storingApp(t, &s)
		inv := c.end(new(script).with(opCall, put("a", "new")).with(opCall, put("b", "1"))).run(t, a)
		if inv.Outcome != c.want && !(c.want == plugins.FuelExhausted && inv.Outcome == plugins.DeadlineExceeded) {
			t.Errorf("%s: %s %s", c.name, inv.Outcome, inv.Err)
		}
		if got := kept(t, &s); got != c.kept {
			t.Errorf("%s: kept %q, want %q", c.name, got, c.kept)
		}
	}
}

func TestAnswersOfStorage(t *testing.T) {
	a := storingApp(t, &apps.MemoryStorage{})
	s := new(script)
	for _, request := range []string{
		`{"op":"storage_get","key":"a"}`, put("a", ""), `{"op":"storage_get","key":"a"}`,
		`{"op":"storage_add","key":"n","delta":7}`, `{"op":"storage_delete","key":"n"}`, `{"op":"storage_add","key":"n"}`,
		`{"op":"storage_put","key":""}`, `{"op":"storage_list","limit":-1}`, `{"op":"storage_get","key":"a","colour":1}`,
	} {
		s.with(opCall, request).do(opResult, scratch, 2000).do(opEmitLast, scratch)
	}
	want := []string{
		`output {"ok":false,"error":{"code":"not_found","message":"there is no key \"a\""}}`, `output {"ok":true}`, `output {"ok":true}`,
		`output {"ok":true,"sum":7}`, `output {"ok":true}`, `output {"ok":true}`,
		`output {"ok":false,"error":{"code":"bad_key","message":"a key has 1 to 512 bytes, this one 0"}}`,
		`output {"ok":false,"error":{"code":"bad_request","message":"limit is -1; it may be 1 to 1000, or 0 for 100"}}`,
		`output {"ok":false,"error":{"code":"bad_request","message":"the request: `,
	}
	got := outputs(s.run(t, a))
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i, w := range want {
		if got[i] != w && !(i == len(want)-1 && strings.HasPrefix(got[i], w)) {
			t.Errorf("answer %d: %s, want %s", i, got[i], w)
		}
	}
	inv := new(script).with(opCall, `{"op":"storage_get","key":"a"}`).do(opResult, scratch, 2000).do(opEmitLast, scratch).run(t, openScript(t, allCaps))
	if got := outputs(inv); len(got) != 1 || !strings.Contains(got[0], `"not_granted"`) {
		t.Errorf("without the capability: %q", got)
	}
}

func TestAStoredValueIsPaidFor(t *testing.T) {
	var s apps.MemoryStorage
	if ok, err := s.PutValues(t.Context(), "notes", "u", space.Values{"small": {1}, "large": make([]byte, 100_001)}, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	a := storingApp(t, &s)
	fuel := func(key string) uint64 {
		return new(script).with(opCall, fmt.Sprintf(`{"op":"storage_get","key":%q}`, key)).run(t, a).Fuel
	}
	if more := fuel("large") - fuel("small"); more != 100_000 {
		t.Errorf("100,000 bytes more cost %d units more, though they were not read", more)
	}
}

// failing is a Storage that breaks.
type failing struct {
	apps.MemoryStorage
	values, put error
	lost        int // how often others are faster
}

func (f *failing) Values(ctx context.Context, app, uid string) (space.Values, uint64, error) {
	if f.values != nil {
		return nil, 0, f.values
	}
	return f.MemoryStorage.Values(ctx, app, uid)
}

func (f *failing) PutValues(ctx context.Context, app, uid string, v space.Values, after uint64) (bool, error) {
	if f.lost--; f.lost >= 0 {
		other, revision, _ := f.MemoryStorage.Values(ctx, app, uid)
		more, err := space.Changes{"other": {Add: true, Delta: 1}, "a": {Value: []byte("theirs")}}.Apply(other, space.DefaultQuota)
		if err != nil {
			return false, err
		}
		if ok, err := f.MemoryStorage.PutValues(ctx, app, uid, more, revision); !ok || err != nil {
			return ok, err
		}
	}
	if f.put != nil {
		return false, f.put
	}
	return f.MemoryStorage.PutValues(ctx, app, uid, v, after)
}

func TestAStoreThatFailsIsNotTheAppsFault(t *testing.T) {
	broken := errors.New("the disk is full")
	for _, f := range []*failing{{values: broken}, {put: broken}, {put: &space.QuotaError{Why: "too large"}}} {
		a := storingApp(t, f)
		inv, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindConversation, UID: "u", Payload: new(script).with(opCall, put("a", "1")).with(opEmit, `1`).payload()})
		if f.put != nil && !errors.Is(f.put, broken) {
			if err != nil || inv.Outcome != plugins.AppError || !strings.Contains(inv.Err, "quota_exceeded: too large") || len(inv.Outputs) > 0 {
				t.Errorf("no room: %s %s (%v)", inv.Outcome, inv.Err, err)
			}
			continue
		}
		if !errors.Is(err, broken) && (err == nil || !strings.Contains(err.Error(), broken.Error())) || len(inv.Outputs) > 0 {
			t.Errorf("%+v: %s with %v, want an error of the host's", f, inv.Outcome, err)
		}
	}
	// An app that only reads does not need the store to take writes.
	if inv := new(script).with(opCall, `{"op":"storage_get","key":"a"}`).run(t, storingApp(t, &failing{put: broken})); inv.Outcome != plugins.OK {
		t.Errorf("who only reads: %s %s", inv.Outcome, inv.Err)
	}
}

// stalled is a Storage that does not answer.
type stalled struct{ apps.MemoryStorage }

func (*stalled) Values(ctx context.Context, _, _ string) (space.Values, uint64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func TestAStoreThatStallsIsNotTheAppsFaultEither(t *testing.T) {
	quick := strings.Replace(storing, `"events"`, `"limits": {"wall_ms": 30}, "events"`, 1)
	a := openScript(t, quick)
	apps.StoreIn(a, &stalled{})
	_, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, UID: "u", Payload: new(script).with(opCall, put("a", "1")).payload()})
	if err == nil || !strings.Contains(err.Error(), "reading its storage") {
		t.Errorf("got %v, want an error of the host's", err)
	}
}

func TestStateGoesWithWhatIsNotKept(t *testing.T) {
	f := &failing{}
	a := openScript(t, strings.Replace(storing, `"events"`, `"state": "session", "events"`, 1))
	apps.StoreIn(a, f)
	var state apps.SessionState
	defer state.Close()
	run := func() (apps.Invocation, error) {
		return a.Invoke(t.Context(), apps.Event{Kind: event.KindConversation, UID: "u", State: &state, Payload: new(script).with(opCall, put("a", "1")).payload()})
	}
	if inv, err := run(); err != nil || inv.Outcome != plugins.OK || inv.Restarted {
		t.Fatalf("%s %s %v", inv.Outcome, inv.Err, err)
	}
	f.MemoryStorage, f.put = apps.MemoryStorage{}, &space.QuotaError{Why: "full"}
	if inv, err := run(); err != nil || inv.Outcome != plugins.AppError || inv.Restarted {
		t.Fatalf("%s %s %v", inv.Outcome, inv.Err, err)
	}
	f.put = nil
	// Its event is no JSON that could be told of the loss; what matters is that it is to be.
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "telling it that its state is lost") {
		t.Errorf("after what it stored was not kept: %v", err)
	}
}

func TestAChangedAppKeepsItsStorage(t *testing.T) {
	var s apps.MemoryStorage
	path := filepath.Join(t.TempDir(), "notes.wasm")
	if err := os.WriteFile(path, guestFile(t, "script", storing), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := config.App{Name: "notes", Module: path, Users: []string{"*"}, Grant: append([]event.Capability{event.CapStorage}, grantable...)}
	set, problems := apps.Load(t.Context(), theEngine(t), []config.App{notes})
	if problems.HasFault() {
		t.Fatal(problems)
	}
	defer func() {
		if err := set.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	set.KeepValues(&s)
	add := new(script).with(opCall, `{"op":"storage_add","key":"n","delta":1}`)
	add.run(t, set.All()[0])
	was := set.All()[0]
	notes.Storage.MaxKeys = 1
	change, problems := set.Plan(t.Context(), theEngine(t), []config.App{notes})
	if problems.HasFault() || len(change.Changed) != 1 {
		t.Fatal(problems, change)
	}
	change.Apply()
	if err := was.Close(t.Context()); err != nil {
		t.Error(err)
	}
	add.with(opCall, put("a", "1")).run(t, set.All()[0])
	if got := kept(t, &s); got != "n=2" {
		t.Errorf("kept %q, want what both versions added, and no second key", got)
	}
}

func TestTheLastWriterOfAKeyWins(t *testing.T) {
	f := &failing{lost: 3}
	inv := new(script).with(opCall, put("a", "mine")).with(opCall, `{"op":"storage_add","key":"other","delta":10}`).run(t, storingApp(t, f))
	if got := kept(t, f); inv.Outcome != plugins.OK || got != "a=mine other=13" {
		t.Errorf("%s: kept %q", inv.Outcome, got)
	}
	never := &failing{lost: 1 << 20}
	_, err := storingApp(t, never).Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, UID: "u", Payload: new(script).with(opCall, put("a", "mine")).payload()})
	if err == nil || !strings.Contains(err.Error(), "others are writing the same space") {
		t.Errorf("others are always faster: %v", err)
	}
}

func TestManyInvocationsCountAtOnce(t *testing.T) {
	var s apps.MemoryStorage
	a := storingApp(t, &s)
	count := new(script).with(opCall, `{"op":"storage_add","key":"n","delta":1}`).payload()
	var all sync.WaitGroup
	const many, each = 8, 25
	for range many {
		all.Go(func() {
			for range each {
				inv, err := a.Invoke(context.Background(), apps.Event{Kind: event.KindConversation, UID: "u", Payload: count})
				if err != nil || inv.Outcome != plugins.OK {
					t.Errorf("%s %s %v", inv.Outcome, inv.Err, err)
				}
			}
		})
	}
	all.Wait()
	if got, want := kept(t, &s), fmt.Sprint("n=", many*each); got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

func TestAReplayStoresNothingAndReadsWhatWasRead(t *testing.T) {
	var s apps.MemoryStorage
	if ok, err := s.PutValues(t.Context(), "notes", "u", space.Values{"a": []byte("then")}, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	a := storingApp(t, &s)
	all := &shelf{}
	a.KeepRecordings(all)
	work := new(script).with(opCall, `{"op":"storage_get","key":"a"}`).do(opResult, scratch, 100).with(opCall, put("a", "now")).
		with(opCall, `{"op":"storage_add","key":"n","delta":2}`).do(opResult, scratch, 100).do(opEmitLast, scratch)
	if inv := work.run(t, a); inv.Outcome != plugins.OK {
		t.Fatalf("%s %s", inv.Outcome, inv.Err)
	}
	before := kept(t, &s)
	if len(all.recordings) != 1 || before != "a=now n=2" {
		t.Fatalf("%d recordings, kept %q", len(all.recordings), before)
	}
	again, err := apps.Replay(t.Context(), theEngine(t), guestFile(t, "script", storing), all.last(t))
	if err != nil {
		t.Fatal(err)
	}
	if !again.AsRecorded() || !reflect.DeepEqual(outputs(again.Invocation), []string{`output {"ok":true,"sum":2}`}) {
		t.Errorf("replayed: %v %v %q", again.Diverged, again.Differences, outputs(again.Invocation))
	}
	if got := kept(t, &s); got != before {
		t.Errorf("after the replay %q is kept, before %q", got, before)
	}
}

// FuzzStorageRequest: a request is answered ok or by an error with a code, and
// what is behind the answer is as long as it says.
func FuzzStorageRequest(f *testing.F) {
	for _, s := range []string{
		put("a", "1"), put("a", ""), `{"op":"storage_get","key":"a"}`, `{"op":"storage_add","key":"a","delta":-9223372036854775808}`,
		`{"op":"storage_list","prefix":"a","after":"\u0000","limit":1}`, `{"op":"storage_put","key":"a","bytes":5}1`, `{"op":"storage_put","key":"\ud800","bytes":1}x`,
		`{"op":"storage_delete","key":"a","bytes":-1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		resp, outs, err := apps.Answer(b, event.CapStorage)
		if err != nil || len(outs) > 0 {
			t.Fatalf("ended the invocation: %v, or gave %v", err, outs)
		}
		if resp.OK != (resp.Error == nil) || !resp.OK && (resp.Error.Code == "" || resp.Error.Message == "" || resp.Bytes != 0) {
			t.Errorf("answer %+v", resp)
		}
	})
}
