package event_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/auricle-dev/auricle/sdk/event"
)

func TestKindsOfPayloads(t *testing.T) {
	for _, c := range []struct {
		payload interface{ Kind() event.Kind }
		want    string
	}{
		{&event.Audio{}, "audio"},
		{&event.Transcript{}, "transcript"},
		{&event.Conversation{}, "conversation"},
	} {
		if got := c.payload.Kind().String(); got != c.want {
			t.Errorf("%T: got %q, want %q", c.payload, got, c.want)
		}
	}
	if got := event.Kind(9).String(); got != "kind(9)" {
		t.Errorf("got %q for an unknown kind", got)
	}
}

func TestEveryCapabilityEitherReceivesOrActs(t *testing.T) {
	for _, c := range event.Capabilities {
		if c.Receives() == c.Acts() {
			t.Errorf("%s: receives %v, acts %v", c, c.Receives(), c.Acts())
		}
	}
}

func TestHandlingAKindWantsItsCapability(t *testing.T) {
	m := event.Manifest{
		Events: event.Events{Audio: &event.AudioEvents{}, Transcript: &struct{}{}},
		Capabilities: []event.CapabilityRequest{
			{Name: event.CapNotify, Reason: "to tell you", Optional: true},
			{Name: event.CapTranscript, Reason: "to read along"},
			{Name: event.CapNotify, Reason: "again"},
		},
	}
	want := []event.CapabilityRequest{
		{Name: event.CapAudio, Reason: "handles audio events"},
		{Name: event.CapTranscript, Reason: "to read along"},
		{Name: event.CapNotify, Reason: "to tell you", Optional: true},
	}
	if got := m.Wants(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestManifestSurvivesJSON(t *testing.T) {
	const wire = `{"name":"a","version":"1","events":{"audio":{"every_ms":500},"conversation":{}},"limits":{"fuel":5,"wall_ms":6,"memory_bytes":7}}`
	var m event.Manifest
	if err := json.Unmarshal([]byte(wire), &m); err != nil {
		t.Fatal(err)
	}
	if got := m.Events.Kinds(); !reflect.DeepEqual(got, []event.Kind{event.KindAudio, event.KindConversation}) {
		t.Errorf("got kinds %v", got)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != wire {
		t.Errorf("got %s, want %s", b, wire)
	}
}
