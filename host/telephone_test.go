package host_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gorilla/websocket"
)

// A backend asks for a token for the user whose call it is, and hands it to the
// provider, which brings it along: once.
func TestACallComesInWithATokenOnce(t *testing.T) {
	h, token := guarded(t)
	status, _, answer := ask(t, h, "POST", "/v1/tokens", token["backend"], `{"uid":"ada"}`)
	var issued struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &issued); err != nil || status != 200 {
		t.Fatalf("got %d %s, %v", status, answer, err)
	}
	call := func(token string) int {
		t.Helper()
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/telephone/twilio", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, f := range []string{
			`{"event":"connected","protocol":"Call","version":"1.0.0"}`,
			fmt.Sprintf(`{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":%q}}}`, token),
			`{"event":"media","streamSid":"MZ1","media":{"track":"inbound","chunk":"1","payload":"/////w=="}}`,
			`{"event":"stop","streamSid":"MZ1"}`,
		} {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
				t.Fatal(err)
			}
		}
		return (&client{t: t, conn: conn}).closedWith()
	}
	for _, row := range []struct {
		name, token string
		close       int
		kept        int // conversations of ada's, after it
	}{
		{"without a token", "", 4501, 0},
		{"with the token", issued.Token, 1000, 1},
		{"with the token again", issued.Token, 4501, 1},
	} {
		if got := call(row.token); got != row.close {
			t.Errorf("%s: closed with %d, want %d", row.name, got, row.close)
		}
		_, _, answer := ask(t, h, "GET", "/v1/conversations", token["ada"], "")
		var list struct{ Conversations []json.RawMessage }
		if err := json.Unmarshal([]byte(answer), &list); err != nil || len(list.Conversations) != row.kept {
			t.Errorf("%s: kept %s, want %d", row.name, answer, row.kept)
		}
	}
}
