package seed

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// oldListen keeps audio as the old design did: every frame is appended to the
// connection's buffer, which only an audio app would have emptied.
type oldListen struct {
	listener net.Listener
	server   *http.Server
	once     sync.Once
	served   sync.WaitGroup // Serve, and each connection's handler

	mu     sync.Mutex // guards buffer and grown
	buffer []byte
	grown  chan struct{} // closed and replaced when buffer has grown
}

func startOldListen() (*oldListen, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &oldListen{listener: l, grown: make(chan struct{})}
	o.server = &http.Server{Handler: http.HandlerFunc(o.listen), ReadHeaderTimeout: 10 * time.Second}
	o.served.Go(func() { _ = o.server.Serve(l) }) // ends with stop, which waits for it
	return o, nil
}

func (o *oldListen) listen(w http.ResponseWriter, r *http.Request) {
	o.served.Add(1)
	defer o.served.Done()
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer conn.Close()
	for {
		_, frame, err := conn.ReadMessage()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.buffer = append(o.buffer, frame...)
		close(o.grown)
		o.grown = make(chan struct{})
		o.mu.Unlock()
	}
}

func (o *oldListen) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+o.listener.Addr().String(), nil)
	return conn, err
}

func (o *oldListen) buffered() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int64(len(o.buffer))
}

// waitFor waits until the buffer holds n bytes.
func (o *oldListen) waitFor(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		o.mu.Lock()
		have, grown := int64(len(o.buffer)), o.grown
		o.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("the old design's buffer holds %d of %d bytes: %w", have, n, ctx.Err())
		}
	}
}

// stop ends the server and lets the buffer go. The clients' connections must
// have been closed before: it waits for their handlers.
func (o *oldListen) stop() {
	o.once.Do(func() {
		o.server.Close()
		o.served.Wait()
		o.mu.Lock()
		o.buffer = nil
		o.mu.Unlock()
	})
}
