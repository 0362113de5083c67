package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Context is an app's view of one invocation: its settings, and the effects it
// may ask for. It is valid until the handler returns.
//
// It is a struct of methods, not an interface, so that the linker leaves out
// of a module what its app never calls: a module imports the host's call
// function only if the app notifies or stores, and the host refuses a module that
// imports what it does not declare.
type Context struct {
	host host // what the host offers; see guest_wasip1.go and native.go
}

// Emit gives v, marshalled as JSON, to the user's client and keeps it with the
// conversation. The error is that of marshalling. A tool's handler returns its
// result instead, and must not call it.
//
// An invocation may have 64 effects, 64 KiB each and 256 KiB in all (1 MiB in
// all for a conversation event), notifications included. Emitting more ends it there, with the outcome
// app_error.
func (c *Context) Emit(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	if code := c.host.emit(bytes.TrimSuffix(b.Bytes(), []byte("\n"))); code != 0 {
		return fmt.Errorf("emit: the host refused the output (code %d)", code)
	}
	return nil
}

// Notify sends the user a notification of 5 to 150 characters when the
// invocation ends well; white space around text is not counted. The app must declare the capability: put
// sdk.Notify("why") in App.Wants.
//
// It fails with ErrNotGranted when the operator did not grant the capability,
// ErrRateLimited when this user had a notification of this app less than 30 s
// ago, ErrBadText when text is too short or too long, and ErrWrongEvent while a
// tool is called, whose result goes to the caller; test with errors.Is.
// An app may go on after any of them.
func (c *Context) Notify(text string) error {
	_, _, err := c.call(event.Request{Op: event.OpNotify, Text: text}, nil)
	return err
}

// call asks the host to act, and returns its answer and the bytes behind it.
// The error is an *Error when the host refused.
func (c *Context) call(r event.Request, body []byte) (event.Response, []byte, error) {
	var resp event.Response
	r.Bytes = len(body)
	b, err := json.Marshal(r)
	if err != nil {
		return resp, nil, fmt.Errorf("%s: %w", r.Op, err)
	}
	answer := c.host.call(append(b, body...))
	dec := json.NewDecoder(bytes.NewReader(answer))
	if err := dec.Decode(&resp); err != nil {
		return resp, nil, fmt.Errorf("%s: reading the host's answer: %w", r.Op, err)
	}
	switch {
	case resp.OK:
		return resp, answer[dec.InputOffset():], nil
	case resp.Error == nil:
		return resp, nil, fmt.Errorf("%s: the host refused without a reason", r.Op)
	}
	return resp, nil, &Error{Op: r.Op, Code: resp.Error.Code, Message: resp.Error.Message}
}

// Settings decodes the operator's settings into v, a pointer to a struct. What
// the operator left out keeps the value it has in v, so set defaults there
// first. A setting that v has no field for, or of the wrong type, is an error.
func (c *Context) Settings(v any) error {
	b := c.host.settings()
	if len(b) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return settingsError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("settings: something follows the JSON object")
	}
	return nil
}

// settingsError says err of package json in an operator's words.
func settingsError(err error) error {
	const fix = "; correct it in the app's settings in the host's configuration"
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field == "" {
			return fmt.Errorf("settings: got %s, want %s"+fix, t.Value, t.Type)
		}
		return fmt.Errorf("settings: %q: got %s, want %s"+fix, t.Field, t.Value, t.Type)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("settings: the app has no setting %s"+fix, name)
	}
	return fmt.Errorf("settings: %w", err)
}
