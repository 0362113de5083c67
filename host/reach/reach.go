// Package reach says which web hosts an app may call: the patterns that a
// manifest and the configuration write, and which of them a URL is covered by.
//
// A pattern is a host's name ("api.example.com"), every name below one
// ("*.example.com", which is not example.com itself), or an address
// ("10.1.2.3", "[fd00::1]"), each with a port where it is not the scheme's
// own. The scheme is https unless "http://" stands before the pattern. Names
// are compared as ASCII in lower case; an international name is written in its
// xn-- form.
//
// It resolves nothing: whether a name's address may be dialled is for
// host/fetch to say, when it is dialled. It imports nothing of ours, and
// everything in it is a value.
package reach

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxHosts is how many patterns a manifest or a grant has at most.
const MaxHosts = 64

// maxName is the longest name of a host, in bytes (RFC 1035).
const maxName = 253

// Host is a pattern. The zero value covers nothing.
type Host struct {
	scheme string // http or https
	name   string // lower-case, or an address without brackets; without "*."
	below  bool   // every name below name, not itself
	port   uint16

	everywhere bool // every host, whatever else is there
}

// Error says what is wrong with a pattern or a URL, and what to do about it.
type Error struct{ What, Do string }

func (e *Error) Error() string { return e.What + "; " + e.Do }

func wrong(do, format string, args ...any) *Error { return &Error{fmt.Sprintf(format, args...), do} }

const writeOne = `write one such as "api.example.com", "*.example.com" or "http://10.0.0.5:8080"`

// Parse reads a pattern. The error is an *Error.
func Parse(s string) (Host, error) {
	h := Host{scheme: "https"}
	rest := s
	if i := strings.Index(s, "://"); i >= 0 {
		switch s[:i] {
		case "http":
			h.scheme, rest = "http", s[i+3:]
		case "https":
			return Host{}, wrong(fmt.Sprintf("write %q", s[i+3:]), "%q: https is what is meant without a scheme", clip(s))
		default:
			return Host{}, wrong(writeOne, "%q: only http and https can be called", clip(s))
		}
	}
	if strings.ContainsAny(rest, "/?#@") {
		return Host{}, wrong(writeOne, "%q is more than a host", clip(s))
	}
	name, port, err := split(rest, h.scheme)
	if err != nil {
		return Host{}, wrong(writeOne, "%q: %s", clip(s), err.What)
	}
	if after, ok := strings.CutPrefix(name, "*."); ok {
		h.below, name = true, after
		if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
			return Host{}, wrong(writeOne, "%q would be far more than one owner's hosts", clip(s))
		}
	}
	if h.name, err = canonical(name); err != nil {
		return Host{}, wrong(writeOne, "%q: %s", clip(s), err.What)
	}
	h.port = port
	return h, nil
}

// Everywhere is what a manifest names as its only host when the hosts are the
// operator's to say: it asks for every host, and is granted those that the
// configuration names, never all.
const Everywhere = "*"

// ParseWanted reads a pattern of a manifest: as Parse, and Everywhere, which
// covers every host.
func ParseWanted(s string) (Host, error) {
	if s == Everywhere {
		return Host{everywhere: true}, nil
	}
	return Parse(s)
}

// IsEverywhere reports whether h covers every host.
func (h Host) IsEverywhere() bool { return h.everywhere }

// String returns the pattern as it is written, without a port that its scheme
// implies.
func (h Host) String() string {
	if h.everywhere {
		return Everywhere
	}
	s := h.name
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if h.below {
		s = "*." + s
	}
	if h.scheme == "http" {
		s = "http://" + s
	}
	if h.port != defaultPort(h.scheme) {
		s += ":" + strconv.Itoa(int(h.port))
	}
	return s
}

// Covers reports whether every host that other covers is one that h covers.
func (h Host) Covers(other Host) bool {
	if h.everywhere {
		return true
	}
	if other.everywhere || h.scheme != other.scheme || h.port != other.port {
		return false
	}
	switch {
	case !h.below:
		return !other.below && h.name == other.name && h.name != ""
	case other.below && h.name == other.name:
		return true
	}
	if _, err := netip.ParseAddr(other.name); err == nil {
		return false
	}
	return strings.HasSuffix(other.name, "."+h.name)
}

// Any reports whether one of hosts covers h.
func (h Host) Any(hosts []Host) bool {
	for _, g := range hosts {
		if g.Covers(h) {
			return true
		}
	}
	return false
}

// ParseURL reads the URL of a call. It returns the URL in one form, so that
// what is looked at is what is called, and its host. The error is an *Error.
func ParseURL(s string) (*url.URL, Host, error) {
	const absolute = `write an absolute URL such as "https://api.example.com/v1"`
	u, err := url.Parse(s)
	if err != nil {
		// The parser's own text repeats the URL, which may hold a key.
		return nil, Host{}, wrong(absolute, "it can't be read")
	}
	return FromURL(u)
}

// FromURL is ParseURL of a URL that has been read, as that of a redirect.
func FromURL(u *url.URL) (*url.URL, Host, error) {
	const absolute = `write an absolute URL such as "https://api.example.com/v1"`
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme != "http" && scheme != "https":
		return nil, Host{}, wrong(absolute, "its scheme is neither https nor http")
	case u.Opaque != "" || u.Host == "":
		return nil, Host{}, wrong(absolute, "it names no host")
	case u.User != nil:
		return nil, Host{}, wrong("keys belong into the operator's configuration", "it holds a user or a password")
	case u.Fragment != "" || u.RawFragment != "":
		return nil, Host{}, wrong("leave it out", "it has a fragment (#…), which no service sees")
	}
	name, port, bad := split(u.Host, scheme)
	if bad == nil {
		name, bad = canonical(name)
	}
	if bad != nil {
		return nil, Host{}, wrong(absolute, "its host: %s", bad.What)
	}
	h := Host{scheme: scheme, name: name, port: port}
	clean := *u
	clean.Scheme, clean.Host, clean.Fragment, clean.RawFragment = scheme, h.authority(), "", ""
	return &clean, h, nil
}

// authority is what stands in a URL for h.
func (h Host) authority() string {
	s := h.name
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if h.port != defaultPort(h.scheme) {
		s += ":" + strconv.Itoa(int(h.port))
	}
	return s
}

func defaultPort(scheme string) uint16 {
	if scheme == "http" {
		return 80
	}
	return 443
}

// split parts a host from its port; without one, the scheme's own.
func split(s, scheme string) (name string, port uint16, bad *Error) {
	name, port = s, defaultPort(scheme)
	colon := strings.LastIndexByte(s, ':')
	if colon > strings.LastIndexByte(s, ']') {
		n, err := strconv.ParseUint(s[colon+1:], 10, 16)
		if err != nil || n == 0 || s[colon+1] == '0' {
			return "", 0, wrong(writeOne, "its port is not 1 to 65535")
		}
		name, port = s[:colon], uint16(n)
	}
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		a, err := netip.ParseAddr(name[1 : len(name)-1])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, wrong(writeOne, "what is in brackets is no IPv6 address")
		}
		return a.Unmap().String(), port, nil
	}
	if strings.ContainsAny(name, ":[]") {
		return "", 0, wrong(writeOne, "an IPv6 address stands in brackets")
	}
	return name, port, nil
}

// canonical returns a name in lower case, or an address in its one form.
func canonical(name string) (string, *Error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().String(), nil
	}
	name = strings.ToLower(name)
	if name == "" || len(name) > maxName {
		return "", wrong(writeOne, "a host's name has 1 to %d characters", maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", wrong(writeOne, "it is no host's name")
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", wrong(writeOne, "a host's name has ASCII letters, digits, '-', '_' and dots (an international one in its xn-- form)")
			}
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; numeric(last) {
		return "", wrong(writeOne, "it is neither a name nor a whole address")
	}
	return name, nil
}

// numeric reports whether a name that ends with label would be read as an
// address by some (RFC 3696; the WHATWG's "ends in a number").
func numeric(label string) bool {
	if strings.HasPrefix(label, "0x") {
		return true
	}
	return strings.Trim(label, "0123456789") == ""
}

// Address is what h is dialled at: host:port.
func (h Host) Address() string { return net.JoinHostPort(h.name, strconv.Itoa(int(h.port))) }

func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "…"
}
