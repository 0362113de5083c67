package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

const (
	minMessage     = 6       // characters of a live message that is shown, as at Omi
	maxPrompt      = 128_000 // characters of a prompt, as at Omi
	maxOutputBytes = 64 << 10
)

// scopes are what a prompt may ask to have filled in.
var scopes = []string{"user_name", "user_facts", "user_context", "user_chat"}

// answer is what a webhook answered, as far as it has a meaning.
type answer struct {
	message string
	prompt  *notification
}

// notification asks for a notification that a language model is to write.
type notification struct {
	Prompt  string          `json:"prompt"`
	Params  []string        `json:"params"`
	Context json.RawMessage `json:"context,omitempty"` // an object
}

// understand reads an answer. What has no meaning is left out, and said in
// ignored.
func understand(body []byte) (a answer, ignored []string) {
	ignore := func(format string, args ...any) { ignored = append(ignored, fmt.Sprintf(format, args...)) }
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return a, nil
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		ignore("the answer is not JSON")
		return a, ignored
	}
	if bytes.Equal(body, []byte("null")) {
		return a, nil
	}
	var fields struct {
		Message      json.RawMessage `json:"message"`
		Notification json.RawMessage `json:"notification"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		ignore("the answer is JSON, but not an object")
		return a, ignored
	}
	if given(fields.Message) {
		if err := json.Unmarshal(fields.Message, &a.message); err != nil {
			ignore(`"message" is not text`)
		}
		a.message = strings.TrimSpace(a.message)
	}
	if given(fields.Notification) {
		n, err := prompting(fields.Notification)
		if err != nil {
			ignore(`"notification" %v`, err)
		} else if len(n.Prompt) > 0 {
			a.prompt = n
		}
	}
	return a, ignored
}

// given reports whether a field is there and not null.
func given(b json.RawMessage) bool { return len(b) > 0 && !bytes.Equal(b, []byte("null")) }

func prompting(b json.RawMessage) (*notification, error) {
	var n notification
	if err := json.Unmarshal(b, &n); err != nil {
		return nil, errors.New("has not the shape {prompt, params, context}")
	}
	if chars := utf8.RuneCountInString(n.Prompt); chars > maxPrompt {
		return nil, fmt.Errorf("has a prompt of %d characters, at most %d are taken", chars, maxPrompt)
	}
	n.Params = slices.DeleteFunc(n.Params, func(p string) bool { return !slices.Contains(scopes, p) })
	if n.Params == nil {
		n.Params = []string{}
	}
	if !given(n.Context) {
		n.Context = nil
	} else if n.Context[0] != '{' {
		return nil, errors.New("has a context that is not an object")
	}
	return &n, nil
}

// answerToConversation passes on the message that a completed conversation was
// answered with.
func answerToConversation(ctx *sdk.Context, body []byte) error {
	a, ignored := understand(body)
	warn(ctx, ignored)
	if a.message == "" {
		return nil
	}
	return emit(ctx, map[string]any{"message": a.message})
}

// answerToTranscript passes on what a live transcript was answered with: a
// message as a notification, and in full as an output where the notification
// does not hold all of it or may not be sent now; a prompt as an output, for a
// client that has a language model.
func answerToTranscript(ctx *sdk.Context, body []byte) error {
	a, ignored := understand(body)
	warn(ctx, ignored)
	if utf8.RuneCountInString(a.message) >= minMessage {
		short := cut(a.message, event.NotifyMaxChars)
		err := ctx.Notify(short)
		switch {
		case err == nil && short == a.message:
		case err != nil && !errors.As(err, new(*sdk.Error)):
			return err
		default:
			if err != nil {
				ctx.Infof("no notification: %v", err)
			}
			if err := emit(ctx, map[string]any{"message": a.message}); err != nil {
				return err
			}
		}
	}
	if a.prompt == nil {
		return nil
	}
	return emit(ctx, map[string]any{"notification": a.prompt})
}

// emit emits v, unless it is larger than an output may be.
func emit(ctx *sdk.Context, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	if len(b) > maxOutputBytes {
		ctx.Warnf("the webhook's answer is ignored: it takes %d bytes, an output may have %d", len(b), maxOutputBytes)
		return nil
	}
	return ctx.Emit(json.RawMessage(b))
}

func warn(ctx *sdk.Context, ignored []string) {
	for _, why := range ignored {
		ctx.Warnf("the webhook's answer is ignored: %s", why)
	}
}

// cut returns s with at most most characters: a longer one ends with "…", behind
// a whole word where there is one in its second half.
func cut(s string, most int) string {
	rs := []rune(s)
	if len(rs) <= most {
		return s
	}
	rs = rs[:most-1]
	for i := len(rs) - 1; i > len(rs)/2; i-- {
		if unicode.IsSpace(rs[i]) {
			rs = rs[:i]
			break
		}
	}
	return strings.TrimRightFunc(string(rs), unicode.IsSpace) + "…"
}
