package sdk

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

// What auricle_v1_handle returns.
const (
	codeOK    = 0
	codeError = 1 // the handler returned an error, or the event was not understood
	codePanic = 2 // the handler panicked
)

// invoke calls a's handler with one event, in its wire form. Text is the error
// or panic for people, "" when the code is codeOK.
func (a *App) invoke(ctx *Context, kind event.Kind, payload []byte) (code int32, text string) {
	defer func() {
		if r := recover(); r != nil {
			code, text = codePanic, panicText(r)
		}
	}()
	if err := a.handle(ctx, kind, payload); err != nil {
		return codeError, err.Error()
	}
	return codeOK, ""
}

func (a *App) handle(ctx *Context, kind event.Kind, payload []byte) error {
	switch {
	case kind == event.KindAudio && a.OnAudio != nil:
		e := new(event.Audio)
		if err := e.UnmarshalBinary(payload); err != nil {
			return err
		}
		return a.OnAudio(ctx, e)
	case kind == event.KindTranscript && a.OnTranscript != nil:
		e := new(event.Transcript)
		if err := json.Unmarshal(payload, e); err != nil {
			return fmt.Errorf("reading the transcript event: %w", err)
		}
		return a.OnTranscript(ctx, e)
	case kind == event.KindConversation && a.OnConversation != nil:
		e := new(event.Conversation)
		if err := json.Unmarshal(payload, e); err != nil {
			return fmt.Errorf("reading the conversation event: %w", err)
		}
		return a.OnConversation(ctx, e)
	case kind == event.KindTool && len(a.Tools) > 0:
		e := new(event.ToolCall)
		if err := json.Unmarshal(payload, e); err != nil {
			return fmt.Errorf("reading the tool event: %w", err)
		}
		return a.callTool(ctx, e)
	}
	return fmt.Errorf("app %q has no handler for %s events", a.Name, kind)
}

// maxFrames bounds the stack of a panic's text.
const maxFrames = 8

// ownMethods begins the names of the functions that call a handler.
const ownMethods = "github.com/auricle-dev/auricle/sdk.(*App)."

// panicText says what panicked and where, on one line: the innermost functions
// of the app's own way to the panic. It must be called by the deferred
// function that recovered r.
func panicText(r any) string {
	text := fmt.Sprintf("panic: %v", r)
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	var stack []string
	for panicking, more := false, true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true // before it is the function that recovers
		case !panicking || strings.HasPrefix(f.Function, "runtime."):
		case strings.HasPrefix(f.Function, ownMethods):
			more = false
		default:
			stack = append(stack, fmt.Sprintf("%s (%s:%d)", f.Function, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line))
		}
	}
	if len(stack) > maxFrames {
		stack = append(stack[:maxFrames], "…")
	}
	if len(stack) > 0 {
		text += "; stack: " + strings.Join(stack, ", ")
	}
	return text
}
