package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// checkListen returns what is wrong with an address to listen on, and what to
// do about it; "" when nothing is.
func checkListen(address string) (what, do string) {
	const shape = `write host:port, such as "127.0.0.1:7080"`
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%s is not host:port", quote(address)), shape
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Sprintf("%s is not a port", quote(port)), "write a port from 0 to 65535 after the last colon; 0 takes a free one"
	}
	return "", ""
}

// authenticated reports whether clients and operators must prove who they are.
// Only then may others than this machine connect.
func authenticated(*Config) bool { return false }

// listeners checks where clients and operators connect. An address that is
// refused is replaced by its default, so that it is never listened on.
func (d *decoder) listeners(c *Config) {
	for _, l := range []struct {
		path    string
		address *string
		danger  string
	}{
		{"listen", &c.Listen, "stream as any user"},
		{operatorsListen, &c.Operators.Listen, "operate this host"},
	} {
		if Loopback(*l.address) || authenticated(c) {
			continue
		}
		host, port, _ := net.SplitHostPort(*l.address) // checkListen has
		subject := quote(host) + " is not a loopback address"
		if host == "" {
			subject = quote(*l.address) + " means every address of this machine"
		}
		d.fault(c.Pos[l.path], l.path+": "+subject+": authentication is not available, so a public address would let anyone "+l.danger,
			fmt.Sprintf("listen on 127.0.0.1:%s and reach it from another machine through a tunnel, such as ssh -L", port))
		k, _ := lookup(l.path)
		*l.address = k.defaultValue().Text
	}
	if _, port, _ := net.SplitHostPort(c.Listen); c.Listen == c.Operators.Listen && port != "0" {
		at := c.Pos[operatorsListen]
		if at.Line == 0 && c.Pos["listen"].Line != 0 {
			at = c.Pos["listen"]
		}
		d.fault(at, fmt.Sprintf("listen and %s are one address, %s", operatorsListen, c.Listen),
			"give operators a port of their own; 0 takes a free one")
	}
}

// Loopback reports whether an address to listen on, host:port, is reached from
// this machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
