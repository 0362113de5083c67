package telephone

import (
	"encoding/json"
	"errors"
	"mime"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/host/audio"
)

// number is a whole number that is 0 or more. Some vendors send it as a string,
// and some in one frame as a string and in another as a number.
type number uint64

var errNumber = errors.New("a number is none, or not a whole one")

// UnmarshalJSON takes 12 and "12"; null is 0.
func (n *number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" || text == "" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return errNumber
	}
	*n = number(v)
	return nil
}

// mediaFormat is how a vendor says how its audio is encoded.
type mediaFormat struct {
	Encoding   string `json:"encoding"`
	SampleRate number `json:"sampleRate"` // Twilio, Plivo
	Rate       number `json:"sample_rate"`
	Channels   number `json:"channels"`
}

// codecs are the encodings that can be, by their names in lower case. Of L16 see
// docs/telephone.md: it comes little-endian from both who offer it, though RFC
// 3551 says otherwise.
var codecs = map[string]audio.Codec{
	"audio/x-mulaw": audio.MuLaw,
	"pcmu":          audio.MuLaw,
	"pcma":          audio.ALaw,
	"audio/x-alaw":  audio.ALaw,
	"audio/x-l16":   audio.PCM16,
	"l16":           audio.PCM16,
	"opus":          audio.Opus,
}

// format returns the format that m says, which passes Check.
func (v Vendor) format(m *mediaFormat) (audio.Format, error) {
	field := "start.mediaFormat"
	if v == Telnyx {
		field = "start.media_format"
	}
	if m == nil || m.Encoding == "" {
		return audio.Format{}, fault(CodeBadStart, EventStart, "start: %s.encoding is missing", field)
	}
	name, rate := strings.ToLower(m.Encoding), m.SampleRate
	if v == Telnyx {
		rate = m.Rate
	}
	if kind, params, err := mime.ParseMediaType(m.Encoding); err == nil { // audio/x-l16;rate=16000
		name = kind
		if r, err := strconv.ParseUint(params["rate"], 10, 31); err == nil && rate == 0 {
			rate = number(r)
		}
	}
	codec, ok := codecs[name]
	if !ok {
		return audio.Format{}, fault(CodeUnsupportedAudio, EventStart, "start: %s.encoding %+.64q is not supported; have the call streamed as mu-law, A-law, L16 or Opus", field, m.Encoding)
	}
	if rate == 0 && (codec == audio.MuLaw || codec == audio.ALaw) {
		rate = 8000 // G.711 has no other
	}
	f := audio.Format{Codec: codec, Rate: int(min(rate, 1<<30)), Channels: int(min(m.Channels, 1<<10))}
	if f.Channels == 0 {
		f.Channels = 1
	}
	if err := f.Check(); err != nil {
		return audio.Format{}, fault(CodeUnsupportedAudio, EventStart, "start: %s: %s", field, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return f, nil
}

// parameters reads an object of strings; numbers and booleans are taken as they
// are written. Values are in no error's text: one is a credential.
func parameters(field string, raw map[string]json.RawMessage) (map[string]string, error) {
	if len(raw) > MaxParameters {
		return nil, fault(CodeBadStart, EventStart, "start: %s has %d parameters; at most %d are taken", field, len(raw), MaxParameters)
	}
	p := make(map[string]string, len(raw))
	for name, value := range raw {
		text, ok := scalar(value)
		if !ok {
			return nil, fault(CodeBadStart, EventStart, "start: %s.%+.64q is neither a string, a number nor true or false", field, name)
		}
		p[name] = text
	}
	return p, nil
}

// scalar returns a string, or a number or boolean as it is written.
func scalar(b json.RawMessage) (string, bool) {
	if len(b) == 0 {
		return "", false
	}
	switch b[0] {
	case '"':
		var s string
		err := json.Unmarshal(b, &s)
		return s, err == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(b), true
}

// extraHeadersPrefix is what Plivo puts before the names of headers that it
// passes on.
const extraHeadersPrefix = "x-ph-"

// extraHeaders reads Plivo's extra_headers: pairs as its XML has them,
// "a=1,b=2", or parted by semicolons, as its documents show both, in braces or
// not; or an object, or one in a string. A prefix X-PH- of a name is taken off.
func extraHeaders(b json.RawMessage) (map[string]string, error) {
	const field = "extra_headers"
	p := map[string]string{}
	if len(b) == 0 || string(b) == "null" {
		return p, nil
	}
	object := b
	if b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return nil, fault(CodeBadStart, EventStart, "start: %s can't be read", field)
		}
		text = strings.TrimSpace(text)
		if object = json.RawMessage(text); !strings.HasPrefix(text, "{") || !json.Valid(object) {
			return pairs(field, text)
		}
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(object, &raw); err != nil {
		return nil, fault(CodeBadStart, EventStart, "start: %s is neither pairs as a=1,b=2 nor an object", field)
	}
	values, err := parameters(field, raw)
	if err != nil {
		return nil, err
	}
	for name, value := range values {
		p[trimPrefix(name)] = value
	}
	return p, nil
}

func pairs(field, text string) (map[string]string, error) {
	p := map[string]string{}
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		if text, ok = strings.CutSuffix(inner, "}"); !ok {
			return nil, fault(CodeBadStart, EventStart, "start: %s has a brace that is not closed", field)
		}
	}
	for pair := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		var name, value string
		if at := strings.IndexAny(pair, "=:"); at > 0 {
			name, value = pair[:at], pair[at+1:]
		}
		if name = trimPrefix(strings.TrimSpace(name)); name == "" {
			return nil, fault(CodeBadStart, EventStart, "start: %s is not pairs as a=1,b=2", field)
		}
		p[name] = strings.TrimSpace(value)
		if len(p) > MaxParameters {
			return nil, fault(CodeBadStart, EventStart, "start: %s has more than %d pairs", field, MaxParameters)
		}
	}
	return p, nil
}

func trimPrefix(name string) string {
	if n := len(extraHeadersPrefix); len(name) > n && strings.EqualFold(name[:n], extraHeadersPrefix) {
		return name[n:]
	}
	return name
}
