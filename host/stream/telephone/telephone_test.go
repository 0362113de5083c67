package telephone_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/stream/telephone"
)

// recorded returns the frames of a call, as the vendor's documents show them.
func recorded(t testing.TB, v telephone.Vendor) [][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", string(v)+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var frames [][]byte
	for s := bufio.NewScanner(f); s.Scan(); {
		frames = append(frames, slices.Clone(s.Bytes()))
	}
	return frames
}

func TestAWholeCallOfEachVendor(t *testing.T) {
	for v, want := range map[telephone.Vendor]struct {
		call, stream string
		format       audio.Format
		events       string
		chunks       []uint64
		bytes        int
	}{
		telephone.Twilio: {"CA00000000000000000000000000000001", "MZ18ad3ab5a668481ce02b83e7395059f0", audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1},
			"connected start media media dtmf mark media stop", []uint64{1, 2, 3}, 160},
		telephone.Telnyx: {"v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ", "32DE0DEA-53CB-4B21-89A4-9E1819C043BC", audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 1},
			"connected start media media media dtmf error stop", []uint64{1, 3, 2}, 160},
		telephone.Plivo: {"12345678-1234-1234-1234-123456789abc", "87654321-4321-4321-4321-cba987654321", audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1},
			"start media media dtmf media playedStream stop", []uint64{1, 2, 3}, 640},
	} {
		var events []string
		var chunks []uint64
		for _, b := range recorded(t, v) {
			f, err := v.Decode(b)
			if err != nil {
				t.Fatalf("%s: %s: %v", v, b, err)
			}
			events = append(events, f.Event)
			if f.Event != "connected" && f.Stream != want.stream {
				t.Errorf("%s: %s is of the stream %q", v, f.Event, f.Stream)
			}
			if s := f.Start; s != nil {
				if s.Call != want.call || s.Format != want.format {
					t.Errorf("%s: start: got %+v", v, s)
				}
				if p := map[string]string{"uid": "ada", "language": "en", "ticket": "4711"}; !maps.Equal(s.Parameters, p) {
					t.Errorf("%s: parameters: got %v, want %v", v, s.Parameters, p)
				}
			}
			if m := f.Media; m != nil {
				chunks = append(chunks, m.Chunk)
				if m.Track != telephone.Inbound || len(m.Payload) != want.bytes {
					t.Errorf("%s: media: %s, %d bytes", v, m.Track, len(m.Payload))
				}
			}
		}
		if got := strings.Join(events, " "); got != want.events {
			t.Errorf("%s: got %s, want %s", v, got, want.events)
		}
		if !slices.Equal(chunks, want.chunks) {
			t.Errorf("%s: chunks %v, want %v", v, chunks, want.chunks)
		}
	}
}

// twilioStart returns a start with a media format and parameters.
func twilioStart(format, parameters string) string {
	return `{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","mediaFormat":` + format + `,"customParameters":` + parameters + `}}`
}

func plivoStart(headers string) string {
	return `{"event":"start","start":{"callId":"c","streamId":"s","mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}},"extra_headers":` + headers + `}`
}

func media(payload string) string {
	return `{"event":"media","streamSid":"MZ1","media":{"track":"inbound","chunk":"1","payload":"` + payload + `"}}`
}

const mulaw = `{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}`

var good = map[string]struct {
	vendor telephone.Vendor
	frame  string
}{
	"fields that are unknown":          {telephone.Twilio, `{"event":"start","new":{"a":[1]},"streamSid":"MZ1","start":{"callSid":"CA1","more":null,"mediaFormat":` + mulaw + `}}`},
	"an event that is unknown":         {telephone.Twilio, `{"event":"transcription","streamSid":"MZ1"}`},
	"parameters that are no strings":   {telephone.Twilio, twilioStart(mulaw, `{"a":1,"b":true}`)},
	"no parameters":                    {telephone.Twilio, twilioStart(mulaw, `null`)},
	"no chunk and no track":            {telephone.Twilio, `{"event":"media","streamSid":"MZ1","media":{"payload":"/w=="}}`},
	"an empty payload":                 {telephone.Twilio, media("")},
	"the largest payload":              {telephone.Twilio, media(base64.StdEncoding.EncodeToString(make([]byte, telephone.MaxPayload)))},
	"mu-law whose rate is left out":    {telephone.Plivo, `{"event":"start","start":{"streamId":"s","mediaFormat":{"encoding":"audio/x-mulaw"}}}`},
	"a rate within the encoding":       {telephone.Plivo, `{"event":"start","start":{"streamId":"s","mediaFormat":{"encoding":"audio/x-l16;rate=16000"}}}`},
	"extra headers as Plivo's XML has": {telephone.Plivo, plivoStart(`"X-PH-uid=ada, token=a=b"`)},
	"extra headers as an object":       {telephone.Plivo, plivoStart(`{"X-PH-uid":"ada"}`)},
	"extra headers, an object as text": {telephone.Plivo, plivoStart(`"{\"X-PH-uid\":\"ada\"}"`)},
	"extra headers in braces":          {telephone.Plivo, plivoStart(`"{X-PH-uid: ada, token: a=b}"`)},
	"no extra headers":                 {telephone.Plivo, plivoStart(`""`)},
	"Opus of Telnyx":                   {telephone.Telnyx, `{"event":"start","stream_id":"s","start":{"media_format":{"encoding":"OPUS","sample_rate":"16000"}}}`},
}

func TestGoodFrames(t *testing.T) {
	for name, g := range good {
		if _, err := g.vendor.Decode([]byte(g.frame)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"extra headers as Plivo's XML has", "extra headers in braces"} {
		f, err := telephone.Plivo.Decode([]byte(good[name].frame))
		if err != nil || f.Start.Parameters["uid"] != "ada" || f.Start.Parameters["token"] != "a=b" {
			t.Errorf("%s: got %+v, %v", name, f.Start, err)
		}
	}
	f, err := telephone.Plivo.Decode([]byte(good["a rate within the encoding"].frame))
	if err != nil || f.Start.Format != (audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}) {
		t.Errorf("got %+v, %v", f.Start, err)
	}
}

var bad = []struct {
	vendor telephone.Vendor
	frame  string
	code   string
	want   string // within the message
	reason string
}{
	{telephone.Twilio, ``, telephone.CodeBadMessage, "no JSON object", "an empty message"},
	{telephone.Twilio, `[{"event":"stop"}]`, telephone.CodeBadMessage, "no JSON object", "an array"},
	{telephone.Twilio, `{"event":"stop"`, telephone.CodeBadMessage, "it is no JSON", "cut short"},
	{telephone.Twilio, `{"event":"stop"} {}`, telephone.CodeBadMessage, "it is no JSON", "something after the object"},
	{telephone.Twilio, "{\"event\":\"\xff\"}", telephone.CodeBadMessage, "no UTF-8", "bytes that are no text"},
	{telephone.Twilio, `{"type":"start"}`, telephone.CodeBadMessage, "no event", "the native protocol, at the wrong path"},
	{telephone.Twilio, `{"event":7}`, telephone.CodeBadMessage, "event is of the wrong kind", "an event that is a number"},
	{telephone.Twilio, `{"event":"start","streamSid":"MZ1"}`, telephone.CodeBadMessage, "object start is missing", "a start that says nothing"},
	{telephone.Twilio, `{"event":"start","start":{"mediaFormat":` + mulaw + `}}`, telephone.CodeBadMessage, "streamSid is missing", "what follows could not be told to be of it"},
	{telephone.Telnyx, `{"event":"start","streamSid":"MZ1","start":{}}`, telephone.CodeBadMessage, "stream_id is missing", "another vendor's names"},
	{telephone.Plivo, `{"event":"start","start":{}}`, telephone.CodeBadMessage, "start.streamId is missing", "likewise"},
	{telephone.Twilio, `{"event":"start","streamSid":"` + strings.Repeat("a", telephone.MaxName+1) + `","start":{}}`, telephone.CodeBadMessage, "the stream's id is 257 bytes", "it would be kept"},
	{telephone.Twilio, twilioStart(`null`, `{}`), telephone.CodeBadStart, "mediaFormat.encoding is missing", "no format: nothing could be decoded"},
	{telephone.Telnyx, `{"event":"start","stream_id":"s","start":{"media_format":{"encoding":"G722","sample_rate":8000}}}`, telephone.CodeUnsupportedAudio, `"G722" is not supported`, "a codec that the host lacks"},
	{telephone.Twilio, twilioStart(`{"encoding":"audio/x-mulaw","sampleRate":1}`, `{}`), telephone.CodeUnsupportedAudio, "rate 1 is not supported", "a rate that can't be"},
	{telephone.Twilio, twilioStart(`{"encoding":"audio/x-mulaw","sampleRate":99999999999}`, `{}`), telephone.CodeUnsupportedAudio, "is not supported", "a rate that is no int everywhere"},
	{telephone.Twilio, twilioStart(`{"encoding":"audio/x-mulaw","sampleRate":-8000}`, `{}`), telephone.CodeBadMessage, "a number is none", "a rate below 0"},
	{telephone.Twilio, twilioStart(`{"encoding":"audio/x-mulaw","channels":3}`, `{}`), telephone.CodeUnsupportedAudio, "channels 3", "more channels than a call has"},
	{telephone.Twilio, `{"event":"start","streamSid":"MZ1","start":{"tracks":["both"],"mediaFormat":` + mulaw + `}}`, telephone.CodeBadStart, `no track "both"`, "a track that no media is of"},
	{telephone.Twilio, twilioStart(mulaw, `["token"]`), telephone.CodeBadMessage, "start.customParameters is of the wrong kind", "parameters that are no object"},
	{telephone.Twilio, twilioStart(mulaw, `{"token":{"a":"secret"}}`), telephone.CodeBadStart, "customParameters.\"token\" is neither", "a parameter that is no value"},
	{telephone.Twilio, twilioStart(mulaw, many(telephone.MaxParameters+1)), telephone.CodeBadStart, "33 parameters", "more than are taken"},
	{telephone.Plivo, plivoStart(`"uid"`), telephone.CodeBadStart, "not pairs", "a name without a value"},
	{telephone.Plivo, plivoStart(`"{"`), telephone.CodeBadStart, "a brace that is not closed", "an object cut short"},
	{telephone.Plivo, plivoStart(`"` + strings.Repeat("a=1,", 2) + manyPairs(40) + `"`), telephone.CodeBadStart, "more than 32 pairs", "more than are taken"},
	{telephone.Twilio, `{"event":"media","streamSid":"MZ1"}`, telephone.CodeBadMessage, "media.payload is missing", "media without any"},
	{telephone.Twilio, `{"event":"media","streamSid":"MZ1","media":{"payload":null}}`, telephone.CodeBadMessage, "media.payload is missing", "likewise"},
	{telephone.Twilio, `{"event":"media","media":{"track":"left","payload":""}}`, telephone.CodeBadMessage, `no track "left"`, "audio of nobody known"},
	{telephone.Twilio, `{"event":"media","media":{"chunk":"one","payload":""}}`, telephone.CodeBadMessage, "a number is none", "a chunk that does not count"},
	{telephone.Twilio, media("%%%%"), telephone.CodeBadPayload, "no base64", "characters that are none of base64's"},
	{telephone.Twilio, media("//8"), telephone.CodeBadPayload, "no base64", "without its padding"},
	{telephone.Twilio, media("-_8="), telephone.CodeBadPayload, "no base64", "the alphabet for URLs"},
	{telephone.Twilio, media("//9="), telephone.CodeBadPayload, "no base64", "bits that are left over"},
	{telephone.Twilio, media(`//\n8=`), telephone.CodeBadPayload, "line breaks", "wrapped, as in mail"},
	{telephone.Twilio, media(base64.StdEncoding.EncodeToString(make([]byte, telephone.MaxPayload+1))), telephone.CodePayloadTooLarge, "at most 32768", "one byte more than is taken"},
	{telephone.Twilio, media(strings.Repeat("A", 1<<20)), telephone.CodePayloadTooLarge, "at most 32768", "refused before it is decoded"},
	{telephone.Vendor("acme"), `{"event":"stop"}`, telephone.CodeBadMessage, "no vendor", "a vendor that is not known"},
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"p%d":"1"`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func manyPairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",p%d=1", i)
	}
	return b.String()[1:]
}

func TestBadFrames(t *testing.T) {
	for _, row := range bad {
		_, err := row.vendor.Decode([]byte(row.frame))
		var f *telephone.Error
		if !errors.As(err, &f) {
			t.Errorf("%s: %.80s: got %v, want a *telephone.Error", row.reason, row.frame, err)
			continue
		}
		if f.Code != row.code || !strings.Contains(f.Message, row.want) {
			t.Errorf("%s: %.80s:\ngot  %s: %s\nwant %s: …%s…", row.reason, row.frame, f.Code, f.Message, row.code, row.want)
		}
		if strings.Contains(f.Message, "secret") {
			t.Errorf("%s: a parameter's value is in %q", row.reason, f.Message)
		}
	}
}

// Every prefix of each recorded frame is refused by name.
func TestFramesCutShortAtEveryLength(t *testing.T) {
	for _, v := range telephone.Vendors {
		for _, frame := range recorded(t, v) {
			for n := range len(frame) {
				var f *telephone.Error
				if _, err := v.Decode(frame[:n]); !errors.As(err, &f) || f.Code != telephone.CodeBadMessage {
					t.Fatalf("%s: %s: got %v", v, frame[:n], err)
				}
			}
		}
	}
}
