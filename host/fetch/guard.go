package fetch

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// guard says which addresses may be dialled: public ones, and those that the
// operator grants. What is public is what IANA's special-purpose registries do
// not list: no loopback, private, shared (CGNAT), link-local, documentation,
// multicast or reserved address, and of IPv6 only global unicast without 6to4
// and Teredo. That refuses the metadata services at 169.254.169.254,
// fd00:ec2::254 and 100.100.100.200 too.
type guard struct{ ssrf *ssrf.Guardian }

// azure answers for a virtual machine's host from a public address.
var azure = netip.MustParsePrefix("168.63.129.16/32")

func newGuard(private []netip.Prefix) *guard {
	v4, v6 := prefixes(private)
	return &guard{ssrf.New(
		ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...), ssrf.WithDeniedV4Prefixes(azure),
	)}
}

// control is net.Dialer.ControlContext: the address is the one that is about to
// be dialled, whatever its name was and whoever resolved it.
func (g *guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", errNotPublic, network)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotPublic, err)
	}
	return g.check(a.Addr())
}

// check refuses an address that is neither public nor granted. One that stands
// for an IPv4 address (mapped, or by NAT64, RFC 6052) is judged as that.
func (g *guard) check(a netip.Addr) error {
	if a.Zone() != "" {
		return fmt.Errorf("%w: it has a zone", errNotPublic)
	}
	a = a.Unmap()
	if g.ssrf.SafeAddr(a) == nil {
		return nil
	}
	if ssrf.IPv6NAT64Prefix.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if err := g.ssrf.SafeAddr(a); err != nil {
		return fmt.Errorf("%w: %w", errNotPublic, err)
	}
	return nil
}
