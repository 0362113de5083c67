// Package origins decides by a request's Origin header (RFC 6454, as browsers
// write it) which web pages may use the host. Programs that are no browsers
// send none, and are not its concern: it protects people from pages that they
// visit, not the host from clients, which is what authentication does.
//
// It keeps nothing and is safe for concurrent use.
package origins

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// List are the origins whose pages may use the host, each as Check wants it.
// An empty List allows pages of this machine to stream.
type List []string

// Allows reports whether a page of origin may stream. Origins match exactly,
// scheme, host and port: only an empty List allows loopback origins.
//
// Any page of the web can make a browser connect to a loopback port, so the
// origin's own host decides, and not whether it equals the request's: a name
// that someone points at 127.0.0.1 would be equal.
func (l List) Allows(origin string) bool {
	if len(l) > 0 {
		return l.Names(origin)
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	h := u.Hostname()
	return strings.EqualFold(h, "localhost") || net.ParseIP(h).IsLoopback()
}

// Names reports whether origin is in the list.
func (l List) Names(origin string) bool { return slices.Contains(l, origin) }

// Check returns what is wrong with an origin in a List, as the end of a
// sentence about it; nil when a browser would write it just so.
func Check(s string) error {
	if s == "*" {
		return errors.New("would let every page on the web use the host as whoever visits it")
	}
	if s == "null" {
		return errors.New("is what pages without an origin send, which can be anybody's")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return errors.New("does not begin with https:// or http://")
	}
	if strings.Contains(rest, "*") {
		return errors.New("has a *: origins match exactly, so list each")
	}
	if strings.ContainsAny(rest, "/?#@ ") {
		return errors.New("is more than an origin, which ends after host and port")
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Host != rest {
		return errors.New("is not an origin")
	}
	if strings.ToLower(s) != s {
		return errors.New("has capitals, which browsers make small")
	}
	host, isIP := u.Hostname(), strings.HasPrefix(rest, "[")
	if isIP {
		if ip := net.ParseIP(host); ip == nil || ip.String() != host {
			return errors.New("has an IPv6 address that browsers write otherwise")
		}
	} else if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		return errors.New("has a host that browsers write otherwise; write international names in their xn-- form")
	}
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(rest, ":") {
			return errors.New("has a colon without a port")
		}
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return errors.New("has a port that is none")
	}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return errors.New("has its scheme's own port, which browsers leave out")
	}
	return nil
}
