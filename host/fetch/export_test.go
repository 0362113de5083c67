package fetch

import (
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// Test has c resolve names by r and trust roots.
func (c *Client) Test(r *net.Resolver, roots *x509.CertPool) {
	c.transport.DialContext = (&net.Dialer{ControlContext: c.guard.control, Resolver: r}).DialContext
	c.transport.TLSClientConfig.RootCAs = roots
}

// At has c's clock stand still.
func (c *Client) At(t time.Time) { c.now = func() time.Time { return t } }

// Public reports whether an address may be dialled beside those granted.
func Public(a netip.Addr, private ...netip.Prefix) bool { return newGuard(private).check(a) == nil }
