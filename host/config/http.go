package config

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/reach"
	"golang.org/x/net/http/httpguts"
)

// AppHTTP says how an app may call web services, with the capability http. The
// zero value of each field is its default.
type AppHTTP struct {
	Hosts            []reach.Host    // granted; nil: all that the manifest names
	Private          []netip.Prefix  // addresses that are not public and may be reached all the same
	MaxRequestBytes  int64           // of a request's body; 0 means 1 MiB, which is the most
	MaxResponseBytes int64           // of an answer's body; 0 means 1 MiB, which is the most
	Timeout          time.Duration   // of a call; 0 means 10 s
	Concurrency      int             // calls under way at once; 0 means 8
	RatePerMinute    int             // calls a minute, a tenth of them at once; 0 means 600
	Headers          []AppHTTPHeader // put into requests by the host, in the file's order
	Sign             AppHTTPSign
	Pos              AppHTTPPos
}

// WithoutPos returns h without what says where it stands in the file.
func (h AppHTTP) WithoutPos() AppHTTP {
	h.Pos = AppHTTPPos{}
	h.Headers = slices.Clone(h.Headers)
	for i := range h.Headers {
		h.Headers[i].Pos = Pos{}
	}
	return h
}

// AppHTTPHeader is a header that the host puts into an app's requests, which
// the app never sees.
type AppHTTPHeader struct {
	Name  string // canonical: "Authorization"
	Value Secret
	Hosts []reach.Host // whose requests get it; nil: every granted host's
	Pos   Pos
}

// AppHTTPSign has the host sign an app's requests, so that who is called can
// tell who calls. Without a Secret they are not signed.
type AppHTTPSign struct {
	Secret Secret
	Hosts  []reach.Host // whose requests are signed; nil: every granted host's
}

// AppHTTPPos says where the parts stand; what is left out has its block's
// position, or the app's.
type AppHTTPPos struct {
	Hosts Pos
	Each  []Pos // one for each of AppHTTP.Hosts
}

// Secret is text that is shown to nobody: it prints, in every way of package
// fmt and as JSON, as "(secret)". The zero value is none. Compare Secrets by
// reflect.DeepEqual.
type Secret struct {
	text *string // a pointer, for fmt calls no method of what is in an unexported field
}

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

const hidden = "(secret)"

// Reveal returns the text, for the one place where it is used.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns "(secret)", or "" where there is none.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// Format writes String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(s.String())) // a State has nowhere to report it
}

// MarshalJSON returns String as JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// The bounds of a secret, in bytes: what a header may hold with every server.
const (
	maxSecretBytes  = 4 << 10
	leastSigningKey = 16
)

// secret puts a secret into dst. Nothing about its text is ever said.
func (d *decoder) secret(k Key, label string, v value, dst *Secret) bool {
	switch {
	case v.Form != formString:
		d.fault(v.Pos, label+": expected a secret", `write env("NAME"), which takes it from the environment`)
	case strings.TrimSpace(v.Text) == "":
		d.fault(v.Pos, label+": it is empty", `write env("NAME"), which takes it from the environment`)
	case len(v.Text) > maxSecretBytes:
		d.fault(v.Pos, fmt.Sprintf("%s: it has more than %d bytes", label, maxSecretBytes), "use a shorter one")
	case !httpguts.ValidHeaderFieldValue(v.Text) || strings.TrimSpace(v.Text) != v.Text:
		d.fault(v.Pos, label+": it has a control character, or white space at an end", "look for a line's end that came with it, and leave that out")
	case k.Path == appHTTPSignSecret && len(v.Text) < leastSigningKey:
		d.fault(v.Pos, fmt.Sprintf("%s: a secret to sign with has %d bytes or more", label, leastSigningKey), "make one, such as by openssl rand -hex 32")
	default:
		if v.Variable == "" {
			d.warn(v.Pos, label+": whoever can read this file has the secret", `put it into the environment and write env("NAME")`)
		}
		*dst = NewSecret(v.Text)
		return true
	}
	return false
}

// hosts decodes a list of hosts, and returns where each stands.
func (d *decoder) hosts(k Key, label string, v value, dst *[]reach.Host) (at []Pos) {
	*dst = []reach.Host{}
	d.list(k, label, v, func(item value) {
		h, err := reach.Parse(item.Text)
		switch {
		case err != nil:
			what, do := err.Error(), ""
			if e, ok := err.(*reach.Error); ok {
				what, do = e.What, e.Do
			}
			d.fault(item.Pos, label+": "+what, do)
		case len(*dst) == reach.MaxHosts:
			d.fault(item.Pos, fmt.Sprintf("%s: more than %d hosts", label, reach.MaxHosts), "name fewer, such as by a *.")
		default:
			*dst = append(*dst, h)
			at = append(at, item.Pos)
		}
	})
	if v.Form == formList && len(v.Items) == 0 {
		d.warn(v.Pos, label+": the list is empty, so that no host is meant", "name some, or leave the key out for all of them")
	}
	return at
}

func (d *decoder) prefixes(k Key, label string, v value, dst *[]netip.Prefix) {
	const do = `write one such as "10.0.0.0/8" or "fd00::/8"`
	d.list(k, label, v, func(item value) {
		p, err := netip.ParsePrefix(item.Text)
		switch {
		case err != nil:
			d.fault(item.Pos, fmt.Sprintf("%s: %s is no range of addresses", label, item.got()), do)
		case p != p.Masked():
			d.fault(item.Pos, fmt.Sprintf("%s: %s has bits behind its length", label, item.got()), fmt.Sprintf("write %q", p.Masked()))
		case p.Addr().Is4In6():
			d.fault(item.Pos, fmt.Sprintf("%s: %s is a range of IPv4 in IPv6's clothes", label, item.got()), do)
		default:
			if p.Bits() == 0 {
				d.warn(item.Pos, fmt.Sprintf("%s: %s is every address: loopback, this network and the cloud's metadata too", label, item.got()), "name the ranges that the app needs")
			}
			*dst = append(*dst, p)
		}
	})
}

// appHeaders decodes the header blocks of an app's http block.
func (d *decoder) appHeaders(blocks []appBlock, app string, a *App) {
	seen := map[string]Pos{}
	for _, b := range blocks {
		label := fmt.Sprintf("app %s: http.header %s: ", quote(app), quote(b.Name))
		h := AppHTTPHeader{Name: http.CanonicalHeaderKey(b.Name), Pos: b.Pos}
		good := true
		switch first, twice := seen[h.Name]; {
		case !httpguts.ValidHeaderFieldName(b.Name):
			d.fault(b.Pos, label+"not a header's name", `write one such as "Authorization"`)
			continue
		case ReservedHeader(h.Name):
			d.fault(b.Pos, label+"this header is the host's own", "remove it")
			continue
		case twice:
			d.fault(b.Pos, label+"it is given twice", fmt.Sprintf("keep one of the two (the other is on line %d)", first.Line))
			continue
		}
		seen[h.Name] = b.Pos
		for _, k := range keys {
			if k.header == nil {
				continue
			}
			v, ok := b.Values[k.inApp()]
			switch {
			case !ok && k.Required && d.clean:
				d.fault(b.Pos, label+k.inApp()+" is missing", "add "+k.inApp()+" = "+k.example())
				good = false
			case !ok || v.Form == formBroken:
				good = good && !k.Required
			default:
				good = d.decode(k, label+k.inApp(), v, k.header(&h)) && good
			}
		}
		if good {
			a.HTTP.Headers = append(a.HTTP.Headers, h)
		}
	}
}

// ReservedHeader reports whether neither an app nor an operator sets the header
// of that canonical name: it belongs to the connection, says how the body
// comes, or signs it.
func ReservedHeader(name string) bool {
	switch name {
	case "Host", "Content-Length", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Expect", "Accept-Encoding", "Auricle-Signature", "Auricle-Timestamp":
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}
