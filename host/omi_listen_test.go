package host_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/sdk/event"
)

// listen opens a stream of /v4/listen for a user.
func listen(t *testing.T, h *host.Host, query string) *omiStream {
	t.Helper()
	return dialOmiAt(t, "ws://"+h.Addr().String()+"/v4/listen?"+query)
}

// message reads up to a message of a type that has all of has in it, and returns
// it. A bare array is of the type "segments".
func (o *omiStream) message(kind string, has ...string) string {
	o.t.Helper()
	for {
		b := o.read()
		var m struct{ Type string }
		if b[0] == '[' {
			m.Type = "segments"
		} else if string(b) == "ping" {
			m.Type = "ping"
		} else if err := json.Unmarshal(b, &m); err != nil {
			o.t.Fatalf("got %q, which is no message of Omi's", b)
		}
		ok := m.Type == kind
		for _, s := range has {
			ok = ok && strings.Contains(string(b), s)
		}
		if ok {
			return string(b)
		}
	}
}

const suggested = `{"type":"suggested_transcript","stt_provider":"apple","segments":[{"id":"1","text":"hello","speaker":"SPEAKER_1","is_user":false,"person_id":null,"start":0.5,"end":1.5},{"text":"there","start":2,"end":1}]}`

func TestOmisClientStreamsAsToItsOwnBackend(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), echo()))
	ada := listen(t, h, "uid=ada&language=en&sample_rate=16000&codec=pcm16&custom_stt=enabled&conversation_timeout=2&source=phone")
	ada.message("ping")
	ada.message("service_status", `"initiating"`)
	ada.message("service_status", `"ready"`)
	ada.message("conversation_session", `"in_progress"`)
	ada.send(websocket.BinaryMessage, []byte{0x8a, 0}) // a heartbeat
	ada.send(websocket.BinaryMessage, make([]byte, 3200))
	ada.send(websocket.TextMessage, []byte(suggested))
	var echoed []struct {
		ID, Text, Speaker string
		SpeakerID         int     `json:"speaker_id"`
		IsUser            bool    `json:"is_user"`
		PersonID          *string `json:"person_id"`
		Start, End        float64
		Processed         bool   `json:"speech_profile_processed"`
		Provider          string `json:"stt_provider"`
	}
	if err := json.Unmarshal([]byte(ada.message("segments")), &echoed); err != nil || len(echoed) != 2 {
		t.Fatalf("got %+v, %v", echoed, err)
	}
	if e := echoed[0]; e.ID != "1" || e.Text != "hello" || e.SpeakerID != 1 || e.Start != 0.5 || e.End != 1.5 || !e.Processed || e.Provider != "apple" {
		t.Errorf("got %+v", e)
	}
	if e := echoed[1]; e.ID == "" || e.Speaker != "SPEAKER_00" || e.End != 2 {
		t.Errorf("what the client leaves out: got %+v", e)
	}
	ada.message("auricle_output", `"app":"echo"`)
	ada.send(websocket.TextMessage, []byte(`{"type":"speaker_assigned","speaker_id":1,"person_id":"user","person_name":"Ada","segment_ids":["1"]}`))
	ada.message("memory_processing_started")
	var created struct {
		Memory struct {
			ID       string
			Segments []struct {
				Text, Speaker string
				Name          string `json:"speaker_name"`
				IsUser        bool   `json:"is_user"`
			} `json:"transcript_segments"`
			Structured struct{ Title string }
			FinishedAt time.Time `json:"finished_at"`
		}
	}
	if err := json.Unmarshal([]byte(ada.message("memory_created")), &created); err != nil {
		t.Fatal(err)
	}
	got := record(t, h, created.Memory.ID)
	if s := created.Memory.Segments; len(s) != 2 || s[0].Name != "Ada" || !strings.HasPrefix(s[0].Speaker, "SPEAKER_") || s[1].Speaker != "SPEAKER_00" || !s[0].IsUser || created.Memory.FinishedAt.IsZero() {
		t.Errorf("got %+v", created)
	}
	if got.Reason != event.ReasonSilence || got.Language != "en" || got.Source != "phone" || got.AudioMillis != 100 || !got.Segments[0].IsUser {
		t.Errorf("stored: %+v", got.Conversation)
	}
}

// A stream that comes after one that was lost goes on with its conversation; one
// of another user does not.
func TestOmisClientGoesOnAfterItWasLost(t *testing.T) {
	c := configuration(t.TempDir())
	h, stop := start(t, c)
	ada := listen(t, h, "uid=ada&custom_stt=enabled")
	id := ada.message("conversation_session")
	ada.send(websocket.TextMessage, []byte(suggested))
	ada.message("segments")
	stop()
	h, _ = start(t, c)
	eve := listen(t, h, "uid=eve&custom_stt=enabled")
	if got := eve.message("conversation_session"); got == id {
		t.Errorf("eve got ada's %s", got)
	}
	ada = listen(t, h, "uid=ada&custom_stt=enabled")
	if got := ada.message("conversation_session"); got != id {
		t.Errorf("got %s, want %s", got, id)
	}
	ada.send(websocket.TextMessage, []byte(strings.Replace(suggested, `"1"`, `"2"`, 1)))
	ada.message("segments")
}

func TestABadMessageOfOmisIsNamedAndDisturbsNothing(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	for _, row := range []struct{ send, code, says string }{
		{"ping", "bad_json", "JSON"},
		{"[]", "bad_message", "object"},
		{"7", "bad_message", "object"},
		{"{}", "bad_message", "type"},
		{`{"type":7}`, "bad_message", "type"},
		{`{"type":"start"}`, "unknown_type", `"start"`},
		{`{"type":"image_chunk","id":"i","index":0,"total":1,"data":""}`, "unknown_type", "image_chunk"},
		{`{"type":"suggested_transcript","segments":{}}`, "bad_message", "segments"},
		{`{"type":"suggested_transcript","segments":[{"start":"0"}]}`, "bad_message", "start"},
		{`{"type":"speaker_assigned","segment_ids":["1"]}`, "bad_message", "person_id"},
		{`{"type":"speaker_assigned","person_id":"p","segment_ids":[]}`, "bad_message", "segment_ids"},
		{strings.Replace(suggested, "hello", strings.Repeat("x", 17<<10), 1), "bad_segment", "text"},
	} {
		ada := listen(t, h, "uid=ada&custom_stt=enabled")
		ada.send(websocket.TextMessage, []byte(row.send))
		ada.message("auricle_error", `"`+row.code+`"`)
		ada.send(websocket.TextMessage, []byte(suggested)) // the stream goes on
		ada.message("segments")
		if metricOf(t, h, "auricle_stream_refused_messages_total", `code="`+row.code+`"`) == 0 {
			t.Errorf("%s: not counted", row.send)
		}
		ada.conn.Close()
	}
	ada := listen(t, h, "uid=ada") // speech-to-text of the client's was not announced
	ada.send(websocket.TextMessage, []byte(suggested))
	ada.message("auricle_error", "custom_stt")
}

// Omi's backend has no place for a header, but its URL may hold a user and a
// password, which is a token. Its app sends a bearer token.
func TestOmisClientsShowCredentials(t *testing.T) {
	h, token := guarded(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, path := range []string{"/v1/trigger/listen", "/v4/listen", "/v1/stream"} {
		for _, row := range []struct {
			name, uid, authorization string
			want                     int
		}{
			{"none", "ada", "", 401},
			{"a token that is not known", "ada", basic("token", "auricle_wrong"), 401},
			{"Basic that can't be read", "ada", "Basic !", 401},
			{"an operator's", "ada", basic("token", token["operator"]), 403},
			{"ada's for ada", "ada", basic("", token["ada"]), 101},
			{"ada's as Bearer", "ada", "Bearer " + token["ada"], 101},
			{"the backend's for anybody", "bob", basic("omi", token["backend"]), 101},
			{"eve's for ada", "ada", basic("token", token["eve"]), 403},
		} {
			if path == "/v1/stream" && row.uid != "" && row.want == 403 && row.name == "eve's for ada" {
				continue // start names the user there
			}
			header := http.Header{}
			if row.authorization != "" {
				header.Set("Authorization", row.authorization)
			}
			conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+path+"?"+url.Values{"uid": {row.uid}}.Encode(), header)
			if resp == nil {
				t.Fatalf("%s: %v", path, err)
			}
			if err == nil {
				conn.Close()
			}
			if resp.StatusCode != row.want {
				t.Errorf("%s, %s: got %d, want %d", path, row.name, resp.StatusCode, row.want)
			}
		}
	}
	// Basic is for streams only.
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.Addr().String()+"/v1/conversations?uid=ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("token", token["ada"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("reading with Basic: got %d, want 401", resp.StatusCode)
	}
}
