// Command app is the webhook bridge: an app that hands its events to a webhook
// app written for Omi, and understands what that answers. The host runs it for
// every app block with a webhook block, from which its settings come; it has no
// privilege that another app could not be granted.
//
// main.go is the app, payload.go and segment.go what is posted, target.go where
// to, answer.go what comes back. What a webhook app is sent and may answer is
// in docs/webhooks.md; it follows Omi's backend (utils/app_integrations.py and
// models/conversation.py of BasedHardware/omi).
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	learn()
	sdk.Register(sdk.App{
		Name: "webhook", Version: "1.0.0",
		Description: "Posts conversations, transcripts and audio to a webhook app, and passes on what it answers.",
		Wants: []sdk.Want{
			sdk.HTTP("to post to the webhooks that the operator names", "*"),
			sdk.Optional(sdk.Notify("to pass on the messages that the webhook answers a live transcript with")),
			sdk.Optional(sdk.Receive(event.CapConversation, "to post each completed conversation")),
			sdk.Optional(sdk.Receive(event.CapTranscript, "to post what is said, as it is said")),
			sdk.Optional(sdk.Receive(event.CapAudio, "to post what is heard, as it is heard")),
		},
		Settings:       schema,
		AudioEvery:     4 * time.Second,
		AudioLatest:    true,
		Limits:         sdk.Limits{Fuel: 1_000_000_000},
		OnConversation: onConversation,
		OnTranscript:   onTranscript,
		OnAudio:        onAudio,
	})
}

func main() {}

// learn goes the way of each event but for the call itself, so that what packages
// json, url and time find out is in the image, and not found out in each
// invocation.
func learn() {
	at := time.Unix(0, 0).UTC()
	segments := []event.Segment{{ID: "1", Text: "a", Speaker: "SPEAKER_00"}, {ID: "2", Text: "b", Speaker: "c"}}
	_, memory := memoryOf(&event.Conversation{ID: "c", StartedAt: at, CompletedAt: at, Segments: segments}, event.MaxBodyBytes)
	_, live := liveOf(&event.Transcript{Segments: segments})
	_, url := target("https://example.com/a?b=c", "uid", "a b")
	set := json.Unmarshal([]byte(`{"app":"a","conversation":{"url":"","timeout_ms":1},"transcript":null,"audio":null}`), new(settings))
	a, ignored := understand([]byte(`{"message":"a","notification":{"prompt":"a","params":["user_name"],"context":{}}}`))
	_, message := encode(map[string]any{"message": a.message})
	_, prompt := encode(map[string]any{"notification": a.prompt})
	if err := errors.Join(memory, live, url, set, message, prompt); err != nil || len(ignored) > 0 {
		panic(fmt.Sprint(err, ignored)) // of its own sample
	}
}

// schema is that of settings. The host writes them from the webhook block.
const schema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["app"],
  "properties": {
    "app": {"type": "string", "description": "the app's name in the configuration, for the Idempotency-Key"},
    "conversation": {"$ref": "#/$defs/hook"},
    "transcript": {"$ref": "#/$defs/hook"},
    "audio": {"$ref": "#/$defs/hook"}
  },
  "$defs": {
    "hook": {
      "type": "object",
      "additionalProperties": false,
      "required": ["url", "timeout_ms"],
      "properties": {
        "url": {"type": "string", "minLength": 1},
        "timeout_ms": {"type": "integer", "minimum": 1}
      }
    }
  }
}`

type settings struct {
	App          string `json:"app"`
	Conversation *hook  `json:"conversation"`
	Transcript   *hook  `json:"transcript"`
	Audio        *hook  `json:"audio"`
}

// hook is where events of one kind are posted to.
type hook struct {
	URL       string `json:"url"`
	TimeoutMS int64  `json:"timeout_ms"`
}

// onConversation posts a completed conversation. The host tries again what
// fails: the same conversation then has the same Idempotency-Key.
func onConversation(ctx *sdk.Context, e *event.Conversation) error {
	var s settings
	if err := ctx.Settings(&s); err != nil || s.Conversation == nil {
		return err
	}
	if len(e.Segments) == 0 {
		ctx.Debugf("nothing was said: not posted") // as Omi does with what it discards
		return nil
	}
	body, err := memoryOf(e, event.MaxBodyBytes)
	if err != nil {
		return err
	}
	resp, err := post(ctx, *s.Conversation, "application/json", body, idempotencyKey(s.App, e.ID), "uid", e.UID)
	if err != nil {
		return err
	}
	return answerToConversation(ctx, resp)
}

// onTranscript posts what was said since the last event.
func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
	var s settings
	if err := ctx.Settings(&s); err != nil || s.Transcript == nil {
		return err
	}
	body, err := liveOf(e)
	if err != nil {
		return err
	}
	resp, err := post(ctx, *s.Transcript, "application/json", body, "", "session_id", e.Session, "uid", e.UID)
	if err != nil {
		return err
	}
	return answerToTranscript(ctx, resp)
}

// onAudio posts a piece of audio. Nothing that the webhook answers has a
// meaning.
func onAudio(ctx *sdk.Context, e *event.Audio) error {
	var s settings
	if err := ctx.Settings(&s); err != nil || s.Audio == nil {
		return err
	}
	if e.Dropped > 0 {
		ctx.Warnf("%d bytes of audio were dropped before this piece", e.Dropped)
	}
	_, err := post(ctx, *s.Audio, "application/octet-stream", e.PCM, "", "sample_rate", strconv.Itoa(e.Rate), "uid", e.UID)
	return err
}

// post sends body to h, with the parameters in its query, and returns what it
// answered. Anything but a success is an error, which begins with "webhook".
func post(ctx *sdk.Context, h hook, contentType string, body []byte, key string, params ...string) ([]byte, error) {
	url, err := target(h.URL, params...)
	if err != nil {
		return nil, err
	}
	header := map[string]string{"Content-Type": contentType, "User-Agent": "Auricle-Webhook/1.0"}
	if key != "" {
		header["Idempotency-Key"] = key
	}
	resp, err := ctx.Fetch(sdk.FetchRequest{
		Method: "POST", URL: url, Header: header, Body: body,
		Timeout: time.Duration(h.TimeoutMS) * time.Millisecond,
	})
	if err != nil {
		return nil, unreached(err)
	}
	if resp.Status < 200 || resp.Status > 299 {
		return nil, fmt.Errorf("webhook answered %d", resp.Status)
	}
	return resp.Body, nil
}

// unreached says that a webhook gave no answer, and why.
func unreached(err error) error {
	if refusal, ok := errors.AsType[*sdk.Error](err); ok {
		return fmt.Errorf("webhook not reached: %s (%s)", refusal.Message, refusal.Code)
	}
	return fmt.Errorf("webhook not reached: %s", strings.TrimPrefix(err.Error(), "http: "))
}

// idempotencyKey is the same for every attempt to post a conversation of an
// app, and for nothing else.
func idempotencyKey(app, conversation string) string {
	sum := sha256.Sum256([]byte(app + "\x00" + conversation))
	return hex.EncodeToString(sum[:16])
}
