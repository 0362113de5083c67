package streams

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// Floor is the least that a server of streams can do: it upgrades, and one
// goroutine a connection reads and discards. It says its address on out, and
// serves until in ends.
func Floor(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 1024, WriteBufferPool: new(sync.Pool)}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the client was answered
		}
		go discard(c) // ends with the connection, at the latest with the process
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close; waited for below
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	if err = errors.Join(err, server.Close()); errors.Is(<-served, http.ErrServerClosed) {
		return err
	}
	return err
}

func discard(c *websocket.Conn) {
	defer c.Close() // it has ended
	for {
		_, r, err := c.NextReader()
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return
		}
	}
}
