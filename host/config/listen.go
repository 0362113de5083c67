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
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%s is not host:port", quote(address)), shape
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Sprintf("%s is not a port", quote(port)), "write a port from 0 to 65535 after the last colon; 0 takes a free one"
	}
	if host == "localhost" {
		return "", ""
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback() {
		return "", ""
	}
	subject := quote(host) + " is not a loopback address"
	if host == "" {
		subject = quote(address) + " means every address of this machine"
	}
	return subject + ": authentication is not available, so a public address would let anyone stream as any user",
		fmt.Sprintf("listen on 127.0.0.1:%s and reach it from another machine through a tunnel, such as ssh -L", port)
}
