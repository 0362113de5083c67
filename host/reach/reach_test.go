package reach_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/reach"
)

func TestGoodPatterns(t *testing.T) {
	for in, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.com": "api.example.com", "*.example.com": "*.example.com",
		"api.example.com:8443": "api.example.com:8443", "api.example.com:443": "api.example.com", "http://api.example.com": "http://api.example.com",
		"http://api.example.com:80": "http://api.example.com", "10.0.0.5": "10.0.0.5", "http://10.0.0.5:8080": "http://10.0.0.5:8080",
		"[FD00::1]": "[fd00::1]", "[::ffff:10.0.0.5]:8080": "10.0.0.5:8080", "localhost": "localhost", "*.a_b.example.com:8443": "*.a_b.example.com:8443",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		h, err := reach.Parse(in)
		if err != nil || h.String() != want {
			t.Errorf("%s: %v, %v; want %s", in, h, err, want)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"", "1 to 253"},
		{"*", "a host's name has ASCII"},       // everything
		{"*.com", "far more"},                  // everyone's
		{"*.10.0.0.1", "far more"},             // an address has no names below it
		{"a.*.example.com", "ASCII"},           // a star in the middle
		{"*api.example.com", "ASCII"},          // a star within a label
		{"https://api.example.com", "meant"},   // said twice
		{"ftp://api.example.com", "only http"}, // another scheme
		{"api.example.com/v1", "more than"},
		{"api.example.com?x", "more than"},
		{"u@api.example.com", "more than"}, // the host is behind the @
		{"api.example.com:0", "port"},
		{"api.example.com:080", "port"},
		{"api.example.com:65536", "port"},
		{"api.example.com:", "port"},
		{"api..example.com", "no host's name"},
		{"api.example.com.", "no host's name"}, // two spellings of one name
		{"-a.example.com", "no host's name"},
		{"bücher.example", "xn--"},
		{"fd00::1", "brackets"},
		{"[fd00::1%25eth0]", "brackets"},
		{"[10.0.0.1]", "brackets"},
		{"127.1", "whole address"}, // some resolvers take it for 127.0.0.1
		{"0x7f000001", "whole address"},
		{"2130706433", "whole address"},
		{"a b", "ASCII"},
		{strings.Repeat("a.", 130) + "com", "1 to 253"},
	} {
		if h, err := reach.Parse(row.in); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, %v; want %q", row.in, h, err, row.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, row := range []struct {
		pattern, other string
		want           bool
	}{
		{"api.example.com", "api.example.com", true},
		{"api.example.com", "API.example.com:443", true},
		{"api.example.com", "b.api.example.com", false},
		{"api.example.com", "*.api.example.com", false},
		{"api.example.com", "api.example.com:444", false},
		{"api.example.com", "http://api.example.com", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "evilexample.com", false},
		{"*.example.com", "a.example.com.evil.org", false},
		{"*.example.com", "*.example.com", true},
		{"*.example.com", "*.a.example.com", true},
		{"*.a.example.com", "*.example.com", false},
	} {
		p, err := reach.Parse(row.pattern)
		o, err2 := reach.Parse(row.other)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got := p.Covers(o); got != row.want {
			t.Errorf("%s covers %s: %v, want %v", row.pattern, row.other, got, row.want)
		}
	}
}

// FuzzGrant holds, for any pattern and URL: a URL that a pattern covers is one
// whose request goes to a host of that pattern, as net/http reads it.
func FuzzGrant(f *testing.F) {
	for _, s := range []struct{ pattern, url string }{
		{"api.example.com", "https://api.example.com/v1?x=y"},
		{"*.example.com", "https://a.example.com:443"},
		{"*.example.com", "https://evil.org#.example.com"},
		{"*.example.com", `https://evil.org\.example.com/`},
		{"*.example.com", "https://evil.org%2f.example.com/"},
		{"api.example.com", "https://api.example.com@evil.org/"},
		{"http://10.0.0.5:8080", "http://[::ffff:10.0.0.5]:8080/"},
		{"[fd00::1]", "https://[FD00:0::1]/"},
		{"a.example.com", "HTTPS://A.EXAMPLE.COM"},
	} {
		f.Add(s.pattern, s.url)
	}
	f.Fuzz(func(t *testing.T, pattern, raw string) {
		u, target, err := reach.ParseURL(raw)
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodGet, u.String(), nil)
		if err != nil {
			t.Fatalf("%q was read as %q, which can't be called: %v", raw, u, err)
		}
		port := req.URL.Port()
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[req.URL.Scheme]
		}
		dialled := net.JoinHostPort(req.URL.Hostname(), port)
		if target.Address() != dialled || req.Host != req.URL.Host || req.URL.User != nil {
			t.Fatalf("%q: judged as %s, dialled at %s", raw, target.Address(), dialled)
		}
		p, err := reach.Parse(pattern)
		if err != nil || !p.Covers(target) {
			return
		}
		name := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(pattern), "http://"), "*.")
		if host := req.URL.Hostname(); net.ParseIP(host) == nil && !strings.HasPrefix(name, host) && !strings.HasSuffix("."+host, "."+strings.Split(name, ":")[0]) {
			t.Fatalf("%q covers %q, which goes to %s", pattern, raw, host)
		}
		if again, err := reach.Parse(p.String()); err != nil || again != p {
			t.Fatalf("%q prints as %q, which is read as %v, %v", pattern, p, again, err)
		}
	})
}
