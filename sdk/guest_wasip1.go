//go:build wasip1

package sdk

import (
	"encoding/json"
	"fmt"
	"os"
	"unsafe"

	"github.com/auricle-dev/auricle/sdk/event"
)

// The imports. A pointer and a length name memory of the guest, which the host
// reads or writes during the call only.

//go:wasmimport auricle_v1 event_read
func eventRead(p unsafe.Pointer, n uint32) uint32

//go:wasmimport auricle_v1 settings_read
func settingsRead(p unsafe.Pointer, n uint32) uint32

//go:wasmimport auricle_v1 manifest_write
func manifestWrite(p unsafe.Pointer, n uint32)

//go:wasmimport auricle_v1 error_write
func errorWrite(p unsafe.Pointer, n uint32)

//go:wasmimport auricle_v1 log
func logWrite(level int32, p unsafe.Pointer, n uint32)

//go:wasmimport auricle_v1 emit
func emit(p unsafe.Pointer, n uint32) int32

//go:wasmimport auricle_v1 call
func call(p unsafe.Pointer, n uint32) uint32

//go:wasmimport auricle_v1 result_read
func resultRead(p unsafe.Pointer, n uint32) uint32

//go:wasmexport auricle_v1_manifest
func exportManifest() {
	if registered == nil {
		panic("no app is registered: call sdk.Register from an init function")
	}
	m, err := registered.manifest()
	if err != nil {
		panic(err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Errorf("marshalling the manifest: %w", err))
	}
	manifestWrite(bytesPointer(b))
}

//go:wasmexport auricle_v1_handle
func exportHandle(kind, size int32) int32 {
	code, text := handleEvent(event.Kind(kind), size)
	if code != codeOK {
		errorWrite(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
	}
	if code == codePanic && registered.State == event.StateSession {
		os.Exit(codePanic) // what a handler left halfway is no state to go on with
	}
	return code
}

func handleEvent(kind event.Kind, size int32) (code int32, text string) {
	if registered == nil {
		return codeError, "no app is registered: call sdk.Register from an init function"
	}
	payload := make([]byte, uint32(size))
	if n := eventRead(bytesPointer(payload)); n != uint32(size) {
		return codeError, fmt.Sprintf("the host announced an event of %d bytes, and gave %d", uint32(size), n)
	}
	return registered.invoke(&Context{}, kind, payload)
}

// bytesPointer returns b as an import takes it.
func bytesPointer(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

// host reaches the host through the imports.
type host struct{}

func (host) emit(b []byte) int32 { return emit(bytesPointer(b)) }

func (host) call(b []byte) []byte {
	n := call(bytesPointer(b))
	return readAll(resultRead, n)
}

func (host) settings() []byte { return readAll(settingsRead, 1024) }

// readAll reads what read gives into a buffer of guess bytes, and into a larger
// one when it is more than that.
func readAll(read func(unsafe.Pointer, uint32) uint32, guess uint32) []byte {
	b := make([]byte, guess)
	n := read(bytesPointer(b))
	if n > guess {
		b = make([]byte, n)
		n = min(n, read(bytesPointer(b)))
	}
	return b[:n]
}

func (host) log(level int32, text string) {
	logWrite(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

// warm decodes an event of each kind that a handles, and what the host answers,
// so that what package json
// learns about their types is in the image and not learnt at every event.
func (a *App) warm() {
	segments := `"segments":[{"id":"","text":"","speaker":"","is_user":false,"start":0,"end":0}]`
	errs := make([]error, 3)
	if a.OnTranscript != nil {
		errs[0] = json.Unmarshal([]byte(`{"session":"",`+segments+`}`), new(event.Transcript))
	}
	if a.OnConversation != nil {
		const at = `"started_at":"2000-01-01T00:00:00Z","metadata":{"":""},`
		errs[1] = json.Unmarshal([]byte(`{"id":"",`+at+segments+`}`), new(event.Conversation))
	}
	if len(a.Tools) > 0 {
		errs[2] = json.Unmarshal([]byte(`{"call":"","tool":"","uid":"","arguments":{}}`), new(event.ToolCall))
	}
	if a.acts() {
		errs = append(errs, warmRequests())
	}
	for _, err := range errs {
		if err != nil {
			panic(fmt.Errorf("sdk.Register: %w", err))
		}
	}
}

// acts reports whether a asks the host to act.
func (a *App) acts() bool {
	for _, w := range a.Wants {
		if w.request.Name.Acts() {
			return true
		}
	}
	return false
}

// warmRequests does so for what is asked of the host.
func warmRequests() error {
	if _, err := json.Marshal(event.Request{HTTP: &event.HTTPRequest{Headers: map[string]string{"": ""}}}); err != nil {
		return err
	}
	return json.Unmarshal([]byte(`{"ok":true,"http":{"status":200,"headers":{"":""}},"error":{"code":""}}`), new(event.Response))
}
