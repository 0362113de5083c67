package origins_test

import (
	"net/url"
	"testing"

	"github.com/auricle-dev/auricle/host/origins"
)

func TestCheck(t *testing.T) {
	for _, good := range []string{
		"https://app.example.com", "http://app.example.com:8080", "http://localhost:3000", "http://127.0.0.1",
		"https://[2001:db8::1]:8443", "https://xn--bcher-kva.example",
	} {
		if err := origins.Check(good); err != nil {
			t.Errorf("%q %v", good, err)
		}
	}
	for _, bad := range []struct{ origin, reason string }{
		{"", "empty"},
		{"*", "everybody"},
		{"null", "sandboxed pages of anybody send it"},
		{"app.example.com", "no scheme: which would match?"},
		{"ftp://app.example.com", "no page has it"},
		{"wss://app.example.com", "the stream's address is not the page's"},
		{"https://", "no host"},
		{"https://app.example.com/", "browsers send no slash, so it would match nothing"},
		{"https://app.example.com/path", "a path is no part of an origin"},
		{"https://app.example.com?x", "nor is a query"},
		{"https://ann@app.example.com", "nor a user"},
		{"https://*.example.com", "matches are exact"},
		{"https://App.example.com", "browsers send it small, so it would match nothing"},
		{"https://app.example.com:443", "browsers leave the scheme's own port out"},
		{"http://app.example.com:80", "likewise"},
		{"https://app.example.com:", "no port"},
		{"https://app.example.com:0", "no port"},
		{"https://app.example.com:065", "browsers write it otherwise"},
		{"https://app.example.com:65536", "no port"},
		{"https://bücher.example", "browsers send xn--"},
		{"https://[::0001]", "browsers shorten it"},
		{"https://app.example.com https://b.example.com", "two"},
		{"https://app.example.com\x00", "no host"},
	} {
		if origins.Check(bad.origin) == nil {
			t.Errorf("%q was taken: %s", bad.origin, bad.reason)
		}
	}
}

func TestAllows(t *testing.T) {
	listed := origins.List{"https://app.example.com", "http://localhost:3000"}
	for _, row := range []struct {
		list   origins.List
		origin string
		want   bool
	}{
		{nil, "http://localhost:8000", true},
		{nil, "https://127.0.0.1", true},
		{nil, "http://[::1]:1", true},
		{nil, "https://app.example.com", false},
		{nil, "null", false},
		{nil, "http://localhost.example.com", false},
		{listed, "https://app.example.com", true},
		{listed, "http://localhost:3000", true},
		{listed, "http://localhost:8000", false}, // the list is in the place of loopback
		{listed, "http://app.example.com", false},
		{listed, "https://app.example.com:8443", false},
		{listed, "https://app.example.com.evil.example", false},
		{listed, "https://evil.example/https://app.example.com", false},
		{listed, "https://APP.example.com", false},
		{listed, "", false},
		{listed, "null", false},
	} {
		if got := row.list.Allows(row.origin); got != row.want {
			t.Errorf("%v allows %q: %v, want %v", row.list, row.origin, got, row.want)
		}
	}
}

// Whatever Check takes is an origin and nothing more, which a browser can send.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"https://app.example.com", "http://[::1]:3000", "*", "null", "https://a:443", "https://a/b", "https://a@b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if origins.Check(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme+"://"+u.Host != s || u.Hostname() == "" {
			t.Fatalf("%q was taken", s)
		}
		if !(origins.List{s}).Allows(s) || (origins.List{s}).Allows(s+"x") {
			t.Fatalf("%q does not match exactly", s)
		}
	})
}
