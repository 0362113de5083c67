package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/event"
)

func TestAnswersThatAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		body, message, prompt string
	}{
		{``, "", ""},
		{"  \n", "", ""},
		{`null`, "", ""},
		{`{}`, "", ""},
		{`{"status": "ok", "received": 3}`, "", ""},
		{`{"message": null, "notification": null}`, "", ""},
		{`{"message": " Well done. "}`, "Well done.", ""},
		{`{"message": "a", "notification": {"prompt": "Say hi to {{user_name}}", "params": ["user_name", "user_chat"], "context": {"question": "?"}}}`, "a",
			`{"prompt":"Say hi to {{user_name}}","params":["user_name","user_chat"],"context":{"question": "?"}}`},
		{`{"notification": {"prompt": "p", "params": ["user_name", "user_password"], "context": null}}`, "", `{"prompt":"p","params":["user_name"]}`},
		{`{"notification": {"prompt": "p"}}`, "", `{"prompt":"p","params":[]}`},
		{`{"notification": {"prompt": ""}}`, "", ""},
	} {
		a, ignored := understand([]byte(c.body))
		prompt := ""
		if a.prompt != nil {
			b, err := json.Marshal(a.prompt)
			if err != nil {
				t.Fatal(err)
			}
			prompt = string(b)
		}
		// Marshal writes a RawMessage without its spaces.
		if a.message != c.message || prompt != strings.ReplaceAll(c.prompt, `": "`, `":"`) || len(ignored) > 0 {
			t.Errorf("%s: got %q and %s, ignored %q; want %q and %s", c.body, a.message, prompt, ignored, c.message, c.prompt)
		}
	}
}

func TestAnswersThatAreIgnored(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"OK", "not JSON"},                          // what many frameworks answer by themselves
		{"{\"message\": \"\xff\"}", "not JSON"},     // not UTF-8
		{`{"message": "a"} {}`, "not JSON"},         // two values
		{`["message"]`, "not an object"},            // a list
		{`"message"`, "not an object"},              // text
		{`{"message": 5}`, `"message" is not text`}, // a number
		{`{"message": {"text": "a"}}`, `"message" is not text`},
		{`{"notification": "hello"}`, "has not the shape"},
		{`{"notification": {"prompt": "p", "params": "user_name"}}`, "has not the shape"},
		{`{"notification": {"prompt": "p", "context": [1]}}`, "not an object"},
		{`{"notification": {"prompt": "` + strings.Repeat("p", maxPrompt+1) + `"}}`, "128001 characters"},
	} {
		a, ignored := understand([]byte(c.body))
		if a.message != "" || a.prompt != nil || len(ignored) != 1 || !strings.Contains(ignored[0], c.want) {
			t.Errorf("%.60s: got %+v, ignored %q; want nothing, for %q", c.body, a, ignored, c.want)
		}
	}
	// What is wrong takes nothing else with it.
	if a, ignored := understand([]byte(`{"message": "good", "notification": 1}`)); a.message != "good" || len(ignored) != 1 {
		t.Errorf("got %+v, ignored %q", a, ignored)
	}
}

func TestLongMessagesAreCutBehindAWord(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"short", "short"},
		{"exactly ten", "exactly…"},
		{"0123456789", "0123456789"},
		{"0123456789a", "012345678…"},
		{"ab 345678901234", "ab 345678…"}, // the word is most of it
		{"äöüäö üäöüäöü", "äöüäö…"},
		{"a b c d e f g h", "a b c d…"},
	} {
		if got := cut(c.s, 10); got != c.want {
			t.Errorf("%q: got %q, want %q", c.s, got, c.want)
		}
	}
}

// FuzzAnswer holds that whatever a webhook answers, what is understood of it is
// text and JSON that may be passed on, and that nothing is lost without a word.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"message":"Hello there, you"}`, `{"notification":{"prompt":"p","params":["user_name"],"context":{}}}`, `[]`, `{"message":`, `null`, `{"MESSAGE":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, ignored := understand(body)
		if !json.Valid(body) && len(strings.TrimSpace(string(body))) > 0 && len(ignored) == 0 {
			t.Fatalf("%q was taken", body)
		}
		if short := cut(a.message, event.NotifyMaxChars); utf8.RuneCountInString(short) > event.NotifyMaxChars || a.message != "" && short == "" || !utf8.ValidString(short) {
			t.Fatalf("%q was cut to %q", a.message, short)
		}
		if b, err := encode(map[string]any{"message": a.message, "notification": a.prompt}); err != nil || !json.Valid(b) {
			t.Fatalf("%q: %s %v", body, b, err)
		}
	})
}
