package stream

import "net"

// Listener returns l with connections that hold no buffer while they wait for
// something to read, for servers that serve a Server. With TLS it belongs under
// tls.NewListener.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept is net.Listener's.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return idle(c), nil
}
