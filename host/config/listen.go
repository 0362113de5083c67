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

// checkPrivate returns what is wrong with an address that is listened on
// without authentication: anything but loopback.
func checkPrivate(address string) (what, do string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return "", "" // no address is reported as that
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback() {
		return "", ""
	}
	subject := quote(host) + " is not a loopback address"
	if host == "" {
		subject = quote(address) + " means every address of this machine"
	}
	return subject + ": there is no auth block, so a public address would let anyone stream as any user",
		fmt.Sprintf("say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:%s", port)
}
