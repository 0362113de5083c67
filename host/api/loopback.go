package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// LoopbackOnly refuses, with 403, every request whose Host header does not name
// this machine's loopback ("localhost", 127.0.0.0/8, [::1], with any port or
// none), where listen, the address served on, is on loopback. Elsewhere it
// refuses nothing: names are many there, and a page that rebinds its name gets
// no further than any client that connects directly, who must authenticate.
//
// A listener on loopback is reached by the browsers of its machine. A page
// that makes its own name resolve to 127.0.0.1 (DNS rebinding) would count as
// of one origin with the host and could read everything; but its requests
// carry its name as Host. Wrap the whole server with it, the stream included.
func LoopbackOnly(listen string, next http.Handler) http.Handler {
	if !isLoopback(hostname(listen)) {
		return next
	}
	return withRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(hostname(r.Host)) {
			w.Header().Set("Connection", "close")
			fail(w, r, http.StatusForbidden, "bad_host", fmt.Sprintf(
				"this host answers to localhost, 127.0.0.1 and [::1] only, and the request's Host is %.128q; a proxy in front of it must send one of those as Host", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// hostname returns the name or address in host, host:port, [v6] or [v6]:port,
// lower-cased; "" when it is none of them.
func hostname(s string) string {
	if h, port, err := net.SplitHostPort(s); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return ""
		}
		s = h
	} else if rest, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(rest, "]"); !ok {
			return ""
		}
	}
	return strings.ToLower(s)
}

func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
