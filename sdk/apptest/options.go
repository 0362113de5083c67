package apptest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Options of a run. The zero value gives no settings and grants everything
// that the app wants.
type Options struct {
	// Settings are the operator's. A string, []byte or json.RawMessage is
	// taken as JSON; anything else but nil is marshalled. Nil means none.
	Settings any

	// Ungranted lists capabilities that the operator did not grant, to see an
	// app do without what it wants as optional. In-process only.
	Ungranted []event.Capability

	// RecentlyNotified says that the user had a notification of this app a
	// moment ago, to see Context.Notify fail with sdk.ErrRateLimited. Without
	// it each event may have one notification, as in auricle app run: in a
	// test events follow each other faster than they do in life. In-process
	// only.
	RecentlyNotified bool

	// Web answers what the app fetches, in the place of the web: the error is an
	// *sdk.Error such as sdk.ErrTimeout, or any other for ErrConnectFailed. Hosts
	// that the app does not want are refused before. Without it a fetch fails the
	// test. In-process only; for a module, run "auricle app run -http" against a
	// service of the test's own.
	Web func(sdk.FetchRequest) (*sdk.FetchResponse, error)

	// Timeout bounds a handler in-process (0 means 10 s), and the whole
	// command for a module (0 means 5 min: the command may have to be built).
	// The test fails when it is over.
	Timeout time.Duration
}

func (o *Options) settings() ([]byte, error) {
	var b []byte
	switch s := o.Settings.(type) {
	case nil:
		return nil, nil
	case string:
		b = []byte(s)
	case []byte:
		b = s
	case json.RawMessage:
		b = s
	default:
		var err error
		if b, err = json.Marshal(s); err != nil {
			return nil, fmt.Errorf("marshalling Options.Settings: %w", err)
		}
	}
	if !json.Valid(b) {
		return nil, fmt.Errorf("Options.Settings are not JSON: %s", b)
	}
	return b, nil
}

func (o *Options) granted(c event.Capability) bool { return !slices.Contains(o.Ungranted, c) }

func (o *Options) timeout(otherwise time.Duration) time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return otherwise
}

// RunFunc runs one app against events; see Each.
type RunFunc func(t testing.TB, o Options, events ...Event) *Report
