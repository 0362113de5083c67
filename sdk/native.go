//go:build !wasip1

package sdk

import (
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/internal/inproc"
)

// host reaches the test that runs the app in-process.
type host struct{ inproc.Host }

func (h host) emit(b []byte) int32          { return h.Emit(b) }
func (h host) call(b []byte) []byte         { return h.Call(b) }
func (h host) settings() []byte             { return h.Settings() }
func (h host) log(level int32, text string) { h.Log(level, text) }

// warm does nothing here; see guest_wasip1.go.
func (a *App) warm() {}

func init() {
	inproc.Handle = func(app any, kind event.Kind, payload []byte, h inproc.Host) (int32, string) {
		a, ok := app.(App)
		if !ok {
			return codeError, fmt.Sprintf("not an sdk.App but %T", app)
		}
		return a.invoke(&Context{host{h}}, kind, payload)
	}
	inproc.Manifest = func(app any) (event.Manifest, error) {
		a, ok := app.(App)
		if !ok {
			return event.Manifest{}, errors.New("not an sdk.App")
		}
		return a.manifest()
	}
	inproc.Registered = func() any {
		if registered == nil {
			return nil
		}
		return *registered
	}
}
