package apps_test

//go:generate sh -c "ls testdata/*.wat | sed s/[.]wat// | xargs -I{} wat2wasm {}.wat -o {}.wasm"

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// engine is shared by all tests: modules of one binary are compiled once.
var engine = sync.OnceValues(func() (*plugins.Engine, error) {
	return plugins.New(context.Background(), plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
})

func theEngine(t testing.TB) *plugins.Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const manifestRoom = 8192

// guestFile returns testdata/name.wasm with manifest, unless empty, patched in.
func guestFile(t testing.TB, name, manifest string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if manifest == "" {
		return b
	}
	at := bytes.Index(b, []byte("MANIFEST   "))
	if at < 0 || len(manifest) > manifestRoom {
		t.Fatalf("%s has no room for a manifest of %d bytes", name, len(manifest))
	}
	copy(b[at:at+manifestRoom], bytes.Repeat([]byte(" "), manifestRoom))
	copy(b[at:], manifest)
	return b
}

// allCaps is the manifest of an app that wants all there is.
const allCaps = `{"name": "script", "version": "1.0.0",
	"events": {"audio": {}, "transcript": {}, "conversation": {}},
	"capabilities": [{"name": "notify", "reason": "to tell you"}]}`

// openScript returns an app that does what its events say.
func openScript(t testing.TB, manifest string) *apps.App {
	t.Helper()
	a, err := apps.Open(t.Context(), theEngine(t), "notes", guestFile(t, "script", manifest), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// The operations of testdata/script.wat.
const (
	opReturn = iota
	opEvent
	opSettings
	opResult
	opManifest
	opError
	opLog
	opEmit
	opCall
	opTrap
	opSpin
	opEmitLast
	opReturnLast
	opGrow
	opStderr
	opExit
)

const (
	scriptBase = 131072 // where the guest reads its event to
	scriptData = 8192   // room for records before the data
	scratch    = 65536  // memory that the guest does not use
	memoryEnd  = 8 << 16
)

// script is an event for testdata/script.wat.
type script struct{ code, data []byte }

// do appends an operation.
func (s *script) do(op int, args ...int64) *script {
	var r [4]uint32
	r[0] = uint32(op)
	for i, a := range args {
		r[i+1] = uint32(a)
	}
	for _, v := range r {
		s.code = binary.LittleEndian.AppendUint32(s.code, v)
	}
	return s
}

// with appends an operation on text, after the parameters before.
func (s *script) with(op int, text string, before ...int64) *script {
	at := scriptBase + scriptData + len(s.data)
	s.data = append(s.data, text...)
	return s.do(op, append(before, int64(at), int64(len(text)))...)
}

func (s *script) payload() []byte {
	if len(s.code) > scriptData-16 {
		panic("script too long")
	}
	b := make([]byte, scriptData, scriptData+len(s.data))
	copy(b, s.code) // and then op 0: return 0
	return append(b, s.data...)
}

// run has the app handle s as a transcript of user u.
func (s *script) run(t testing.TB, a *apps.App) apps.Invocation {
	t.Helper()
	return s.runAs(t, a, event.KindTranscript)
}

func (s *script) runAs(t testing.TB, a *apps.App, k event.Kind) apps.Invocation {
	t.Helper()
	inv, err := a.Invoke(t.Context(), apps.Event{Kind: k, UID: "u", Session: "s", Conversation: "c", Payload: s.payload()})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// outputs returns what an invocation gave, as "kind data".
func outputs(inv apps.Invocation) []string {
	var out []string
	for _, o := range inv.Outputs {
		out = append(out, fmt.Sprintf("%s %s", o.Kind, o.Data))
	}
	return out
}

// grantable is what allCaps asks for.
var grantable = []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation, event.CapNotify}
