package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
)

// tls checks the tls block's keys against each other.
func (d *decoder) tls(c *Config) {
	t := c.TLS
	switch {
	case t.Cert != "" && t.Key == "":
		d.fault(c.Pos["tls.cert"], "tls.cert has no tls.key", "name the file of its private key too")
	case t.Key != "" && t.Cert == "":
		d.fault(c.Pos["tls.key"], "tls.key has no tls.cert", "name the file of its certificate too")
	}
	a := t.ACME
	if len(a.Domains) == 0 {
		for path, set := range map[string]bool{"tls.acme.email": a.Email != "", "tls.acme.directory": a.DirectoryURL != "", "tls.acme.ca": a.CA != "", "tls.acme.accept_terms": a.AcceptTerms} {
			if set {
				d.warn(c.Pos[path], path+" has no effect without "+acmeDomains, "name the domains, or remove it")
			}
		}
		return
	}
	if t.Cert != "" {
		d.fault(c.Pos[acmeDomains], "certificates come from tls.cert or from tls.acme, not from both", "remove one of the two")
	}
	if !a.AcceptTerms {
		d.fault(c.Pos[acmeDomains], "an ACME authority gives certificates to those only who accept its terms", "read them, and set tls.acme.accept_terms = true")
	}
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			d.fault(c.Pos["tls.acme.email"], fmt.Sprintf("tls.acme.email: %s is not an address", quote(a.Email)), `write one such as "ops@example.org"`)
		}
	}
	if a.DirectoryURL != "" {
		if u, err := url.Parse(a.DirectoryURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			d.fault(c.Pos["tls.acme.directory"], fmt.Sprintf("tls.acme.directory: %s is not an https URL", quote(a.DirectoryURL)),
				`write the authority's, such as "https://acme-v02.api.letsencrypt.org/directory"`)
		}
	}
}

// checkDomain says what is wrong with a name to have a certificate for.
func checkDomain(s string) (what, do string) {
	const write = `write a whole name in lower case, such as "auricle.example.org"`
	if _, err := netip.ParseAddr(s); err == nil {
		return quote(s) + " is an address; certificates are for names", write
	}
	if strings.HasPrefix(s, "*.") {
		return quote(s) + " is a wildcard, which TLS-ALPN-01 can't prove", "list each name"
	}
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return quote(s) + " is not a domain", write
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return quote(s) + " is not a domain", write
		}
	}
	return "", ""
}
